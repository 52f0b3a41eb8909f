"""Who may attend to whom, as boolean arrays: True = may.

A mask has the shape (batch, heads, queries, keys), with 1 where it is the same for all: it fits the
attention scores of every layer, and is built once per batch. Masks combine by `&`. The mask is the
whole difference between reading with both sides in view and predicting the next word.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minibert.errors import InputError


def padding_mask(attention_mask: np.ndarray) -> np.ndarray:
    """Nobody attends to padding: (B, S) of ones (tokens) and zeros (padding) -> (B, 1, 1, S)."""
    attention_mask = np.asarray(attention_mask)
    if attention_mask.ndim != 2:
        raise InputError(f"attention_mask: got shape {attention_mask.shape}: expected (batch, "
                         "tokens)")
    keep = attention_mask.astype(bool)
    if not np.array_equal(keep, attention_mask):
        raise InputError("attention_mask: got other values than 1 (a token) and 0 (padding)")
    return keep[:, None, None, :]


def causal_mask(queries: int, keys: int | None = None, query_offset: int = 0) -> np.ndarray:
    """Query i attends to the keys up to its own position, i + query_offset: -> (1, 1, T, S)."""
    keys = queries if keys is None else keys
    query_positions = query_offset + np.arange(queries)[:, None]  # (T, 1)
    return (np.arange(keys) <= query_positions)[None, None]


def prefix_mask(prefix_lengths: Sequence[int], tokens: int) -> np.ndarray:
    """The first tokens of each row see each other in both directions, the rest is causal: a text to
    read and a text to write in one. (B,) lengths -> (B, 1, T, T)."""
    lengths = np.asarray(prefix_lengths)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any() \
            or (lengths > tokens).any():
        raise InputError(f"prefix_mask: expected one length from 0 to {tokens} per row, "
                         f"got {prefix_lengths!r}")
    in_prefix = np.arange(tokens) < lengths[:, None]  # (B, S)
    return causal_mask(tokens) | in_prefix[:, None, None, :]


def picture(mask: np.ndarray, tokens: Sequence[str] | None = None) -> str:
    """The mask of the first row and head as text: a line per query, a sign per key, # = may attend.

    `tokens`, one for each query, are written before the lines.
    """
    mask = np.asarray(mask, dtype=bool)
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)[0, 0]  # (T, S)
    names = list(tokens) if tokens is not None else [str(i) for i in range(len(mask))]
    if len(mask) == 1:
        names = ["every query"]  # the mask is the same for all
    if len(names) != len(mask):
        raise InputError(f"picture: got {len(names)} tokens for a mask of {len(mask)} queries")
    width = max(map(len, names), default=0)
    return "\n".join(f"{name:>{width}} " + " ".join("#" if may else "." for may in row)
                     for name, row in zip(names, mask))
