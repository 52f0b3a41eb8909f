"""Attention as one op: see reference.scaled_dot_product_attention for the definition.

Letters, for each head: Q (T, D), K (S, D), V (S, D); the scores S = scale Q K^T + bias (in shapes S
is the number of keys); E = exp(S - rowmax(S)); r = 1 / row sum of E (0 for a row that may attend to
nothing); P = r E is the softmax. Dropout multiplies P by M (0 or 1) and by 1 / (1 - p);
f = r / (1 - p). Without it M = 1 and f = r. Arrays of one shape, and r and f, multiply element by
element, others as matrices. Then

    O = f (E M) V.

The derivation of the backward, from G = dL/dO, begins with the textbook's chain rule. With the
dropped weights A = M P / (1 - p), so that O = A V:

    dV = A^T G            = (E M)^T (f G)                 f scales rows: of E M, or as well of G
    dP = M (G V^T) / (1 - p)
    dS = P (dP - rowsum(P dP))
    dQ = scale dS K,   dK = scale dS^T Q

The row sum needs no pass over (T, S): rowsum(P dP) = sum_s A_s (G . V_s) = G . sum_s A_s V_s =
rowsum(G O) (Dao et al. 2022, "FlashAttention", appendix B.2). And P dP = E M (f G V^T), so

    dS = E ((f G) V^T M - r rowsum(G O)).

The large arrays are those of (T, S); this form has the fewest passes over them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minibert.autograd.attention_masks import ScoreOptions, additive_mask
from minibert.autograd.dropout_masks import draw_dropout_key, kept_elements
from minibert.autograd.elementwise import unbroadcast
from minibert.autograd.fused.flash_attention import (flash_attention_backward,
                                                     flash_attention_forward)
from minibert.autograd.fused.row_reductions import row_dot, row_max, row_sum
from minibert.autograd.head_layout import HeadLayout, split_heads
from minibert.autograd.tensor import Tensor

# T times S from which the version for long texts runs, which has no bias. For 4 heads of width 64,
# forward and backward, milliseconds on one core, plain and flash: 512 queries and keys 13 and 15
# (causal 15 and 15), 1024: 55 and 60 (57 and 54), 2048: 222 and 229 (224 and 151).
FLASH_FROM = 1024 * 1024


class SavedWeights(NamedTuple):
    """Arrays of the forward that attention_backward uses."""

    E: np.ndarray  # (..., T, S)
    M: np.ndarray | None  # (..., T, S), boolean; None without dropout
    r: np.ndarray  # (..., T, 1)
    f: np.ndarray  # (..., T, 1)


def attention_forward(heads: Sequence[np.ndarray], options: ScoreOptions,
                      output: np.ndarray) -> SavedWeights:
    """Fill `output` (..., T, D) from `heads`: query (..., T, D), key and value (..., S, D)."""
    query, key, value = heads
    scores = np.matmul(query * options.scale, key.swapaxes(-1, -2))  # (..., T, S)
    if options.bias is not None:
        scores = scores + options.bias
    added, has_keys = additive_mask(query.shape[-2], key.shape[-2], options.mask, options.is_causal,
                                    scores.real.dtype.type)
    if added is not None:
        scores += added
    E, sums = exponentials_and_sums(scores)
    r = 1 / sums if has_keys is None else has_keys / sums
    M, f = None, r
    if options.dropout is not None:
        M, f = kept_elements(options.dropout, scores.shape), r * options.dropout.scale
    np.matmul(E if M is None else E * M, value, out=output)
    output *= f
    return SavedWeights(E, M, r, f)


def attention_backward(grad: np.ndarray, heads: Sequence[np.ndarray], options: ScoreOptions,
                       output: np.ndarray, saved: SavedWeights,
                       grads: Sequence[np.ndarray | None]) -> None:
    """Fill `grads`: those of query, key, value and any options.bias; None where none is needed.
    grad (..., T, D) is G; `heads`, `options` and `output` are those of the forward."""
    query, key, value = heads
    grad_query, grad_key, grad_value, grad_bias = (*grads, None)[:4]
    E, M, r, f = saved
    fG = f * grad
    dS = np.matmul(fG, value.swapaxes(-1, -2))  # (..., T, S)
    if M is not None:
        dS *= M
    dS -= r * row_dot(grad, output)
    dS *= E
    if grad_value is not None:
        np.matmul((E if M is None else E * M).swapaxes(-1, -2), fG, out=grad_value)
    if grad_query is not None:
        np.matmul(dS, key, out=grad_query)
        grad_query *= options.scale
    if grad_key is not None:
        np.matmul(dS.swapaxes(-1, -2), query, out=grad_key)
        grad_key *= options.scale
    if grad_bias is not None:
        grad_bias[...] = unbroadcast(dS, grad_bias.shape)


def exponentials_and_sums(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E (..., T, S) and its row sums (..., T, 1), which are at least 1; written over the scores if
    these are in C order."""
    rows = scores.reshape(-1, scores.shape[-1])
    rows -= row_max(rows)
    np.exp(rows, out=rows)
    return rows.reshape(scores.shape), row_sum(rows).reshape(*scores.shape[:-1], 1)


