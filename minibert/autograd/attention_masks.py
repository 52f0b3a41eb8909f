"""Attention masks and dropout masks, shared by the reference and the fused implementation."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

# Stands for "minus infinity" in masked scores: its exponential is exactly zero next to any real
# score, and unlike an infinity it never turns into NaN (a row with nothing to attend to).
LOWEST = -1e30


def allowed_positions(queries: int, keys: int, attn_mask: np.ndarray | None, is_causal: bool,
                      query_offset: int) -> np.ndarray | None:
    """True where a query may attend to a key, broadcastable to (..., T, S); None: everywhere.
    `attn_mask` is boolean.

    Causal: query t stands at position `query_offset` + t and sees the keys up to its own position.
    """
    allowed = attn_mask
    if is_causal:
        causal = np.tri(queries, keys, query_offset, dtype=bool)  # (T, S)
        allowed = causal if allowed is None else allowed & causal
    return allowed


def added_to_scores(queries: int, keys: int, attn_mask: np.ndarray | None, is_causal: bool,
                    query_offset: int, dtype: type
                    ) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(added, seen): what is added to the scores, 0 or LOWEST (much faster than writing LOWEST
    where needed), and which rows may attend to anything (..., T, 1). None, None: all positions."""
    if is_causal and attn_mask is None:
        return _causal_scores(queries, keys, query_offset, dtype)
    allowed = allowed_positions(queries, keys, attn_mask, is_causal, query_offset)
    return (None, None) if allowed is None else _scores(allowed, dtype)


@lru_cache(maxsize=8)  # one and the same for all layers and batches
def _causal_scores(queries: int, keys: int, query_offset: int, dtype: type
                   ) -> tuple[np.ndarray, np.ndarray]:
    return _scores(allowed_positions(queries, keys, None, True, query_offset), dtype)


def _scores(allowed: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    added = ~allowed * dtype(LOWEST)  # np.where takes twice as long
    seen = allowed.any(-1, keepdims=True)
    added.flags.writeable = seen.flags.writeable = False
    return added, seen


def dropout_mask(shape: tuple[int, ...], p: float,
                 rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """(keep, scale): each element is kept with probability 1/scale on its own (scale 0: never).

    16 random bits decide about an element, a quarter of what a float64 takes, so p is rounded to
    a multiple of 2^-16; `scale` is exact for the rounded p.
    """
    key, dropped, scale = dropout_key(p, rng)
    return kept(key, dropped, 0, math.prod(shape)).reshape(shape), scale


class DropoutKey(NamedTuple):
    """All that is needed to make any part of one dropout mask, and to make it again."""

    key: int
    dropped: int  # of 65536
    scale: float


def dropout_key(p: float, rng: np.random.Generator) -> DropoutKey:
    """The key is the only thing that is drawn from `rng`."""
    dropped = round(p * 65536)
    scale = 65536 / (65536 - dropped) if dropped < 65536 else 0.0
    return DropoutKey(int(rng.integers(2**63)), dropped, scale)


def kept(key: int, dropped: int, start: int, count: int) -> np.ndarray:
    """(count,) of the mask, from element `start` of the flat array on: the key names a stream of
    random bits, and the element's number is its address there."""
    skipped, first = divmod(start, 4)  # four elements of 16 bits in one number of 64
    stream = np.random.PCG64(key)
    if skipped:
        stream.advance(skipped)
    bits = stream.random_raw((first + count + 3) // 4).view(np.uint16)
    return bits[first:first + count] >= dropped
