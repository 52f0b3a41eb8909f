"""Exercises 5 and 6: attention(query, key, value, mask) and its backward."""

import math

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import complex_step, generators, numbers

import minibert as mb


@st.composite
def heads(draw):
    B, H, T, D = [draw(st.integers(1, n)) for n in (2, 3, 4, 4)]
    S = T if draw(st.booleans()) else draw(st.integers(1, 4))
    rng = draw(generators())
    return (numbers(rng, B, H, T, D), numbers(rng, B, H, S, D), numbers(rng, B, H, S, D)), rng


@st.composite
def masked_heads(draw):
    (query, key, value), rng = draw(heads())
    B, _, T, _ = query.shape
    mask = rng.random((B, 1, draw(st.sampled_from([1, T])), key.shape[2])) < 0.6
    mask[..., 0] |= ~mask.any(-1)  # each query may attend to something
    return {"query": query, "key": key, "value": value, "mask": mask}


@st.composite
def upstream_heads(draw):
    (query, key, value), rng = draw(heads())
    return {"dO": numbers(rng, *query.shape), "query": query, "key": key, "value": value,
            "P": softmax(query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1]))}


def softmax(scores, axis=-1):
    return mb.functional.softmax(mb.Tensor(scores), axis).data


def right(query, key, value, mask):
    return mb.functional.scaled_dot_product_attention(
        mb.Tensor(query), mb.Tensor(key), mb.Tensor(value), attn_mask=mask).data


def rows_sum_to_one(function, inputs, output):
    mixed = function(inputs["query"], inputs["key"], np.ones(inputs["value"].shape),
                     inputs["mask"])
    worst = mixed.ravel()[np.abs(mixed - 1).argmax()]
    return None if abs(worst - 1) < 1e-9 else (
        f"the weights of a query add up to 1, so values of 1 stay 1; here they became {worst:.5f}")


def masked_keys_do_nothing(function, inputs, output):
    hidden = ~inputs["mask"].any(-2).any((0, 1))  # (S,): keys that nobody may attend to
    value = inputs["value"] + 100.0 * hidden[:, None]
    same = np.array_equal(function(inputs["query"], inputs["key"], value, inputs["mask"]), output)
    return None if same else "the value of a key that no query may attend to changes the output"


# ---- known mistakes of the forward ---------------------------------------------------------------


def scores_of(query, key):
    return query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])


def no_scale(query, key, value, mask):
    """The scores are not divided by sqrt(D)."""
    return softmax(np.where(mask, query @ key.swapaxes(-1, -2), -1e30)) @ value


def sqrt_of_the_model_width(query, key, value, mask):
    """The scores are divided by sqrt(C), C = H D: the width of one head counts, sqrt(D)."""
    scale = math.sqrt(query.shape[1] * query.shape[-1])
    return softmax(np.where(mask, query @ key.swapaxes(-1, -2) / scale, -1e30)) @ value


def divided_by_the_width(query, key, value, mask):
    """The scores are divided by D: it is its square root, sqrt(D)."""
    scores = query @ key.swapaxes(-1, -2) / query.shape[-1]
    return softmax(np.where(mask, scores, -1e30)) @ value


def multiplied(query, key, value, mask):
    """The scores are multiplied by sqrt(D) instead of divided."""
    scores = query @ key.swapaxes(-1, -2) * math.sqrt(query.shape[-1])
    return softmax(np.where(mask, scores, -1e30)) @ value


def mask_inverted(query, key, value, mask):
    """The mask is the wrong way round: True means that a query may attend to the key."""
    return softmax(np.where(mask, -1e30, scores_of(query, key))) @ value


def mask_ignored(query, key, value, mask):
    """The mask has no effect: where it is False the score becomes -1e30, whose exponential is 0."""
    return softmax(scores_of(query, key)) @ value


def masked_scores_are_zero(query, key, value, mask):
    """Masked scores are set to 0, and exp(0) = 1 is not nothing: add -1e30 instead."""
    return softmax(scores_of(query, key) * mask) @ value


