"""Cross entropy as one node, alone and together with the linear layer before it: see reference.py.

Both compute the gradient of the logits in the forward, block by block, while the exponentials are
in the cache: an array of the logits' size turns into it, and backward only scales it.

For one row of logits x, with Z = sum_c exp(x_c), p = exp(x) / Z the softmax and q_c the weight of
-log p_c (the target distribution with class weights, smoothing and the mean's divisor in it):

    loss = -sum_c q_c log p_c = sum(q) log Z - sum_c q_c x_c
    dloss/dx_c = sum(q) p_c - q_c
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.fused.layers import linear_forward, needed
from minibert.autograd.fused.row_reductions import (as_rows, column_sum, row_blocks, row_max,
                                                    row_sum)
from minibert.autograd.tensor import Tensor, is_recorded


def class_cross_entropy_forward(logits: np.ndarray, dlogits: np.ndarray, targets: np.ndarray,
                                weight: np.ndarray | None, ignore_index: int, reduction: str,
                                label_smoothing: float, recorded: bool) -> np.ndarray:
    """The losses (M,) of logits (M, V) for one target class each (M,): q is on that class, and the
    smoothed part everywhere. The gradient is left in `dlogits` if `recorded`, else scratch; it may
    be the array of the logits itself."""
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
    for block in row_blocks(logits):
        q = on_target[block]
        x = np.subtract(logits[block], row_max(logits[block]), out=dlogits[block])
        chosen = (np.arange(len(x)), targets[block])
        # where q is 0 the loss is 0, whatever the logit is: 0 * -inf would be NaN
        loss = np.multiply(-q, x[chosen], out=np.zeros(len(q), x.dtype), where=q != 0)
        total = q  # sum(q)
        if label_smoothing:
            smooth = everywhere[block]
            loss -= smooth * (x @ weight)
            total = q + smooth * weight.sum()
        exponentials = np.exp(x, out=x)
        Z = row_sum(exponentials)[:, 0]
        losses[block] = loss + total * np.log(Z)
        if recorded:
            dx = exponentials
            dx *= (total / Z)[:, None]
            dx[chosen] -= q
            if label_smoothing:
                dx -= smooth[:, None] * weight
    return losses


def probability_cross_entropy_forward(logits: np.ndarray, dlogits: np.ndarray, q: np.ndarray,
                                      recorded: bool) -> np.ndarray:
    """As class_cross_entropy_forward, with the whole of q (M, V) given."""
    x = np.subtract(logits, row_max(logits), out=dlogits)
    losses = -np.multiply(q, x, out=np.zeros_like(x), where=q != 0).sum(1)
    exponentials = np.exp(x, out=x)
    Z, total = exponentials.sum(1), q.sum(1)
    losses += total * np.log(Z)
    if recorded:
        dlogits *= (total / Z)[:, None]
        dlogits -= q
    return losses


def cross_entropy_backward(dloss: np.ndarray, dlogits: np.ndarray, reduction: str) -> np.ndarray:
    """The logits' gradient (M, V), which the forward has computed, times what the loss gets: one
    number, or with reduction "none" one for each row."""
    if reduction != "none" and dloss == 1:
        return dlogits
    return dlogits * dloss.reshape(-1, 1)


def cross_entropy(logits: Tensor, targets: np.ndarray, weight: np.ndarray | None,
                  ignore_index: int, reduction: str, label_smoothing: float) -> Tensor:
    """See reference.cross_entropy. The caller's logits stay as they are."""
    axis = min(1, logits.ndim - 1)
    classes_last = np.moveaxis(logits.data, axis, -1)  # (N, ..., V)
    rows = classes_last.reshape(-1, logits.shape[axis])  # (M, V)
    dlogits = np.empty_like(rows)
    recorded = is_recorded(logits)
    if targets.dtype.kind == "f":
        q = np.moveaxis(targets, axis, -1).reshape(rows.shape)
        q = q * (1 - label_smoothing) + label_smoothing / rows.shape[1]
        q *= 1 if weight is None else weight
        q /= len(rows) if reduction == "mean" else 1
        losses = probability_cross_entropy_forward(rows, dlogits, q, recorded)
    else:
        losses = class_cross_entropy_forward(rows, dlogits, targets.reshape(-1), weight,
                                             ignore_index, reduction, label_smoothing, recorded)

    def cross_entropy_node_backward(grad):
        grad_rows = cross_entropy_backward(grad, dlogits, reduction)
        return (np.moveaxis(grad_rows.reshape(classes_last.shape), -1, axis),)

    output = losses.reshape(classes_last.shape[:-1]) if reduction == "none" else losses.sum()
    return Tensor.from_op(output, (logits,), cross_entropy_node_backward)


def linear_cross_entropy_backward(dloss: np.ndarray, dlogits: np.ndarray, x: np.ndarray,
                                  weight: np.ndarray, needs: list[bool]) -> tuple:
    """dx, dW and db as linear_backward's, from dloss dlogits. The number dloss multiplies the
    smaller factor of each product: dlogits (N, V) is the largest array of a training step."""
    dx = dlogits @ weight if needs[0] else None
    if dx is not None:
        dx *= dloss
    dweight = dlogits.T @ (x * dloss) if needs[1] else None
    return dx, dweight, column_sum(dlogits) * dloss if needs[2] else None


def linear_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor | None, targets: np.ndarray,
                         ignore_index: int, reduction: str) -> Tensor:
    """See reference.linear_cross_entropy. The logits are private to this op, so their gradient
    overwrites them: one array of (N, V) instead of four."""
    rows = as_rows(x.data)  # (N, C)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    dlogits = linear_forward(rows, weight.data, None if bias is None else bias.data)  # (N, V)
    losses = class_cross_entropy_forward(dlogits, dlogits, targets.reshape(-1), None, ignore_index,
                                         reduction, 0.0, is_recorded(*inputs))

    def linear_cross_entropy_node_backward(grad):
        dx, *others = linear_cross_entropy_backward(grad, dlogits, rows, weight.data,
                                                    needed(x, weight, bias))
        return (dx if dx is None else dx.reshape(x.shape), *others)[:len(inputs)]

    return Tensor.from_op(losses.sum(), inputs, linear_cross_entropy_node_backward)
