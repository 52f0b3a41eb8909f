"""Attention over long texts, block by block: the (T, S) matrix of weights is never held.

The formula and the letters are those of fused/attention.py. T x S numbers are kept in memory there,
a few of T x D here (Dao et al. 2022, "FlashAttention", algorithms 1 and 2; Milakov & Gimelshein
2018, "Online normalizer calculation for softmax", for the softmax in one pass).

*A softmax in pieces.* A row of weights is exp(S - m) / sum exp(S - m), with m the row's largest
score, which is known only after the last block. So m is the largest score so far. If a block has a
larger one, all that was summed before (the exponentials, and the values that they weighed) is too
large by the factor exp(m_new - m_old): multiply it by exp(m_old - m_new) and go on. At the end
divide by the sum. Nothing is approximated.

*Recomputation.* Backward needs the weights, too. From Q, K and two numbers of each row (m and r)
any block of them is computed again, by the product that made it first; so are dropout's bits, from
their index (see dropout_masks.py).

*A column for a subtraction.* Two of the formula's terms are subtracted from whole rows:

    E  = exp(scale Q K^T - m)             m of each row
    dS = E ((f G) V^T M - c)              c = r rowsum(G O) of each row

A product plus a constant for each row is a product with one column more, of the constants and ones:

    scale Q K^T - m = [scale Q, -m] [K, 1]^T        (f G) V^T - c = [f G, -c] [V, 1]^T

The column costs 1/D of the product, a pass over the block up to a third of it. With dropout the
second one is a pass: there M stands between the product and the constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minibert.autograd.attention_masks import LOWEST, ScoreOptions, additive_mask
from minibert.autograd.dropout_masks import kept_elements
from minibert.autograd.fused.row_reductions import row_dot, row_max, row_sum
from minibert.autograd.fused.threads import parallel_for

# Queries and keys in a block: its scores (512 KiB in float32) stay in a core's cache.
QUERY_BLOCK, KEY_BLOCK = 256, 512


class SavedRows(NamedTuple):
    """Arrays of the forward that flash_attention_backward uses, each (..., T, 1)."""

    m: np.ndarray  # the largest score
    r: np.ndarray
    f: np.ndarray


def flash_attention_forward(heads: Sequence[np.ndarray], options: ScoreOptions,
                            output: np.ndarray) -> SavedRows:
    """Fill `output` (..., T, D) from `heads`: query (..., T, D), key and value (..., S, D)."""
    query, key, value = heads
    blocks = Blocks(query * options.scale, key, options)
    r = np.empty((*blocks.shape[:-1], 1), blocks.dtype)
    m = np.empty_like(r.real)
    dropout_scale = options.dropout.scale if options.dropout else 1.0

    def attend(place):
        head, rows = place
        weighted_sum, m[head][rows], r[head][rows] = _online_softmax(blocks, head, rows,
                                                                     value[head])
        np.multiply(weighted_sum, r[head][rows] * dropout_scale, out=output[head][rows])

    places = [(head, rows) for head in blocks.heads() for rows in blocks.rows()]
    parallel_for(attend, places, after_products=True)
    return SavedRows(m, r, r * dropout_scale)


def _online_softmax(blocks: Blocks, head: tuple[int, ...], rows: slice, values: np.ndarray
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For some queries of one head: (E M) V, m and r."""
    M = blocks.kept_rows(head, rows)
    total = np.zeros((rows.stop - rows.start, 1), blocks.dtype)
    weighted_sum = np.zeros((len(total), values.shape[-1]), np.result_type(blocks.dtype, values))
    m = np.full_like(total.real, LOWEST)
    for columns, added in blocks.columns(head, rows):
        E = blocks.scores(head, rows, columns, added)
        higher = np.maximum(m, row_max(E))
        correction = np.exp(m - higher)  # of what was summed under a lower m
        m = higher
        E -= m
        np.exp(E, out=E)
        total = total * correction + row_sum(E)
        if M is not None:
            E *= M[:, columns]
        weighted_sum *= correction
        weighted_sum += E @ values[columns]
    # a row without an allowed key has summed exp(LOWEST - LOWEST), which is no weight; scores of
    # allowed keys are far above half of LOWEST
    has_keys = m > LOWEST / 2
    return weighted_sum, m, has_keys / np.where(has_keys, total, 1)