# ---- the ops: allocate, lay out, choose by length ------------------------------------------------


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor,
                                 attn_mask: Tensor | np.ndarray | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False,
                                 scale: float | None = None,
                                 rng: np.random.Generator | None = None) -> Tensor:
    """See reference.scaled_dot_product_attention."""
    inputs = (query, key, value)
    mask, bias = attn_mask, None
    if isinstance(attn_mask, Tensor):
        mask, bias, inputs = None, attn_mask.data, (*inputs, attn_mask)
    heads = (query.data, key.data, value.data)
    options = ScoreOptions(1 / math.sqrt(query.shape[-1]) if scale is None else scale, mask, bias,
                           is_causal, draw_dropout_key(dropout_p, rng) if dropout_p else None)
    dtype = np.result_type(*[tensor.data for tensor in inputs])
    output = np.empty((*query.shape[:-1], value.shape[-1]), dtype)
    forward, backward = attention_forward, attention_backward
    if query.shape[-2] * key.shape[-2] >= FLASH_FROM and bias is None:
        forward, backward = flash_attention_forward, flash_attention_backward
    saved = forward(heads, options, output)

    def scaled_dot_product_attention_backward(grad):
        grads = [np.empty(tensor.shape, dtype) if tensor.requires_grad else None
                 for tensor in inputs]
        backward(grad, heads, options, output, saved, grads)
        return tuple(grads)

    return Tensor.from_op(output, inputs, scaled_dot_product_attention_backward)


def multi_head_attention(inputs: Sequence[Tensor], layout: HeadLayout,
                         attn_mask: np.ndarray | None = None, dropout_p: float = 0.0,
                         is_causal: bool = False, rng: np.random.Generator | None = None) -> Tensor:
    """See functional.multi_head_attention; `inputs` are query and key_value, or all in one.

    BLAS reads the heads where they lie among the others and writes results and gradients among
    theirs: no copies, no gradients filled up with zeros to be added (a training step takes 3 % less
    time at demos/benchmark's MINI, 10 % at TOY).
    """
    query = inputs[0]
    heads = layout.split(*[tensor.data for tensor in inputs])
    options = ScoreOptions(1 / math.sqrt(layout.head_dim), attn_mask, None, is_causal,
                           draw_dropout_key(dropout_p, rng) if dropout_p else None)
    dtype = np.result_type(*[tensor.data for tensor in inputs])
    output = np.empty((*query.shape[:2], layout.query_width), dtype)  # (B, T, H D)
    output_heads = split_heads(output, layout.head_dim)  # (B, H, T, D), a view
    forward, backward = attention_forward, attention_backward
    if query.shape[1] * inputs[-1].shape[1] >= FLASH_FROM:
        forward, backward = flash_attention_forward, flash_attention_backward
    saved = forward(heads, options, output_heads)

    def multi_head_attention_backward(grad):
        grads = [np.empty(tensor.shape, dtype) for tensor in inputs]
        views = layout.split(*grads)  # to be filled in
        backward(split_heads(grad, layout.head_dim), heads, options, output_heads, saved, views)
        return tuple(grads)

    return Tensor.from_op(output, inputs, multi_head_attention_backward)
