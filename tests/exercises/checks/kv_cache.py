"""Exercise 16: cached_attention(query, key, value, past_key, past_value)."""

import math

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import generators, numbers

import minibert as mb


@st.composite
def chunks(draw):
    """T new tokens after P old ones."""
    B, H, T, D = [draw(st.integers(1, n)) for n in (2, 2, 3, 3)]
    P = draw(st.integers(0, 4))
    rng = draw(generators())
    query, key, value = [numbers(rng, B, H, T, D) for _ in range(3)]
    return {"query": query, "key": key, "value": value, "past_key": numbers(rng, B, H, P, D),
            "past_value": numbers(rng, B, H, P, D)}


def attend(query, key, value, allowed=None):
    return mb.functional.scaled_dot_product_attention(
        mb.Tensor(query), mb.Tensor(key), mb.Tensor(value), attn_mask=allowed).data


def right(query, key, value, past_key, past_value):
    """The last rows of causal attention over all tokens; the old queries do not matter."""
    keys, values = grown(key, value, past_key, past_value)
    queries = np.concatenate([np.zeros(past_key.shape), query], -2)
    every = mb.functional.scaled_dot_product_attention(
        mb.Tensor(queries), mb.Tensor(keys), mb.Tensor(values), is_causal=True).data
    return every[..., past_key.shape[-2]:, :], keys, values


def one_by_one(function, inputs, output):
    query, key, value = inputs["query"], inputs["key"], inputs["value"]
    keys, values, mixed = inputs["past_key"], inputs["past_value"], []
    for t in range(query.shape[-2]):
        new, keys, values = function(query[..., t:t + 1, :], key[..., t:t + 1, :],
                                     value[..., t:t + 1, :], keys, values)
        mixed.append(new)
    worst = np.abs(np.concatenate(mixed, -2) - output[0]).max()
    return None if worst < 1e-9 else (
        f"token by token and all at once give the same; here they differ by {worst:.5f}")


# ---- known mistakes ------------------------------------------------------------------------------


def grown(key, value, past_key, past_value):
    return np.concatenate([past_key, key], -2), np.concatenate([past_value, value], -2)


def seen(T, S, offset):
    return np.tri(T, S, offset, dtype=bool)


def corner_top_left(query, key, value, past_key, past_value):
    """The causal triangle begins at key 0, so new token t sees only t + 1 keys: it stands at place
    P + t and sees the keys up to there, np.tri(T, P + T, P)."""
    keys, values = grown(key, value, past_key, past_value)
    return attend(query, keys, values, seen(query.shape[-2], keys.shape[-2], 0)), keys, values


def no_mask(query, key, value, past_key, past_value):
    """There is no mask: of several new tokens the earlier ones see the later ones."""
    keys, values = grown(key, value, past_key, past_value)
    return attend(query, keys, values), keys, values


def past_not_read(query, key, value, past_key, past_value):
    """Attention reads only the new keys and values: it needs the old ones in front of them."""
    T = query.shape[-2]
    return attend(query, key, value, seen(T, T, 0)), *grown(key, value, past_key, past_value)


def past_not_kept(query, key, value, past_key, past_value):
    """Only the new keys and values are returned: the next call needs all of them."""
    return right(query, key, value, past_key, past_value)[0], key, value


def new_not_read(query, key, value, past_key, past_value):
    """The new token does not see itself: put its key into the cache before attending."""
    keys, values = grown(key, value, past_key, past_value)
    allowed = seen(query.shape[-2], keys.shape[-2], past_key.shape[-2] - 1)
    return attend(query, keys, values, allowed), keys, values


def new_in_front(query, key, value, past_key, past_value):
    """The new keys stand in front of the old ones: places are positions, so the new come last."""
    keys, values = grown(past_key, past_value, key, value)
    return right(query, key, value, past_key, past_value)[0], keys, values


def old_cache_returned(query, key, value, past_key, past_value):
    """The cache comes back as it was, without the new keys and values."""
    return right(query, key, value, past_key, past_value)[0], past_key, past_value


def key_kept_as_value(query, key, value, past_key, past_value):
    """The new key is put into both caches: values go into the second one."""
    keys, values = grown(key, key, past_key, past_value)
    allowed = seen(query.shape[-2], keys.shape[-2], past_key.shape[-2])
    return attend(query, keys, values, allowed), keys, values


def no_scale(query, key, value, past_key, past_value):
    """The scores are not divided by sqrt(D)."""
    return right(query * math.sqrt(query.shape[-1]), key, value, past_key, past_value)


PARTS = (
    Part("cached_attention", chunks(),
         (corner_top_left, no_mask, past_not_read, past_not_kept, new_not_read, new_in_front,
          old_cache_returned, key_kept_as_value, no_scale),
         right, (one_by_one,), returns=("output", "keys", "values"), examples=60),)
