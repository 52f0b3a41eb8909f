"""The functions that models are built from, under torch.nn.functional's names (`axis` for `dim`).

All but relu, mse_loss and l1_loss exist twice: in reference.py as the formula of the paper, written
with primitive ops, and in fused/ as one node with a hand-derived backward. Here each checks its
inputs, then runs the reference within `minibert.reference()`, else the fused implementation.
Errors are ValueError, TypeError or IndexError: "function: what was given, what is expected".
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

import numpy as np

from minibert.autograd import reference as reference_functions
from minibert.autograd.as_tensor import TensorLike, as_tensors, refuse_dim
from minibert.autograd.context_variables import set_within
from minibert.autograd.elementwise import relu
from minibert.autograd.fused import attention as fused_attention
from minibert.autograd.fused import layers as fused
from minibert.autograd.fused import losses as fused_losses
from minibert.autograd.fused import lstm as fused_lstm
from minibert.autograd.head_layout import HeadLayout, merge_heads
from minibert.autograd.input_checks import (attention_mask, check_dropout, check_linear,
                                            check_lstm, check_precision, check_range, check_shape,
                                            check_targets, constant_array, float_tensor,
                                            integer_array)
from minibert.autograd.reductions import Axis, one_axis, reduced_axes, reduced_count
from minibert.autograd.shapes import broadcast_to
from minibert.autograd.tensor import Tensor
from minibert.validate import number, one_of

__all__ = ["cross_entropy", "dropout", "embedding", "gelu", "l1_loss", "layer_norm", "linear",
           "linear_cross_entropy", "linear_gelu", "log_softmax", "logsumexp", "lstm", "mse_loss",
           "multi_head_attention", "relu", "scaled_dot_product_attention", "softmax"]

APPROXIMATIONS = ("none", "tanh")
REDUCTIONS = ("mean", "sum", "none")
IGNORE_INDEX = -100  # a target that does not count, as in PyTorch

_reference: ContextVar[bool] = ContextVar("reference", default=False)


def reference() -> AbstractContextManager:
    """Within it every function, so every model, runs as its definition in reference.py: slower, but
    each step of a formula is an op, in a debugger and in a trace. Optimizers stay as they are."""
    return set_within(_reference, True)


def reference_is_on() -> bool:
    """Whether the reference implementation runs."""
    return _reference.get()


# ---- softmax and its logarithm -----------------------------------------------------------------


def softmax(x: TensorLike, axis: int = -1, *, dim=None) -> Tensor:
    """exp(x) over its sum along `axis`: positive numbers that add up to 1.

    -inf has weight 0. A row with +inf, or of nothing but -inf, has no softmax: NaN, as in SciPy
    and PyTorch (attention gives a row without allowed keys zeros).
    """
    x = _along_axis("softmax", x, axis, dim)
    implementation = reference_functions if reference_is_on() else fused
    return implementation.softmax(x, axis)


def log_softmax(x: TensorLike, axis: int = -1, *, dim=None) -> Tensor:
    """The logarithm of softmax, exact even where softmax itself underflows to 0; NaN where softmax
    is."""
    x = _along_axis("log_softmax", x, axis, dim)
    implementation = reference_functions if reference_is_on() else fused
    return implementation.log_softmax(x, axis)


def logsumexp(x: TensorLike, axis: Axis = -1, keepdims: bool = False, *, dim=None) -> Tensor:
    """log sum exp(x) over `axis`, one or several (None: all).

    Nothing but -inf gives -inf, a +inf gives +inf, as in SciPy. The derivative is the softmax; with
    an infinite result it is not defined, and the gradient is NaN or 0.
    """
    x = float_tensor("logsumexp", "x", x)
    axes, _ = reduced_axes("logsumexp", x.shape, axis, dim)
    reduced_count("logsumexp", x.shape, axes)
    implementation = reference_functions if reference_is_on() else fused
    return implementation.logsumexp(x, axes, keepdims)


def _along_axis(op: str, x: TensorLike, axis: int, dim) -> Tensor:
    refuse_dim(op, dim)
    x = float_tensor(op, "x", x)
    reduced_count(op, x.shape, (one_axis(op, x.shape, axis),))
    return x


# ---- layers ------------------------------------------------------------------------------------


def layer_norm(x: TensorLike, normalized_shape: int | tuple[int, ...], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """x (..., *normalized_shape) with mean 0 and variance 1 over the last axes, times `weight` plus
    `bias` (both of normalized_shape)."""
    x = float_tensor("layer_norm", "x", x)
    if isinstance(normalized_shape, (int, np.integer)):
        normalized_shape = (int(normalized_shape),)
    normalized_shape = tuple(normalized_shape)
    if not normalized_shape or x.shape[-len(normalized_shape):] != normalized_shape:
        raise ValueError(f"layer_norm: shape {x.shape} does not end in normalized_shape "
                         f"{normalized_shape}")
    reduced_count("layer_norm", normalized_shape, tuple(range(len(normalized_shape))))
    check_shape("layer_norm", "weight", weight, normalized_shape)
    check_shape("layer_norm", "bias", bias, normalized_shape)
    implementation = reference_functions if reference_is_on() else fused
    return implementation.layer_norm(x, normalized_shape, weight, bias, eps)


def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """x times the normal distribution function: exact ("none", BERT) or by "tanh" (GPT-2)."""
    one_of("gelu: approximate", approximate, APPROXIMATIONS)
    x = float_tensor("gelu", "x", x)
    implementation = reference_functions if reference_is_on() else fused
    return implementation.gelu(x, approximate)


def linear(x: TensorLike, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    x, weight = as_tensors("linear", x, weight)
    check_linear("linear", x, weight, bias)
    implementation = reference_functions if reference_is_on() else fused
    return implementation.linear(x, weight, bias)


def linear_gelu(x: TensorLike, weight: Tensor, bias: Tensor | None = None,
                approximate: str = "none") -> Tensor:
    """gelu(linear(x, weight, bias), approximate): (..., in) -> (..., out). One function keeps less
    in memory until backward than two."""
    x, weight = as_tensors("linear_gelu", x, weight)
    check_linear("linear_gelu", x, weight, bias)
    one_of("linear_gelu: approximate", approximate, APPROXIMATIONS)
    implementation = reference_functions if reference_is_on() else fused
    return implementation.linear_gelu(x, weight, bias, approximate)


def embedding(ids: np.ndarray, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The rows of weight (V, C) that the integer array `ids` (...) names -> (..., C). The row
    `padding_idx` gets no gradient."""
    ids = integer_array("embedding", "ids", ids).copy()  # the caller may refill it
    if weight.ndim != 2:
        raise ValueError(f"embedding: expected a weight of shape (V, C), got {weight.shape}")
    check_range("embedding", "id", ids, len(weight))
    implementation = reference_functions if reference_is_on() else fused
    return implementation.embedding(ids, weight, padding_idx)


