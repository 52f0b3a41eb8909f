"""Attention over long texts: block by block, without ever holding the (T, S) matrix of weights.

The formula is that of reference.scaled_dot_product_attention. What changes is what is kept in
memory: T x S numbers in the plain implementation, a few of T x D here (Dao et al. 2022,
"FlashAttention", algorithms 1 and 2; Milakov & Gimelshein 2018 for the softmax in one pass). Two
ideas make it work.

*A softmax in pieces.* A row of weights is exp(s - m) / sum exp(s - m), with m the row's largest
score. Reading the scores block by block, m is not known before the end; so take the largest one so
far. When a block brings a larger one, all that was added up before, the sum of the exponentials and
the values that they were mixed with, is too large by the factor exp(m_new - m_old): multiply it by
exp(m_old - m_new) and go on. At the end divide the mixture by the sum. Nothing was approximated.

*Forget and compute again.* Backward needs the weights, too. But from Q and K and the two numbers of
each row (m and the sum) any block of them can be made again, by the one product that made it first.
Dropout's bits are found again by their address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from minibert.autograd.attention_masks import LOWEST, DropoutKey, added_to_scores, dropout_key, kept
from minibert.autograd.elementwise import unbroadcast
from minibert.autograd.fused.row_reductions import row_dot, row_max, row_sum
from minibert.autograd.fused.threads import parallel_for
from minibert.autograd.tensor import Tensor

# Queries and keys in a block: its scores (512 KiB in float32) stay in a core's cache.
QUERY_BLOCK, KEY_BLOCK = 256, 512


def attention_in_blocks(inputs: tuple[Tensor, ...], heads: Sequence[np.ndarray],
                        output: np.ndarray, mixed: np.ndarray, lay_out: Callable,
                        attn_mask: Tensor | np.ndarray | None, dropout_p: float, is_causal: bool,
                        scale: float, query_offset: int, rng: np.random.Generator | None) -> Tensor:
    """See fused_attention.attention_in_one for the arguments and the gradients, which are computed
    here for one block after another. E, r, M, f and G are named as there."""
    query, key, value = heads
    scaled = query * scale
    bias = attn_mask if isinstance(attn_mask, Tensor) else None
    if bias is not None:
        inputs = (*inputs, bias)
    blocks = Blocks(scaled, key, attn_mask, is_causal, query_offset)
    dropout = dropout_key(dropout_p, rng) if dropout_p else None
    highest, inverse, factor = _mix_values(blocks, value, dropout, mixed)

    def scaled_dot_product_attention_backward(grad):
        grads, grad, (grad_query, grad_key, grad_value) = lay_out(grad)
        for array in (grad_query, grad_key, grad_value):
            if array is not None:
                array[...] = 0  # what comes from lay_out is empty, and each block adds to it
        grad_bias = None
        if bias is not None and bias.requires_grad:
            grad_bias = np.zeros(bias.shape, output.dtype)
        weighted = grad * factor  # f G
        in_common = row_dot(grad, mixed) * inverse  # r sum_d G O
        # S - m and f G V^T - r sum_d G O come out of one product each, such as (Q, -m) (K, 1)^T: a
        # column more costs 1 % of it, a pass over its result up to a third. (Not the second one
        # with dropout, whose M comes before the difference.) `lowered` is asked for scores only
        lowered = Blocks(_with_column(scaled, -highest), _with_column(key, 1),
                         attn_mask, is_causal, query_offset)
        weighted_lowered = _with_column(weighted, -in_common)
        value_and_one = _with_column(value, 1)

        def attend_backward(head):
            for rows in blocks.rows():
                keep_rows = blocks.kept_in(head, rows, dropout)
                for columns, added in blocks.columns(head, rows):
                    exponentials = lowered.scores(head, rows, columns, added)
                    np.exp(exponentials, out=exponentials)
                    if keep_rows is None:
                        grad_scores = weighted_lowered[head][rows] @ value_and_one[head][columns].T
                    else:
                        grad_scores = weighted[head][rows] @ value[head][columns].T
                        grad_scores *= keep_rows[:, columns]
                        grad_scores -= in_common[head][rows]
                    grad_scores *= exponentials
                    if grad_query is not None:
                        grad_query[head][rows] += grad_scores @ key[head][columns]
                    if grad_key is not None:
                        grad_key[head][columns] += grad_scores.T @ scaled[head][rows]
                    if grad_bias is not None:
                        _add_block(grad_bias, grad_scores, head, rows, columns)
                    if grad_value is not None:
                        if keep_rows is not None:
                            exponentials *= keep_rows[:, columns]
                        grad_value[head][columns] += exponentials.T @ weighted[head][rows]

        if grad_bias is None:
            parallel_for(attend_backward, blocks.heads(), after_products=True)
        else:  # where heads may share a bias, they must not add to its gradient at once
            for head in blocks.heads():
                attend_backward(head)
        if grad_query is not None:
            grad_query *= scale
        return tuple(grads) if bias is None else (*grads, grad_bias)

    return Tensor.from_op(output, inputs, scaled_dot_product_attention_backward)


def _mix_values(blocks: Blocks, value: np.ndarray, dropout: DropoutKey | None,
                mixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fill `mixed` (..., T, D) with f (E M) V, for all heads; -> m, r and f, all (..., T, 1)."""
    inverse = np.empty((*blocks.shape[:-1], 1), blocks.dtype)
    highest = np.empty_like(inverse.real)
    keep_scale = dropout.scale if dropout else 1.0

    def attend(place):
        head, rows = place
        keep_rows = blocks.kept_in(head, rows, dropout)
        mixture, highest[head][rows], inverse[head][rows] = _online_softmax(
            blocks, head, rows, value[head], keep_rows)
        np.multiply(mixture, inverse[head][rows] * keep_scale, out=mixed[head][rows])

    places = [(head, rows) for head in blocks.heads() for rows in blocks.rows()]
    parallel_for(attend, places, after_products=True)
    return highest, inverse, inverse * keep_scale