def flash_attention_backward(grad: np.ndarray, heads: Sequence[np.ndarray], options: ScoreOptions,
                             output: np.ndarray, saved: SavedRows,
                             grads: Sequence[np.ndarray | None]) -> None:
    """Fill `grads`: those of query, key and value; None where none is needed. grad (..., T, D) is
    G; `heads`, `options` and `output` are those of the forward."""
    query, key, value = heads
    grad_query, grad_key, grad_value = grads
    for array in grads:
        if array is not None:
            array[...] = 0  # each block adds to it
    m, r, f = saved
    fG = f * grad
    c = r * row_dot(grad, output)
    scaled = query * options.scale
    blocks = Blocks(_with_column(scaled, -m), _with_column(key, 1), options)  # of S - m
    fG_c, value_1 = _with_column(fG, -c), _with_column(value, 1)

    def attend_backward(head):
        for rows in blocks.rows():
            M = blocks.kept_rows(head, rows)
            for columns, added in blocks.columns(head, rows):
                E = blocks.scores(head, rows, columns, added)
                np.exp(E, out=E)
                if M is None:
                    dS = fG_c[head][rows] @ value_1[head][columns].T
                else:
                    dS = fG[head][rows] @ value[head][columns].T
                    dS *= M[:, columns]
                    dS -= c[head][rows]
                dS *= E
                if grad_query is not None:
                    grad_query[head][rows] += dS @ key[head][columns]
                if grad_key is not None:
                    grad_key[head][columns] += dS.T @ scaled[head][rows]
                if grad_value is not None:
                    if M is not None:
                        E *= M[:, columns]
                    grad_value[head][columns] += E.T @ fG[head][rows]

    parallel_for(attend_backward, blocks.heads(), after_products=True)
    if grad_query is not None:
        grad_query *= options.scale  # dK has it in `scaled`


def _with_column(array: np.ndarray, column: np.ndarray | int) -> np.ndarray:
    """(..., N, D) -> (..., N, D + 1)"""
    column = np.asarray(column, np.result_type(array, column))
    column = np.broadcast_to(column, (*array.shape[:-1], 1))
    return np.concatenate([array, column], -1)


class Blocks:
    """The matrix of scores (..., T, S), of which only a block exists at a time."""

    def __init__(self, scaled: np.ndarray, key: np.ndarray, options: ScoreOptions):
        """`scaled` (..., T, D): the queries times the scale."""
        self.scaled, self.key = scaled, key
        self.shape = *scaled.shape[:-1], key.shape[-2]  # (..., T, S)
        self.dtype = np.result_type(scaled, key)
        self.is_causal, self.dropout = options.is_causal, options.dropout
        self.mask = None if options.mask is None else np.broadcast_to(options.mask, self.shape)
        self.real_type = np.empty(0, self.dtype).real.dtype.type

    def heads(self) -> list[tuple[int, ...]]:
        """The index of every head of every sentence: none depends on another."""
        return list(np.ndindex(self.shape[:-2]))

    def rows(self) -> Iterator[slice]:
        """The blocks of queries."""
        for start in range(0, self.shape[-2], QUERY_BLOCK):
            yield slice(start, min(start + QUERY_BLOCK, self.shape[-2]))

    def columns(self, head: tuple[int, ...],
                rows: slice) -> Iterator[tuple[slice, np.ndarray | None]]:
        """(columns, added): the blocks of keys in which some of these queries may attend to
        something, and what is added to the scores there (None: nothing). No block above the
        diagonal is made."""
        keys = min(self.shape[-1], rows.stop) if self.is_causal else self.shape[-1]
        for start in range(0, keys, KEY_BLOCK):
            columns = slice(start, min(start + KEY_BLOCK, keys))
            mask = None if self.mask is None else self.mask[head][rows, columns]
            if mask is not None and mask.all():
                mask = None
            on_diagonal = self.is_causal and columns.stop > rows.start + 1
            added, has_keys = additive_mask(rows.stop - rows.start, columns.stop - start, mask,
                                            on_diagonal, self.real_type, rows.start - start)
            if has_keys is None or has_keys.any():
                yield columns, added

    def scores(self, head: tuple[int, ...], rows: slice, columns: slice,
               added: np.ndarray | None) -> np.ndarray:
        """One block, in a new array: LOWEST, and thus no weight, where attention is forbidden."""
        scores = self.scaled[head][rows] @ self.key[head][columns].T
        if added is not None:
            scores += added
        return scores

    def kept_rows(self, head: tuple[int, ...], rows: slice) -> np.ndarray | None:
        """(rows, S) of dropout's M, the same as attention_forward's for all of (..., T, S): whole
        rows, which lie side by side in the flat array. None without dropout."""
        if self.dropout is None:
            return None
        queries, keys = self.shape[-2:]
        number = int(np.ravel_multi_index(head, self.shape[:-2]))
        return kept_elements(self.dropout, (rows.stop - rows.start, keys),
                             (number * queries + rows.start) * keys)