def dropout(x: TensorLike, p: float = 0.5, training: bool = True,
            rng: np.random.Generator | None = None) -> Tensor:
    """Zero each element with probability p and divide the others by 1 - p; x itself unless
    `training`. The choice comes from `rng`: there is no hidden global generator."""
    x = float_tensor("dropout", "x", x)
    check_dropout("dropout", p, training, rng)
    if not training or p == 0:
        return x
    implementation = reference_functions if reference_is_on() else fused
    return implementation.dropout(x, p, rng)


# ---- recurrence --------------------------------------------------------------------------------


def lstm(x: TensorLike, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
         hx: tuple[Tensor, Tensor] | None = None, lengths: np.ndarray | None = None,
         reverse: bool = False) -> Tensor:
    """One layer of LSTM in one direction: `hidden, cells = lstm(...)`, both (B, T, H).

    x (B, T, I), weight_ih (4 H, I), weight_hh (4 H, H), both biases (4 H,), the gates in PyTorch's
    order i, f, g, o. hx: h_0 and c_0 (B, H), the states before the first step, zeros unless given.
    `reverse` reads from the last token to the first. lengths (B,): from t = length on a row is
    padding, which changes no state, so hidden[:, -1] (in reverse hidden[:, 0]) is the last state.
    """
    x, weight_ih, weight_hh, *hx = as_tensors("lstm", x, weight_ih, weight_hh, *(hx or ()))
    if lengths is not None:
        lengths = integer_array("lstm", "lengths", lengths)
    check_lstm(x, (weight_ih, weight_hh, bias_ih, bias_hh), hx, lengths)
    implementation = reference_functions if reference_is_on() else fused_lstm
    return implementation.lstm(x, weight_ih, weight_hh, bias_ih, bias_hh, hx, lengths, reverse)


# ---- losses ------------------------------------------------------------------------------------


