"""Dropout masks: which elements are kept, from 16 random bits each.

A mask has a key, the seed of a stream of random bits; an element's index is its position there. So
any part of a mask can be computed alone, and again in backward.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class DropoutKey(NamedTuple):
    """All that is needed to make any part of one dropout mask, and to make it again."""

    key: int
    dropped: int  # of 65536
    scale: float  # what a kept element is multiplied by, exact for the rounded p; 0: none is kept


def draw_dropout_key(p: float, rng: np.random.Generator) -> DropoutKey:
    """The key of a mask in which each element is dropped with probability p on its own. 16 random
    bits decide about an element, a quarter of what a float64 takes, so p is rounded to a multiple
    of 2^-16. The key is the only thing that is drawn from `rng`."""
    dropped = round(p * 65536)
    scale = 65536 / (65536 - dropped) if dropped < 65536 else 0.0
    return DropoutKey(int(rng.integers(2**63)), dropped, scale)


def kept_elements(key: DropoutKey, shape: tuple[int, ...], start: int = 0) -> np.ndarray:
    """True where an element is kept, in `shape`: the part of the flat mask from element `start`."""
    count = math.prod(shape)
    skipped, first = divmod(start, 4)  # four elements of 16 bits in one number of 64
    stream = np.random.PCG64(key.key)
    if skipped:
        stream.advance(skipped)
    bits = stream.random_raw((first + count + 3) // 4).view(np.uint16)
    return (bits[first:first + count] >= key.dropped).reshape(shape)


def dropout_mask(shape: tuple[int, ...], p: float,
                 rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """(kept, scale): a whole mask, and what the kept elements are multiplied by."""
    key = draw_dropout_key(p, rng)
    return kept_elements(key, shape), key.scale
