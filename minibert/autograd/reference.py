"""The functions of a Transformer as the textbooks write them, from primitive ops.

These are the definitions: short, slow and to be read. fused/ has the same names as one node each
(adamw_step is AdamW.update in training/optim.py), and the tests hold the two equal, values and
gradients. No function here has a backward of its own: those of the primitive ops are enough. Inputs
are tensors (ids and masks: arrays) that functional.py has checked. hook_point(name, x) returns x,
an activation that has this name (see hooks.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minibert.autograd.attention_masks import LOWEST, allowed_positions
from minibert.autograd.dropout_masks import dropout_mask
from minibert.autograd.hooks import hook_point
from minibert.autograd.ops import (erf, exp, log, masked_fill, sigmoid, split, sqrt, squeeze, stack,
                                   take_along_axis, tanh, where)
from minibert.autograd.reductions import Axis
from minibert.autograd.tensor import Tensor

# ---- softmax and its logarithm -----------------------------------------------------------------


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) (Bridle 1990). Subtracting the largest x changes no result and
    keeps every exponential within [0, 1]."""
    exponentials = exp(x - _largest(x, axis))
    return exponentials / exponentials.sum(axis, keepdims=True)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """log softmax(x), without the logarithm of a number that may have become zero."""
    shifted = x - _largest(x, axis)
    return shifted - log(exp(shifted).sum(axis, keepdims=True))


def logsumexp(x: Tensor, axis: Axis = -1, keepdims: bool = False) -> Tensor:
    """log sum_j exp(x_j), the smooth maximum; an infinite largest x is not subtracted (inf - inf is
    NaN)."""
    largest = _largest(x, axis)
    largest = np.where(np.isfinite(largest), largest, largest.dtype.type(0))
    result = log(exp(x - largest).sum(axis, keepdims=True)) + largest
    return result if keepdims else squeeze(result, axis)


def _largest(x: Tensor, axis: Axis) -> np.ndarray:
    """A constant, not a tensor: subtracting it changes no result, so it needs no gradient."""
    return x.data.real.max(axis, keepdims=True)


# ---- layers ------------------------------------------------------------------------------------


def layer_norm(x: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Ba, Kiros & Hinton 2016, "Layer Normalization", eq. 4; the variance is the biased one."""
    axes = tuple(range(-len(normalized_shape), 0))
    centred = x - x.mean(axes, keepdims=True)
    variance = (centred * centred).mean(axes, keepdims=True)
    normalized = centred / hook_point("hook_scale", sqrt(variance + eps))
    if weight is not None:
        normalized = normalized * weight
    return hook_point("hook_normalized", normalized if bias is None else normalized + bias)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function at x (Hendrycks & Gimpel 2016, section 2); "tanh" is
    their approximation in the same section, which GPT-2 uses."""
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1 + tanh(inner))
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    return x @ weight.T if bias is None else x @ weight.T + bias


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None = None,
                approximate: str = "none") -> Tensor:
    """The GELU of x W^T + b: (..., in) and (out, in) -> (..., out)."""
    x = hook_point("hook_pre", linear(x, weight, bias))
    return hook_point("hook_post", gelu(x, approximate))