def _with_column(array: np.ndarray, column: np.ndarray | int) -> np.ndarray:
    """(..., N, D) -> (..., N, D + 1)"""
    column = np.asarray(column, np.result_type(array, column))
    column = np.broadcast_to(column, (*array.shape[:-1], 1))
    return np.concatenate([array, column], -1)


def _online_softmax(blocks: Blocks, head: tuple[int, ...], rows: slice, values: np.ndarray,
                    keep_rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For some queries of one head: (E M) V, the largest scores m, and r."""
    total = np.zeros((rows.stop - rows.start, 1), blocks.dtype)
    mixed = np.zeros((len(total), values.shape[-1]), np.result_type(blocks.dtype, values))
    m = np.full_like(total.real, LOWEST)
    for columns, added in blocks.columns(head, rows):
        scores = blocks.scores(head, rows, columns, added)
        higher = np.maximum(m, row_max(scores))
        correction = np.exp(m - higher)  # of what was added up under a lower m
        m = higher
        scores -= m
        exponentials = np.exp(scores, out=scores)
        total = total * correction + row_sum(exponentials)
        if keep_rows is not None:
            exponentials *= keep_rows[:, columns]
        mixed *= correction
        mixed += exponentials @ values[columns]
    # a row that sees nothing has added up exp(LOWEST - LOWEST), which means nothing; no score that
    # counts comes anywhere near half of LOWEST
    seen = m > LOWEST / 2
    return mixed, m, seen / np.where(seen, total, 1)


class Blocks:
    """The matrix of scores (..., T, S), of which only a block exists at a time."""

    def __init__(self, scaled: np.ndarray, key: np.ndarray, attn_mask: Tensor | np.ndarray | None,
                 is_causal: bool, query_offset: int):
        self.scaled, self.key = scaled, key
        self.shape = *scaled.shape[:-1], key.shape[-2]  # (..., T, S)
        self.dtype = np.result_type(scaled, key)
        self.is_causal, self.offset = is_causal, query_offset
        self.bias = self.mask = None  # broadcast: views that repeat what is there
        if isinstance(attn_mask, Tensor):
            self.bias = np.broadcast_to(attn_mask.data, self.shape)
            self.dtype = np.result_type(self.dtype, self.bias)
        elif attn_mask is not None:
            self.mask = np.broadcast_to(attn_mask, self.shape)
        self.real_type = np.empty(0, self.dtype).real.dtype.type

    def heads(self) -> list[tuple[int, ...]]:
        """Every head of every sentence: they know nothing of each other."""
        return list(np.ndindex(self.shape[:-2]))

    def rows(self) -> Iterator[slice]:
        """Some queries after the other."""
        for start in range(0, self.shape[-2], QUERY_BLOCK):
            yield slice(start, min(start + QUERY_BLOCK, self.shape[-2]))

    def columns(self, head: tuple[int, ...],
                rows: slice) -> Iterator[tuple[slice, np.ndarray | None]]:
        """(columns, added): the blocks of keys in which some of these queries may see something,
        and what is added to the scores there (None: nothing). What lies above the diagonal is
        never made."""
        keys = self.shape[-1]
        if self.is_causal:
            keys = max(0, min(keys, rows.stop + self.offset))  # the last query sees these
        for start in range(0, keys, KEY_BLOCK):
            columns = slice(start, min(start + KEY_BLOCK, keys))
            allowed = None if self.mask is None else self.mask[head][rows, columns]
            if allowed is not None and allowed.all():
                allowed = None
            offset = rows.start + self.offset - start
            on_diagonal = self.is_causal and columns.stop - start > offset + 1
            added, seen = added_to_scores(rows.stop - rows.start, columns.stop - start, allowed,
                                          on_diagonal, offset, self.real_type)
            if seen is None or seen.any():
                yield columns, added

    def scores(self, head: tuple[int, ...], rows: slice, columns: slice,
               added: np.ndarray | None) -> np.ndarray:
        """One block, in a new array: LOWEST, and thus no weight, where nothing may be seen."""
        scores = self.scaled[head][rows] @ self.key[head][columns].T
        if self.bias is not None:
            scores = scores + self.bias[head][rows, columns]
        if added is not None:
            scores += added
        return scores

    def kept_in(self, head: tuple[int, ...], rows: slice,
                dropout: DropoutKey | None) -> np.ndarray | None:
        """(rows, S) of dropout's mask, the same that `dropout_mask` gives for all of (..., T, S):
        whole rows, which lie side by side in the flat array."""
        if dropout is None:
            return None
        queries, keys = self.shape[-2:]
        number = 0  # of the head
        for index, length in zip(head, self.shape):
            number = number * length + index
        start = (number * queries + rows.start) * keys
        count = (rows.stop - rows.start) * keys
        return kept(dropout.key, dropout.dropped, start, count).reshape(-1, keys)


def _add_block(grad: np.ndarray, block: np.ndarray, head: tuple[int, ...], rows: slice,
               columns: slice) -> None:
    """Add a block of the scores' gradient to that of a float mask, which may be broadcast."""
    full = grad.reshape((1,) * (len(head) + 2 - grad.ndim) + grad.shape)
    part = full[tuple([index if length > 1 else 0 for index, length in zip(head, full.shape)])]
    part = part[rows if part.shape[0] > 1 else slice(None),
                columns if part.shape[1] > 1 else slice(None)]
    part += unbroadcast(block, part.shape)
