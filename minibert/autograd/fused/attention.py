"""Attention as one node: see reference.scaled_dot_product_attention for the formula.

The large arrays are those of queries by keys, so as few passes as possible go over them: the scale
goes into the queries, the softmax's division into the output, the sum in the softmax's backward is
taken over the output instead (Dao et al. 2022, "FlashAttention", appendix B.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from minibert.autograd.attention_masks import added_to_scores, dropout_mask
from minibert.autograd.elementwise import unbroadcast
from minibert.autograd.fused.flash_attention import attention_in_blocks
from minibert.autograd.fused.row_reductions import row_dot, row_max, row_sum
from minibert.autograd.tensor import Tensor

# Queries times keys from which attention goes block by block: see flash_attention.py. For 4 heads
# of width 64, forward and back, milliseconds on one core, plain and in blocks: 512 queries and keys
# 13 and 15 (causal 15 and 15), 1024: 55 and 60 (57 and 54), 2048: 222 and 229 (224 and 151).
BLOCKED_FROM = 1024 * 1024


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor,
                                 attn_mask: Tensor | np.ndarray | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False,
                                 scale: float | None = None, query_offset: int = 0,
                                 rng: np.random.Generator | None = None) -> Tensor:
    """See reference.scaled_dot_product_attention."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    inputs = (query, key, value)
    bias = (attn_mask,) if isinstance(attn_mask, Tensor) else ()
    dtype = np.result_type(*[tensor.data for tensor in (*inputs, *bias)])
    output = np.empty((*query.shape[:-1], value.shape[-1]), dtype)

    def separate(grad):
        grads = [np.empty(tensor.shape, dtype) if tensor.requires_grad else None
                 for tensor in inputs]
        return grads, grad, grads

    attention = _node_for(query.shape[-2], key.shape[-2])
    return attention(inputs, [tensor.data for tensor in inputs], output, output, separate,
                     attn_mask, dropout_p, is_causal, scale, query_offset, rng)


def multi_head_attention(qkv: Tensor, num_heads: int, attn_mask: np.ndarray | None = None,
                         dropout_p: float = 0.0, is_causal: bool = False,
                         rng: np.random.Generator | None = None) -> Tensor:
    """See reference.multi_head_attention. BLAS reads the heads where they lie among the others, and
    writes results and gradients back among theirs: nothing is copied or filled with zeros only to
    be added up (a training step takes 3 % less time at demos/benchmark's MINI, 10 % at TOY)."""
    B, T, width = qkv.shape
    output = np.empty((B, T, width // 3), qkv.dtype)
    mixed, = _heads(output, 1, num_heads)  # a view, like all of _heads

    def side_by_side(grad):
        grad_qkv = np.empty(qkv.shape, qkv.dtype)
        return (grad_qkv,), _heads(grad, 1, num_heads)[0], _heads(grad_qkv, 3, num_heads)

    attention = _node_for(T, T)
    heads = _heads(qkv.data, 3, num_heads)
    return attention((qkv,), heads, output, mixed, side_by_side, attn_mask, dropout_p, is_causal,
                     1 / math.sqrt(heads.shape[-1]), 0, rng)


def _heads(array: np.ndarray, parts: int, num_heads: int) -> np.ndarray:
    """A view: (B, T, parts * H * D) -> (parts, B, H, T, D)."""
    B, T, width = array.shape
    D = width // (parts * num_heads)
    return array.reshape(B, T, parts, num_heads, D).transpose(2, 0, 3, 1, 4)


def _node_for(queries: int, keys: int) -> Callable:
    """The function that makes the node of either function above: they differ in where the heads
    lie, which does not matter to it."""
    return attention_in_blocks if queries * keys >= BLOCKED_FROM else attention_in_one


def attention_in_one(inputs: tuple[Tensor, ...], heads: Sequence[np.ndarray], output: np.ndarray,
                     mixed: np.ndarray, lay_out: Callable, attn_mask: Tensor | np.ndarray | None,
                     dropout_p: float, is_causal: bool, scale: float, query_offset: int,
                     rng: np.random.Generator | None) -> Tensor:
    """All scores at a time.

    `heads` are the queries, keys and values (..., T or S, D) of `inputs`, and `mixed` (..., T, D)
    the part of `output` where the result goes. `lay_out(grad)` gives the arrays to be returned as
    gradients, `grad` as heads, and the three heads' gradients in those arrays, to be filled in.

    With E the exponentials, r = 1 / their row sums (zero for a row that sees nothing: its E is
    not), M dropout's mask of 0 and 1 and f = r times its scale: O = f (E M) V. Backward, from G:
        dV = (E M)^T (f G),   dS = E ((f G V^T) M - r sum_d G O),   dQ = dS K,   dK = dS^T Q.
    """
    query, key, value = heads
    scores = np.matmul(query * scale, key.swapaxes(-1, -2))  # (..., T, S)
    bias = attn_mask if isinstance(attn_mask, Tensor) else None
    if bias is not None:
        scores = scores + bias.data
        inputs = (*inputs, bias)
    added, seen = added_to_scores(query.shape[-2], key.shape[-2],
                                  attn_mask if bias is None else None,
                                  is_causal, query_offset, scores.real.dtype.type)
    if added is not None:
        scores += added
    exponentials, sums = _exponentials(scores)  # E
    inverse = 1 / sums if seen is None else seen / sums  # r
    keep, factor = None, inverse  # M, f
    if dropout_p:
        keep, keep_scale = dropout_mask(scores.shape, dropout_p, rng)
        factor = inverse * keep_scale
    np.matmul(exponentials if keep is None else exponentials * keep, value, out=mixed)
    mixed *= factor

    def scaled_dot_product_attention_backward(grad):
        grads, grad, (grad_query, grad_key, grad_value) = lay_out(grad)
        weighted = grad * factor  # f G
        grad_scores = np.matmul(weighted, value.swapaxes(-1, -2))
        if keep is not None:
            grad_scores *= keep
        grad_scores -= row_dot(grad, mixed) * inverse
        grad_scores *= exponentials
        if grad_value is not None:
            kept = exponentials if keep is None else exponentials * keep
            np.matmul(kept.swapaxes(-1, -2), weighted, out=grad_value)
        if grad_query is not None:
            np.matmul(grad_scores, key, out=grad_query)
            grad_query *= scale
        if grad_key is not None:
            np.matmul(grad_scores.swapaxes(-1, -2), query, out=grad_key)
            grad_key *= scale
        if bias is None:
            return tuple(grads)
        return *grads, unbroadcast(grad_scores, bias.shape) if bias.requires_grad else None

    return Tensor.from_op(output, inputs, scaled_dot_product_attention_backward)


def _exponentials(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The exponentials (..., T, S) of a softmax and their row sums (..., T, 1), which are at least
    1; written over the scores if these are in C order (the heads might have lain otherwise)."""
    rows = scores.reshape(-1, scores.shape[-1])
    rows -= row_max(rows)
    np.exp(rows, out=rows)
    return rows.reshape(scores.shape), row_sum(rows).reshape(*scores.shape[:-1], 1)