def embedding(ids: np.ndarray, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of `weight` (V, C): ids (...) -> (..., C); row `padding_idx` is a constant."""
    if padding_idx is None:
        return weight[ids]
    return where((ids == padding_idx)[..., None], weight.detach()[ids], weight[ids])


def dropout(x: Tensor, p: float, rng: np.random.Generator) -> Tensor:
    """Each element is zeroed with probability p and the others divided by 1 - p, so that the mean
    stays ("inverted" dropout; Srivastava et al. 2014, section 10)."""
    keep, scale = dropout_mask(x.shape, p, rng)
    return x * (keep * np.asarray(scale, x.data.real.dtype))


# ---- recurrence --------------------------------------------------------------------------------


def lstm(x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
         hx: Sequence[Tensor] = (), lengths: np.ndarray | None = None, reverse: bool = False
         ) -> Tensor:
    """Long short-term memory (Hochreiter & Schmidhuber 1997), with the forget gate of Gers et al.
    2000; the letters (I input size, H hidden size) and the order of the gates are PyTorch's. The
    cell c is added to, not multiplied by a matrix: its gradient through many steps is a product of
    forget gates.

    x (B, T, I), weight_ih (4 H, I), weight_hh (4 H, H), biases (4 H,), hx: h_0 and c_0 (B, H), or
    zeros, -> (2, B, T, H): the hidden state h and the cell c after each step. `reverse`: from the
    last step to the first. lengths (B,): a step at t >= length leaves h and c as they are.
    """
    (B, T, _), H = x.shape, weight_hh.shape[1]
    h, c = hx or [Tensor(np.zeros((B, H), x.data.real.dtype))] * 2
    hidden, cells = [h] * T, [c] * T
    for t in reversed(range(T)) if reverse else range(T):
        z = x[:, t] @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh  # (B, 4 H)
        i, f, g, o = split(z, 4, axis=1)
        c_next = sigmoid(f) * c + sigmoid(i) * tanh(g)  # (B, H)
        h_next = sigmoid(o) * tanh(c_next)
        if lengths is not None:
            is_token = (t < lengths)[:, None]
            h_next, c_next = where(is_token, h_next, h), where(is_token, c_next, c)
        h, c = h_next, c_next
        hidden[t], cells[t] = h, c
    return stack([stack(hidden, axis=1), stack(cells, axis=1)])


# ---- losses ------------------------------------------------------------------------------------


def cross_entropy(logits: Tensor, targets: np.ndarray, weight: np.ndarray | None,
                  ignore_index: int, reduction: str, label_smoothing: float) -> Tensor:
    """-sum_c q_c log softmax(logits)_c, where q is the target distribution: all on the target
    class, or the given probabilities; smoothing mixes q with the uniform distribution (Szegedy et
    al. 2016, "Rethinking the Inception Architecture", section 7).

    (N, V, ...) with targets (N, ...) or probabilities (N, V, ...). A mean of classes is weighted by
    the class weights, and is zero where all targets are ignored.
    """
    axis = min(1, logits.ndim - 1)  # of the classes: (V,) alone is one example
    log_probabilities = log_softmax(logits, axis)  # (N, V, ...)
    classes, dtype = logits.shape[axis], log_probabilities.data.real.dtype
    if weight is not None:  # (V,) -> (V, 1, ...), to broadcast with (N, V, ...)
        weight = weight.reshape((-1,) + (1,) * (logits.ndim - 1 - axis))
    if targets.dtype.kind == "f":
        q = targets * (1 - label_smoothing) + label_smoothing / classes  # (N, V, ...)
        q = q if weight is None else q * weight
        losses = -(masked_fill(log_probabilities, q == 0, 0.0) * q).sum(axis)  # 0 * -inf is NaN
        count = losses.size
    else:
        valid = targets != ignore_index  # (N, ...)
        index = np.expand_dims(np.where(valid, targets, 0), axis)  # (N, 1, ...)
        # (N, ...): the weight of each target, that of its class, 0 if ignored
        q = valid.astype(dtype) if weight is None else weight.ravel()[index].squeeze(axis) * valid
        picked = squeeze(take_along_axis(log_probabilities, index, axis), axis)
        losses = masked_fill(picked, q == 0, 0.0) * -q
        if label_smoothing:
            weighted = log_probabilities if weight is None else log_probabilities * weight
            uniform = weighted.sum(axis) * (-1 / classes * valid.astype(dtype))  # q = 1 / V
            losses = (1 - label_smoothing) * losses + label_smoothing * uniform
        count = float(q.sum()) or 1.0
    if reduction == "none":
        return losses
    return losses.sum() / count if reduction == "mean" else losses.sum()


def linear_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor | None, targets: np.ndarray,
                         ignore_index: int, reduction: str) -> Tensor:
    """The loss of a language model's head: x (..., C), weight (V, C), bias (V,), targets (...)."""
    logits = linear(x, weight, bias).reshape(-1, weight.shape[0])
    return cross_entropy(logits, targets.reshape(-1), None, ignore_index, reduction, 0.0)


# ---- the optimizer -----------------------------------------------------------------------------


def adamw_step(w: np.ndarray, grad: np.ndarray, m: np.ndarray, v: np.ndarray, step: int, lr: float,
               betas: tuple[float, float], eps: float,
               weight_decay: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The new w, m and v (all of one shape) after step number `step` = 1, 2, ... of AdamW
    (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2)."""
    beta1, beta2 = betas
    w = w - lr * weight_decay * w
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad * grad
    w = w - lr * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + eps)
    return w, m, v


# ---- attention ---------------------------------------------------------------------------------


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor,
                                 attn_mask: Tensor | np.ndarray | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False,
                                 scale: float | None = None,
                                 rng: np.random.Generator | None = None,
                                 attentions: list[Tensor] | None = None) -> Tensor:
    """softmax(Q K^T / sqrt(D)) V (Vaswani et al. 2017, eq. 1).

    query (..., T, D), key (..., S, D), value (..., S, D) -> (..., T, D). The rows of the weights
    (..., T, S) add up to 1, or are all zero where a query may attend to nothing; before dropout
    they are appended to `attentions`, if there is such a list.
    """
    T, S, D = query.shape[-2], *key.shape[-2:]
    scale = 1 / math.sqrt(D) if scale is None else scale
    query, key = hook_point("hook_q", query), hook_point("hook_k", key)
    scores = hook_point("hook_qk", query @ key.swapaxes(-1, -2) * scale)  # (..., T, S)
    if attn_mask is not None and attn_mask.dtype != bool:
        scores, attn_mask = scores + attn_mask, None
    allowed = allowed_positions(T, S, attn_mask, is_causal)
    if allowed is not None:
        scores = masked_fill(scores, ~allowed, LOWEST)
    weights = softmax(hook_point("hook_attn_scores", scores), -1)
    if allowed is not None:
        weights = masked_fill(weights, ~allowed, 0.0)  # the rows that have nothing allowed
    weights = hook_point("hook_pattern", weights)
    if attentions is not None:
        attentions.append(weights)
    if dropout_p:
        weights = dropout(weights, dropout_p, rng)
    return hook_point("hook_z", weights @ hook_point("hook_v", value))  # (..., T, D)


def attention_by_loops(query: np.ndarray, key: np.ndarray, value: np.ndarray,
                       allowed: np.ndarray) -> np.ndarray:
    """The same of one head, one query and one key at a time: (T, D), (S, D), (S, D) and a boolean
    mask (T, S) -> (T, D). The definition by plain numbers, which the tests compare with."""
    output = np.zeros((len(query), value.shape[1]))
    for t in range(len(query)):
        keys = [s for s in range(len(key)) if allowed[t, s]]
        scores = [query[t] @ key[s] / math.sqrt(len(query[t])) for s in keys]
        total = sum([math.exp(score - max(scores)) for score in scores])
        for s, score in zip(keys, scores):
            output[t] += math.exp(score - max(scores)) / total * value[s]
    return output
