"""Attention as one node: see composed.scaled_dot_product_attention for the formula.

The large arrays are those of queries by keys, so as few passes as possible go over them: the scale
goes into the queries, the softmax's division into the output, the sum in the softmax's backward is
taken over the output instead (Dao et al. 2022, "FlashAttention", appendix B.2).
"""

from __future__ import annotations

import math

import numpy as np

from minibert.autograd.arithmetic import unbroadcast
from minibert.autograd.blocked_attention import scaled_dot_product_attention as blocked_attention
from minibert.autograd.masks import LOWEST, allowed_positions, dropout_mask
from minibert.autograd.rows import row_max, row_sum
from minibert.autograd.tensor import Tensor

# Queries times keys from which attention goes block by block: see blocked_attention.py.
BLOCKED_FROM = 1024 * 1024


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor,
                                 attn_mask: Tensor | np.ndarray | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False,
                                 scale: float | None = None, query_offset: int = 0,
                                 rng: np.random.Generator | None = None) -> Tensor:
    """See composed.scaled_dot_product_attention.

    With E the exponentials (zero where masked), r = 1 / their row sums (zero for an empty row) and
    K dropout's mask with its scale: O = r (E K) V, and backward, from G:
        dV = (E K)^T (r G),   dS = E ((r G V^T) K - sum_d r G O),   dQ = dS K,   dK = dS^T Q.
    """
    if query.shape[-2] * key.shape[-2] >= BLOCKED_FROM:
        return blocked_attention(query, key, value, attn_mask, dropout_p, is_causal, scale,
                                 query_offset, rng)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scaled = query.data * scale
    exponentials = np.matmul(scaled, key.data.swapaxes(-1, -2))  # (..., T, S), yet scores
    bias = attn_mask if isinstance(attn_mask, Tensor) else None
    if bias is not None:
        exponentials = exponentials + bias.data
    allowed = allowed_positions(query.shape[-2], key.shape[-2], attn_mask if bias is None else None,
                                is_causal, query_offset)
    inverse = _exponentials(exponentials, allowed)
    keep, factor = None, inverse
    if dropout_p:
        keep, keep_scale = dropout_mask(exponentials.shape, dropout_p, rng)
        factor = inverse * keep_scale
    output = np.matmul(_kept(exponentials, keep), value.data)
    output *= factor

    def scaled_dot_product_attention_backward(grad):
        weighted = grad * factor  # r G, with dropout's scale
        grad_scores = np.matmul(weighted, value.data.swapaxes(-1, -2))
        if keep is not None:
            grad_scores *= keep
        grad_scores -= (grad * output).sum(-1, keepdims=True) * inverse
        grad_scores *= exponentials
        grad_query = grad_key = grad_value = None
        if value.requires_grad:
            grad_value = np.matmul(_kept(exponentials, keep).swapaxes(-1, -2), weighted)
        if query.requires_grad:
            grad_query = np.matmul(grad_scores, key.data)
            grad_query *= scale
        if key.requires_grad:
            grad_key = np.matmul(grad_scores.swapaxes(-1, -2), scaled)
        if bias is None:
            return grad_query, grad_key, grad_value
        grad_bias = unbroadcast(grad_scores, bias.shape) if bias.requires_grad else None
        return grad_query, grad_key, grad_value, grad_bias

    inputs = (query, key, value) if bias is None else (query, key, value, bias)
    return Tensor.from_op(output, inputs, scaled_dot_product_attention_backward)


def _kept(exponentials: np.ndarray, keep: np.ndarray | None) -> np.ndarray:
    return exponentials if keep is None else exponentials * keep


def _exponentials(scores: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Turn scores (..., T, S) into the exponentials of a softmax, in place; return the inverse row
    sums (..., T, 1). They are zero for a row that may attend to nothing: whatever its exponentials
    are, they count for nothing in both directions."""
    if allowed is not None:
        # adding 0 or LOWEST to all is much faster than writing LOWEST where needed
        scores += np.where(allowed, 0, np.asarray(LOWEST, scores.real.dtype))
    rows = scores.reshape(-1, scores.shape[-1])  # a view: the scores are our own
    rows -= row_max(rows)
    np.exp(rows, out=rows)
    sums = row_sum(rows).reshape(*scores.shape[:-1], 1)  # at least 1
    return 1 / sums if allowed is None else allowed.any(-1, keepdims=True) / sums
