"""Exercise 7: attention_mask(ids, causal)."""

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import generators
from tests.exercises.micro_copy import micro

import minibert as mb


@st.composite
def batches(draw):
    """ids (B, T) with padding at the end of some rows."""
    B, T = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    ids = draw(generators()).integers(1, 9, (B, T))
    for row in ids:
        row[draw(st.integers(1, T)):] = micro.PAD
    return {"ids": ids, "causal": draw(st.booleans())}


def right(ids, causal):
    return micro.attention_mask(ids, causal)


def attend(mask, T, value):
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, len(mask), 2, T, 3))
    return mb.functional.scaled_dot_product_attention(
        mb.Tensor(query), mb.Tensor(key), mb.Tensor(value), attn_mask=mask).data


def padding_changes_nothing(function, inputs, mask):
    ids = inputs["ids"]
    value = np.random.default_rng(1).normal(size=(len(ids), 2, ids.shape[1], 3))
    other = value + 100 * (ids == micro.PAD)[:, None, :, None]
    same = np.array_equal(attend(mask, ids.shape[1], value), attend(mask, ids.shape[1], other))
    return None if same else "another value at the padding changes what attention gives"


def the_future_changes_nothing(function, inputs, mask):
    T = inputs["ids"].shape[1]
    if not inputs["causal"] or T == 1:
        return None
    value = np.random.default_rng(1).normal(size=(len(mask), 2, T, 3))
    other = value.copy()
    other[:, :, -1] += 100
    same = np.array_equal(attend(mask, T, value)[:, :, :-1], attend(mask, T, other)[:, :, :-1])
    return None if same else "the last token's value changes what attention gives to earlier ones"


# ---- known mistakes ------------------------------------------------------------------------------


def real(ids):
    return (ids != micro.PAD)[:, None, None, :]


def triangle(ids, k=0):
    return np.tri(ids.shape[1], k=k, dtype=bool)


def inverted(ids, causal):
    """The mask is the wrong way round: True means that the position may be attended to."""
    return ~right(ids, causal)


def padding_inverted(ids, causal):
    """The padding is the wrong way round: True at real tokens, False at padding."""
    return ~real(ids) & triangle(ids) if causal else ~real(ids)


def upper_triangle(ids, causal):
    """The triangle is the wrong way round: query t sees the keys up to t, the lower triangle."""
    return real(ids) & triangle(ids).T if causal else real(ids)


def without_itself(ids, causal):
    """The diagonal is missing: a token may attend to itself, so the first row is not empty."""
    return real(ids) & triangle(ids, -1) if causal else real(ids)


def one_too_far(ids, causal):
    """The triangle reaches one token too far: each token sees the one that it has to predict."""
    return real(ids) & triangle(ids, 1) if causal else real(ids)


def over_the_queries(ids, causal):
    """The padding lies along the queries: keys are the last axis, so ids become (B, 1, 1, S)."""
    mask = (ids != micro.PAD)[:, None, :, None]
    return mask & triangle(ids) if causal else mask


def joined_by_or(ids, causal):
    """The two masks are joined by "or": a position must be allowed by both, &."""
    return real(ids) | triangle(ids) if causal else real(ids)


def causal_ignored(ids, causal):
    """`causal` has no effect."""
    return real(ids)


def padding_ignored(ids, causal):
    """With `causal` the padding is forgotten: both rules hold together."""
    return np.broadcast_to(triangle(ids), (len(ids), 1, *triangle(ids).shape)) if causal \
        else real(ids)


def without_head_axis(ids, causal):
    """The axes of the heads and the queries are missing: (B, S) becomes (B, 1, 1, S)."""
    mask = ids != micro.PAD
    return mask[:, None, :] & triangle(ids) if causal else mask


PARTS = (
    Part("attention_mask", batches(),
         (inverted, padding_inverted, upper_triangle, without_itself, one_too_far,
          over_the_queries, joined_by_or, causal_ignored, padding_ignored, without_head_axis),
         right, (padding_changes_nothing, the_future_changes_nothing), examples=60),)