def mse_loss(x: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """The squared differences: their "mean", their "sum", or "none" for each. Equal shapes."""
    difference = _difference("mse_loss", x, target)
    return _reduced("mse_loss", difference * difference, reduction)


def l1_loss(x: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """The absolute differences: their "mean", their "sum", or "none" for each. Equal shapes."""
    return _reduced("l1_loss", abs(_difference("l1_loss", x, target)), reduction)


def _difference(op: str, x: TensorLike, target: TensorLike) -> Tensor:
    x, target = as_tensors(op, x, target)
    check_precision(op, "x", x)
    if x.shape != target.shape:
        raise ValueError(f"{op}: shapes {x.shape} and {target.shape} differ: a loss does not "
                         "broadcast")
    return x - target


def _reduced(op: str, losses: Tensor, reduction: str) -> Tensor:
    one_of(f"{op}: reduction", reduction, REDUCTIONS)
    if reduction == "mean" and not losses.size:
        raise ValueError(f"{op}: shape {losses.shape} has no elements to average")
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def cross_entropy(logits: TensorLike, targets: np.ndarray, weight: np.ndarray | None = None,
                  ignore_index: int = IGNORE_INDEX, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Tensor:
    """-log softmax(logits) at the targets.

    logits (N, V) or (N, V, ...): the classes are axis 1, as in PyTorch; (V,) alone is one example.
    targets: integers (N, ...), where `ignore_index` means no target, or probabilities in the
    logits' shape. weight (V,): a constant for each class. reduction "mean" (over the weights of
    the targets), "sum" or "none". Without a single valid target the loss and its gradient are 0.
    """
    logits = float_tensor("cross_entropy", "logits", logits)
    axis = min(1, logits.ndim - 1)  # of the classes; -1 for a single number
    if axis < 0 or not logits.shape[axis]:
        raise ValueError(f"cross_entropy: logits of shape {logits.shape} have no classes")
    classes, dtype = logits.shape[axis], logits.data.real.dtype
    targets = constant_array("cross_entropy", "targets", targets)
    if targets.dtype.kind == "f":
        if targets.shape != logits.shape:
            raise ValueError(f"cross_entropy: probabilities of shape {targets.shape} need logits "
                             f"of that shape, got {logits.shape}; classes are integers")
        targets = targets.astype(dtype, copy=False)
    else:
        expected = logits.shape[:axis] + logits.shape[axis + 1:]
        check_targets("cross_entropy", targets, expected, classes, ignore_index)
    if weight is not None:
        weight = constant_array("cross_entropy", "weight", weight).astype(dtype, copy=False)
    check_shape("cross_entropy", "weight", weight, (classes,))
    number("cross_entropy: label_smoothing", label_smoothing, at_least=0, at_most=1)
    one_of("cross_entropy: reduction", reduction, REDUCTIONS)
    implementation = reference_functions if reference_is_on() else fused_losses
    return implementation.cross_entropy(logits, targets, weight, ignore_index, reduction,
                                        float(label_smoothing))


def linear_cross_entropy(x: TensorLike, weight: Tensor, bias: Tensor | None, targets: np.ndarray,
                         ignore_index: int = IGNORE_INDEX, reduction: str = "mean") -> Tensor:
    """cross_entropy(linear(x, weight, bias), targets). The logits are not returned, so the fast
    implementation may overwrite them with their gradient.

    x (..., C), weight (V, C), bias (V,) or None, targets: integers (...); "mean" or "sum".
    """
    x, weight = as_tensors("linear_cross_entropy", x, weight)
    check_linear("linear_cross_entropy", x, weight, bias)
    targets = constant_array("linear_cross_entropy", "targets", targets)
    check_targets("linear_cross_entropy", targets, x.shape[:-1], len(weight), ignore_index)
    one_of("linear_cross_entropy: reduction", reduction, ("mean", "sum"))
    implementation = reference_functions if reference_is_on() else fused_losses
    return implementation.linear_cross_entropy(x, weight, bias, targets, ignore_index, reduction)


# ---- attention ---------------------------------------------------------------------------------


def scaled_dot_product_attention(query: TensorLike, key: TensorLike, value: TensorLike,
                                 attn_mask: Tensor | np.ndarray | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False,
                                 scale: float | None = None,
                                 rng: np.random.Generator | None = None) -> Tensor:
    """softmax(Q K^T * scale) V; scale is 1 / sqrt(D) unless given.

    query (B, H, T, D), key (B, H, S, D), value (B, H, S, D) -> (B, H, T, D); the axes before the
    last two broadcast. `attn_mask` has a shape that broadcasts to (B, H, T, S) (two axes mean
    (T, S)): booleans, True = may attend, or finite floats that are added to the scores and may
    require a gradient. `is_causal` adds that query t attends to keys 0 to t, counted from the top
    left corner also where T and S differ. A query that may attend to nothing yields zeros.
    dropout_p drops weights, and needs `rng`. A boolean mask must stay as it is until the backward
    is done: the version for long texts reads it again. With floats there is no such version: the
    weights (B, H, T, S) are in memory.
    """
    op = "scaled_dot_product_attention"
    query, key, value = as_tensors(op, query, key, value)
    try:
        batch = np.broadcast_shapes(*[tensor.shape[:-2] for tensor in (query, key, value)])
    except ValueError:
        batch = None
    if (batch is None or min(query.ndim, key.ndim, value.ndim) < 2
            or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]
            or not key.shape[-2] or not key.shape[-1]):
        raise ValueError(f"{op}: query {query.shape}, key {key.shape} and value {value.shape} do "
                         "not fit: expected (..., T, D), (..., S, D) and (..., S, D) with S and D "
                         "> 0, and axes before them that broadcast")
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        check_precision(op, name, tensor)
    query, key, value = [tensor if tensor.shape[:-2] == batch
                         else broadcast_to(tensor, (*batch, *tensor.shape[-2:]))
                         for tensor in (query, key, value)]
    check_dropout(op, dropout_p, True, rng)
    attn_mask = attention_mask(op, attn_mask, (*query.shape[:-1], key.shape[-2]), query.dtype)
    scale = None if scale is None else float(scale)  # a NumPy scalar would widen float32
    implementation = reference_functions if reference_is_on() else fused_attention
    return implementation.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p,
                                                       is_causal, scale, rng)


def multi_head_attention(query: TensorLike, key_value: TensorLike | None, layout: HeadLayout,
                         attn_mask: np.ndarray | None = None, dropout_p: float = 0.0,
                         is_causal: bool = False, rng: np.random.Generator | None = None,
                         attentions: list[Tensor] | None = None) -> Tensor:
    """scaled_dot_product_attention of all heads at once (Vaswani et al. 2017, section 3.2.2).

    query (B, T, H D) and key_value (B, S, 2 K D), or all three in `query` (B, T, (H + 2 K) D), as
    `layout` says -> (B, T, H D). Where K < H, keys and values are copied for each of their query
    heads. The mask is boolean. To `attentions`, if there is such a list, the weights (B, H, T, S)
    before dropout are appended: then the reference implementation runs.
    """
    op = "multi_head_attention"
    query = float_tensor(op, "query", query)
    tensors, widths = [query], [layout.query_width + layout.key_value_width]
    if key_value is not None:
        tensors = [query, float_tensor(op, "key_value", key_value)]
        widths = [layout.query_width, layout.key_value_width]
    for tensor, width in zip(tensors, widths):
        if tensor.ndim != 3 or tensor.shape[2] != width or not tensor.shape[1]:
            raise ValueError(f"{op}: got shape {tensor.shape}, expected (B, T, {width}) with T > 0 "
                             f"for {layout}")
    check_dropout(op, dropout_p, True, rng)
    (B, T, _), S = query.shape, tensors[-1].shape[1]
    attn_mask = attention_mask(op, attn_mask, (B, layout.num_heads, T, S), query.dtype)
    if isinstance(attn_mask, Tensor):
        raise TypeError(f"{op}: the mask must be boolean (True = may attend), got "
                        f"{attn_mask.dtype}: scaled_dot_product_attention takes float masks")
    if layout.num_key_value_heads < layout.num_heads:
        tensors, layout = _with_repeated_heads(tensors, layout)
    if reference_is_on() or attentions is not None:
        query, key, value = layout.split(*tensors)
        return merge_heads(reference_functions.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, None, rng, attentions))
    return fused_attention.multi_head_attention(tensors, layout, attn_mask, dropout_p, is_causal,
                                                rng)


def _with_repeated_heads(tensors: list[Tensor], layout: HeadLayout
                         ) -> tuple[list[Tensor], HeadLayout]:
    """query (B, T, H D) and key_value (B, S, 2 K D), or all in one, -> query and key_value
    (B, S, 2 H D) with H / K copies of each key/value head, and their layout. Backward sums the
    gradients of the copies."""
    H, K, D = layout.num_heads, layout.num_key_value_heads, layout.head_dim
    if len(tensors) == 1:
        tensors = [tensors[0][..., :H * D], tensors[0][..., H * D:]]
    query, key_value = tensors
    B, S, _ = key_value.shape
    copies = broadcast_to(key_value.reshape(B, S, 2 * K, 1, D), (B, S, 2 * K, H // K, D))
    return [query, copies.reshape(B, S, 2 * H * D)], HeadLayout(H, H, D)