def masked_after_the_softmax(query, key, value, mask):
    """The mask is applied after the softmax, so the rows no longer add up to 1: mask the scores."""
    return (softmax(scores_of(query, key)) * mask) @ value


def over_the_queries(query, key, value, mask):
    """The softmax runs over the queries (axis -2): each query distributes its weight over the keys,
    axis -1."""
    return softmax(np.where(mask, scores_of(query, key), -1e30), -2) @ value


# ---- the backward --------------------------------------------------------------------------------


def right_backward(dO, query, key, value, P):
    def forward(query, key, value):
        return mb.functional.scaled_dot_product_attention(
            mb.Tensor(query), mb.Tensor(key), mb.Tensor(value)).data
    return complex_step(forward, (query, key, value), dO)


def T(a):
    return a.swapaxes(-1, -2)


def wrong(dS, dO, query, key, P):
    scale = 1 / math.sqrt(query.shape[-1])
    return dS @ key * scale, T(dS) @ query * scale, T(P) @ dO


def dS_of(dO, value, P):
    dP = dO @ T(value)
    return P * (dP - (P * dP).sum(-1, keepdims=True))


def no_row_sum(dO, query, key, value, P):
    """The row sum in dS is missing: dS = P (dP - rowsum(P dP)), the softmax's backward."""
    return wrong(P * (dO @ T(value)), dO, query, key, P)


def no_softmax_backward(dO, query, key, value, P):
    """dP is used as dS: the softmax between scores and weights has a backward of its own."""
    return wrong(dO @ T(value), dO, query, key, P)


def sum_over_queries(dO, query, key, value, P):
    """The sum in dS runs over the queries (axis -2): the softmax ran over the keys, axis -1."""
    dP = dO @ T(value)
    return wrong(P * (dP - (P * dP).sum(-2, keepdims=True)), dO, query, key, P)


def no_scale_backward(dO, query, key, value, P):
    """The factor 1 / sqrt(D) is missing in dQ and dK: the scores were divided, so are their
    gradients."""
    dS = dS_of(dO, value, P)
    return dS @ key, T(dS) @ query, T(P) @ dO


def scale_in_dQ_only(dO, query, key, value, P):
    """The factor 1 / sqrt(D) is missing in dK."""
    dS = dS_of(dO, value, P)
    return dS @ key / math.sqrt(query.shape[-1]), T(dS) @ query, T(P) @ dO


def dK_not_transposed(dO, query, key, value, P):
    """dK = dS Q without the transpose: dS is (T, S), and dK needs a row for each key: dS^T Q. With
    as many queries as keys the shapes hide it."""
    dS = dS_of(dO, value, P)
    scale = 1 / math.sqrt(query.shape[-1])
    return dS @ key * scale, dS @ query * scale, T(P) @ dO


def dV_not_transposed(dO, query, key, value, P):
    """dV = P dO without the transpose: value s is used by all queries t with P[t, s]: P^T dO."""
    dQ, dK, _ = wrong(dS_of(dO, value, P), dO, query, key, P)
    return dQ, dK, P @ dO


def query_and_key_swapped(dO, query, key, value, P):
    """dQ and dK are swapped: dQ = dS K (one row for each query), dK = dS^T Q."""
    dQ, dK, dV = wrong(dS_of(dO, value, P), dO, query, key, P)
    return dK, dQ, dV


FORWARD = (
    Part("attention", masked_heads(),
         (no_scale, sqrt_of_the_model_width, divided_by_the_width, multiplied, mask_inverted,
          mask_ignored, masked_scores_are_zero, masked_after_the_softmax, over_the_queries),
         right, (rows_sum_to_one, masked_keys_do_nothing)),)

BACKWARD = (
    Part("attention_backward", upstream_heads(),
         (no_row_sum, no_softmax_backward, sum_over_queries, no_scale_backward, scale_in_dQ_only,
          dK_not_transposed, dV_not_transposed, query_and_key_swapped),
         right_backward, returns=("dQ", "dK", "dV"), examples=30),)
