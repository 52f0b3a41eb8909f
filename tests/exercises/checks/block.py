"""Exercise 15: block(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first)."""

from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import numbers
from tests.exercises.micro_copy import micro as copy

from minibert import micro

H, C = 2, 4


@st.composite
def streams(draw):
    B, T = draw(st.integers(1, 2)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**16))
    return {"x": numbers(np.random.default_rng(seed), B, T, C), "weights": seed,
            "norm_first": draw(st.booleans())}


def block_weights(inputs):
    rng = np.random.default_rng(inputs["weights"])
    w = micro.gpt_weights(rng, 2, 2, C, 1)["blocks"][0]
    for tensor in micro.parameters(w):
        tensor.data = rng.normal(size=tensor.shape)
    return w, micro.attention_mask(np.ones(inputs["x"].shape[:2], int), causal=True)


def the_learners_arguments(inputs):
    """x, the four branches as functions of arrays, norm_first."""
    w, mask = block_weights(inputs)

    def attention(x):
        return micro.self_attention(micro.Tensor(x), w, mask, H).data

    def feed_forward(x):
        return micro.feed_forward(micro.Tensor(x), w, "tanh").data

    def attention_norm(x):
        return micro.layer_norm(micro.Tensor(x), *w["attention_norm"]).data

    def feed_forward_norm(x):
        return micro.layer_norm(micro.Tensor(x), *w["feed_forward_norm"]).data

    return [inputs["x"].copy(), attention, feed_forward, attention_norm, feed_forward_norm,
            inputs["norm_first"]]


def right(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first):
    """micro's own lines, with these functions as its branches."""
    def branch(function):
        return lambda x, *settings: function(x)

    def layer_norm(x, norm):
        return norm(x)

    norms = {"attention_norm": [attention_norm], "feed_forward_norm": [feed_forward_norm]}
    with (patch.object(copy, "self_attention", branch(attention)),
          patch.object(copy, "feed_forward", branch(feed_forward)),
          patch.object(copy, "layer_norm", layer_norm)):
        return copy.block(x, norms, None, H, norm_first, "tanh")


def later_tokens_change_nothing(function, inputs, output):
    changed = inputs | {"x": inputs["x"].copy()}
    changed["x"][:, -1] += 1
    same = np.array_equal(function(*the_learners_arguments(changed))[:, :-1], output[:, :-1])
    return None if same else "with causal attention the last token changes an earlier output"


# ---- known mistakes ------------------------------------------------------------------------------


def no_residual(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first):
    """x itself is not added to what a branch computes: x + attention(...)."""
    if norm_first:
        return feed_forward(feed_forward_norm(attention(attention_norm(x))))
    return feed_forward_norm(feed_forward(attention_norm(attention(x))))


def orders_swapped(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first):
    """The two orders are swapped: norm_first means attention(norm(x)), as in GPT-2."""
    return right(x, attention, feed_forward, attention_norm, feed_forward_norm, not norm_first)


def always_after(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first):
    """norm_first has no effect: the norms always come after the sums."""
    return right(x, attention, feed_forward, attention_norm, feed_forward_norm, False)


def always_first(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first):
    """norm_first has no effect: the norms always come before the branches."""
    return right(x, attention, feed_forward, attention_norm, feed_forward_norm, True)


def normed_residual(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first):
    """With norm_first the normalized x is added to the branch's result: the residual stream itself
    is never normalized, x + attention(norm(x))."""
    if not norm_first:
        return right(x, attention, feed_forward, attention_norm, feed_forward_norm, False)
    x = attention_norm(x)
    x = feed_forward_norm(x + attention(x))
    return x + feed_forward(x)


def both_from_the_input(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first):
    """The feed-forward network reads the block's input: it reads what came out of the attention's
    sum."""
    if norm_first:
        return x + attention(attention_norm(x)) + feed_forward(feed_forward_norm(x))
    return feed_forward_norm(attention_norm(x + attention(x)) + feed_forward(x))


def second_sum_with_the_input(x, attention, feed_forward, attention_norm, feed_forward_norm,
                              norm_first):
    """The second sum adds the block's input once more, and loses what attention has added: add the
    new x."""
    if norm_first:
        return x + feed_forward(feed_forward_norm(x + attention(attention_norm(x))))
    return feed_forward_norm(x + feed_forward(attention_norm(x + attention(x))))


def one_norm_for_both(x, attention, feed_forward, attention_norm, feed_forward_norm, norm_first):
    """attention_norm is used twice: the feed-forward network has a norm of its own."""
    return right(x, attention, feed_forward, attention_norm, attention_norm, norm_first)


def norm_of_the_branch_alone(x, attention, feed_forward, attention_norm, feed_forward_norm,
                             norm_first):
    """Without norm_first the branch is normalized before it is added: the norm is that of the sum,
    norm(x + attention(x))."""
    if norm_first:
        return right(x, attention, feed_forward, attention_norm, feed_forward_norm, True)
    x = x + attention_norm(attention(x))
    return x + feed_forward_norm(feed_forward(x))


PARTS = (
    Part("block", streams(),
         (no_residual, orders_swapped, always_after, always_first, normed_residual,
          both_from_the_input, second_sum_with_the_input, one_norm_for_both,
          norm_of_the_branch_alone),
         right, (later_tokens_change_nothing,), arguments=the_learners_arguments, examples=30),)
