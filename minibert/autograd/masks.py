"""Which positions may be attended to, which elements dropout keeps: shared by both spellings."""

from __future__ import annotations

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


def dropout_mask(shape: tuple[int, ...], p: float,
                 rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """(keep, scale): each element is kept with probability 1/scale on its own.

    16 random bits decide about an element, a quarter of what a float64 takes, so p is rounded to
    a multiple of 2^-16; `scale` is exact for the rounded p. The bits are the stream of a generator
    of their own, whose key is the only thing drawn from `rng`: the bits of any block of a large
    array can be made again later by advancing that stream, without keeping them.
    """
    dropped = round(p * 65536)
    size = int(np.prod(shape))
    bits = np.random.PCG64(int(rng.integers(2**63))).random_raw((size + 3) // 4).view(np.uint16)
    keep = (bits[:size] >= dropped).reshape(shape)
    return keep, 65536 / (65536 - dropped) if dropped < 65536 else 0.0
