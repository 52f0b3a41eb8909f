"""Cross entropy as one node, alone and together with the linear layer before it: see reference.

Both leave the gradient with respect to the logits behind in the forward, block by block, where the
exponentials are still in the cache: an array of the logits' size turns into it, and backward has
only to weigh it by what comes from above.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.fused.layers import add_bias
from minibert.autograd.fused.row_reductions import column_sum, row_blocks, row_max, row_sum
from minibert.autograd.tensor import Tensor, is_recorded


def cross_entropy(logits: Tensor, targets: np.ndarray, weight: np.ndarray | None,
                  ignore_index: int, reduction: str, label_smoothing: float) -> Tensor:
    """See reference.cross_entropy. The caller's logits stay as they are."""
    axis = min(1, logits.ndim - 1)
    classes_last = np.moveaxis(logits.data, axis, -1)  # (N, ..., V)
    rows = classes_last.reshape(-1, logits.shape[axis])  # (M, V)
    buffer = np.empty_like(rows)
    recorded = is_recorded(logits)
    if targets.dtype.kind == "f":
        wanted = np.moveaxis(targets, axis, -1).reshape(rows.shape)
        wanted = wanted * (1 - label_smoothing) + label_smoothing / rows.shape[1]
        wanted *= 1 if weight is None else weight
        wanted /= len(rows) if reduction == "mean" else 1
        losses = _probability_losses(rows, buffer, wanted, recorded)
    else:
        losses = _class_losses(rows, buffer, targets.reshape(-1), weight, ignore_index, reduction,
                               label_smoothing, recorded)

    def cross_entropy_backward(grad):
        grad_rows = buffer if reduction != "none" and grad == 1 else buffer * grad.reshape(-1, 1)
        return (np.moveaxis(grad_rows.reshape(classes_last.shape), -1, axis),)

    output = losses.reshape(classes_last.shape[:-1]) if reduction == "none" else losses.sum()
    return Tensor.from_op(output, (logits,), cross_entropy_backward)


def linear_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor | None, targets: np.ndarray,
                         ignore_index: int, reduction: str) -> Tensor:
    """See reference.linear_cross_entropy. Nobody else has these logits, so their gradient
    overwrites them: one array of (N, V) instead of four."""
    rows = x.data.reshape(-1, x.shape[-1])  # (N, C)
    buffer = rows @ weight.data.T  # (N, V)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    if bias is not None:
        buffer = add_bias(buffer, bias.data)
    losses = _class_losses(buffer, buffer, targets.reshape(-1), None, ignore_index, reduction, 0.0,
                           is_recorded(*inputs))

    def linear_cross_entropy_backward(grad):  # one number, which goes into the smaller factors
        grad_x = grad_weight = None
        if x.requires_grad:
            grad_x = buffer @ weight.data
            grad_x *= grad
            grad_x = grad_x.reshape(x.shape)
        if weight.requires_grad:
            grad_weight = buffer.T @ (rows * grad)
        if bias is None:
            return grad_x, grad_weight
        return grad_x, grad_weight, column_sum(buffer) * grad if bias.requires_grad else None

    return Tensor.from_op(losses.sum(), inputs, linear_cross_entropy_backward)


def _class_losses(logits: np.ndarray, buffer: np.ndarray, targets: np.ndarray,
                  weight: np.ndarray | None, ignore_index: int, reduction: str,
                  label_smoothing: float, recorded: bool) -> np.ndarray:
    """The losses (M,) of the logits (M, V) for one class each; the gradient, where it is
    `recorded`, is left in `buffer` (M, V), which may be the logits themselves.

    With q_c the weight of -log p_c, all factors in, the loss is sum(q) log sum_c exp(x_c) -
    sum_c q_c x_c and the gradient sum(q) softmax - q.
    """
    dtype = logits.real.dtype
    valid = targets != ignore_index
    targets = np.where(valid, targets, 0)
    on_target = valid.astype(dtype) if weight is None else weight[targets] * valid
    divisor = (float(on_target.sum()) or 1.0) if reduction == "mean" else 1.0
    on_target *= (1 - label_smoothing) / divisor
    if label_smoothing:
        everywhere = valid.astype(dtype) * (label_smoothing / logits.shape[1] / divisor)
        weight = np.ones(logits.shape[1], dtype) if weight is None else weight
    losses = np.empty(len(logits), logits.dtype)
    for part in row_blocks(logits):
        q = on_target[part]
        block = np.subtract(logits[part], row_max(logits[part]), out=buffer[part])
        chosen = (np.arange(len(block)), targets[part])
        # where q is 0 nothing was asked, whatever the logit is: 0 * -inf would be NaN
        loss = np.multiply(-q, block[chosen], out=np.zeros(len(q), block.dtype), where=q != 0)
        total = q
        if label_smoothing:
            smooth = everywhere[part]
            loss -= smooth * (block @ weight)
            total = q + smooth * weight.sum()
        np.exp(block, out=block)
        sums = row_sum(block)[:, 0]
        losses[part] = loss + total * np.log(sums)
        if recorded:
            block *= (total / sums)[:, None]
            block[chosen] -= q
            if label_smoothing:
                block -= smooth[:, None] * weight
    return losses


def _probability_losses(logits: np.ndarray, buffer: np.ndarray, wanted: np.ndarray,
                        recorded: bool) -> np.ndarray:
    """As _class_losses, where q is given in full: `wanted` (M, V)."""
    np.subtract(logits, row_max(logits), out=buffer)
    losses = -np.multiply(wanted, buffer, out=np.zeros_like(buffer), where=wanted != 0).sum(1)
    np.exp(buffer, out=buffer)
    sums, total = buffer.sum(1), wanted.sum(1)
    losses += total * np.log(sums)
    if recorded:
        buffer *= (total / sums)[:, None]
        buffer -= wanted
    return losses
