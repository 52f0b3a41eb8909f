"""Attention masks: boolean arrays, True = the query (row) may attend to the key (column).

A mask broadcasts to the attention scores (B, H, T, S): it has 1 where it is the same for all, is
built once per batch and serves every layer. Masks combine by `&`. The mask is the only difference
between attention to both sides (BERT) and next-token prediction (GPT).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minibert.autograd.dropout_masks import DropoutKey
from minibert.errors import InputError

# Stands for "minus infinity" in masked scores: its exponential is exactly zero next to any real
# score, and unlike an infinity it never turns into NaN (a row with nothing to attend to).
LOWEST = -1e30


# ---- masks -------------------------------------------------------------------------------------


def causal_mask(query_positions: np.ndarray, key_positions: np.ndarray) -> np.ndarray:
    """A query attends to the keys up to its own position: (..., T) and (S,) -> (..., T, S)."""
    return key_positions <= query_positions[..., None]


def padding_mask(attention_mask: np.ndarray) -> np.ndarray:
    """No query attends to padding: (B, S) of ones (tokens) and zeros (padding) -> (B, 1, 1, S).
    Errors: another number of axes, other values than 0 and 1."""
    attention_mask = np.asarray(attention_mask)
    if attention_mask.ndim != 2:
        raise InputError(f"attention_mask: got shape {attention_mask.shape}: expected (batch, "
                         "tokens)")
    keep = attention_mask.astype(bool)
    if not np.array_equal(keep, attention_mask):
        raise InputError("attention_mask: got other values than 1 (a token) and 0 (padding)")
    return keep[:, None, None, :]


def prefix_mask(prefix_lengths: Sequence[int], tokens: int) -> np.ndarray:
    """The first tokens of each row attend to each other in both directions, the rest is causal
    (Dong et al. 2019, "Unified Language Model Pre-training", section 2.3): (B,) lengths ->
    (B, 1, T, T). Errors: a length that is not a whole number from 0 to `tokens`."""
    lengths = np.asarray(prefix_lengths)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any() \
            or (lengths > tokens).any():
        raise InputError(f"prefix_mask: expected one length from 0 to {tokens} per row, "
                         f"got {prefix_lengths!r}")
    positions = np.arange(tokens)
    in_prefix = positions < lengths[:, None]  # (B, S)
    return causal_mask(positions, positions) | in_prefix[:, None, None, :]


def format_mask(mask: np.ndarray, tokens: Sequence[str] | None = None) -> str:
    """The mask of the first row and head as text: a line per query, a sign per key, # = may attend.
    `tokens`, one for each query, are written before the lines. Errors: another number of tokens."""
    mask = np.asarray(mask, dtype=bool)
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)[0, 0]  # (T, S)
    names = list(tokens) if tokens is not None else [str(i) for i in range(len(mask))]
    if len(mask) == 1:
        names = ["every query"]  # the mask is the same for all
    if len(names) != len(mask):
        raise InputError(f"format_mask: got {len(names)} tokens for a mask of {len(mask)} queries")
    width = max(map(len, names), default=0)
    return "\n".join(f"{name:>{width}} " + " ".join("#" if may else "." for may in row)
                     for name, row in zip(names, mask))


# ---- masks and causality on the scores, in reference.py and in fused/ ----------------------------


class ScoreOptions(NamedTuple):
    """The options that turn scores (..., T, S) into weights, the same in forward and backward."""

    scale: float  # of the products of queries and keys
    mask: np.ndarray | None = None  # boolean, broadcasts to the scores
    bias: np.ndarray | None = None  # float, added to the scores
    is_causal: bool = False
    dropout: DropoutKey | None = None  # of the weights


def allowed_positions(queries: int, keys: int, mask: np.ndarray | None, is_causal: bool,
                      first_query: int = 0) -> np.ndarray | None:
    """`mask` (boolean) and causality together, broadcastable to (..., T, S); None: all allowed.
    `first_query` is the position of the first query, counted from the first key."""
    if not is_causal:
        return mask
    causal = causal_mask(first_query + np.arange(queries), np.arange(keys))  # (T, S)
    return causal if mask is None else causal & mask


def additive_mask(queries: int, keys: int, mask: np.ndarray | None, is_causal: bool, dtype: type,
                  first_query: int = 0) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(added, has_keys): what is added to the scores, 0 or LOWEST (much faster than writing LOWEST
    where needed), and which queries may attend to anything (..., T, 1). None, None: all allowed."""
    if is_causal and mask is None:
        return _causal_additive_mask(queries, keys, dtype, first_query)
    allowed = allowed_positions(queries, keys, mask, is_causal, first_query)
    return (None, None) if allowed is None else _as_additive(allowed, dtype)


@lru_cache(maxsize=8)  # one and the same for all layers and batches
def _causal_additive_mask(queries: int, keys: int, dtype: type, first_query: int
                          ) -> tuple[np.ndarray, np.ndarray]:
    return _as_additive(allowed_positions(queries, keys, None, True, first_query), dtype)


def _as_additive(allowed: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    added = ~allowed * dtype(LOWEST)  # np.where takes twice as long
    has_keys = allowed.any(-1, keepdims=True)
    added.flags.writeable = has_keys.flags.writeable = False
    return added, has_keys
