"""Softmax, layer norm, GELU, linear, embedding and dropout as one node each: see reference.py.

`<name>_forward` and `<name>_backward` compute on plain arrays, with their derivation; the function
with the op's name lays out the arrays and makes the node.

Few passes over memory make NumPy fast: results are written into arrays that the function owns, and
a formula of several passes goes block by block, so that all but the first pass read from the cache.
"""

from __future__ import annotations

import math

import numpy as np

from minibert.autograd.dropout_masks import dropout_mask
from minibert.autograd.fused.row_reductions import as_rows, column_sum, row_blocks, row_dot, row_sum
from minibert.autograd.reductions import Axis
from minibert.autograd.tensor import Tensor, is_recorded

# ---- softmax and its logarithm -----------------------------------------------------------------


def softmax_forward(S: np.ndarray, axis: int) -> np.ndarray:
    """P = exp(S) / sum exp(S), all in one array."""
    P = S - S.real.max(axis, keepdims=True)
    np.exp(P, out=P)
    P /= P.sum(axis, keepdims=True)
    return P


def softmax_backward(dP: np.ndarray, P: np.ndarray, axis: int) -> np.ndarray:
    """dS, from dP_i/dS_j = P_i (delta_ij - P_j):

        dS_j = sum_i dP_i P_i (delta_ij - P_j) = P_j dP_j - P_j sum_i P_i dP_i
        dS = P (dP - rowsum(P dP))
    """
    dS = P * dP
    row_sums = dS.sum(axis, keepdims=True)
    np.subtract(dP, row_sums, out=dS)
    dS *= P
    return dS


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """See reference.softmax."""
    output = softmax_forward(x.data, axis)

    def softmax_node_backward(grad):
        return (softmax_backward(grad, output, axis),)

    return Tensor.from_op(output, (x,), softmax_node_backward)


def log_softmax_forward(S: np.ndarray, axis: int) -> np.ndarray:
    """L = S - log sum exp(S)."""
    L = S - S.real.max(axis, keepdims=True)
    L -= np.log(np.exp(L).sum(axis, keepdims=True))
    return L


def log_softmax_backward(dL: np.ndarray, L: np.ndarray, axis: int) -> np.ndarray:
    """dS, from dL_i/dS_j = delta_ij - P_j with P = exp(L): dS = dL - P rowsum(dL)."""
    dS = np.exp(L)
    dS *= -dL.sum(axis, keepdims=True)
    dS += dL
    return dS


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """See reference.log_softmax."""
    output = log_softmax_forward(x.data, axis)

    def log_softmax_node_backward(grad):
        return (log_softmax_backward(grad, output, axis),)

    return Tensor.from_op(output, (x,), log_softmax_node_backward)


def logsumexp(x: Tensor, axis: Axis = -1, keepdims: bool = False) -> Tensor:
    """See reference.logsumexp. The derivative is the softmax."""
    largest = x.data.real.max(axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, largest.dtype.type(0))  # inf - inf is NaN
    kept = np.log(np.exp(x.data - largest).sum(axis, keepdims=True)) + largest
    output = kept if keepdims else kept.squeeze(axis)

    def logsumexp_backward(grad):
        return (np.exp(x.data - kept) * grad.reshape(kept.shape),)

    return Tensor.from_op(output, (x,), logsumexp_backward)


# ---- layer norm --------------------------------------------------------------------------------


def layer_norm_forward(x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None,
                       eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y = c r weight + bias (N, C), with c = x - mean and r = 1 / sqrt(mean(c^2) + eps), and what
    backward needs: mean and r, both (N, 1)."""
    width = x.shape[1]
    y = np.empty(x.shape, np.result_type(*[a for a in (x, weight, bias) if a is not None]))
    mean, r = np.empty((2, len(x), 1), y.dtype)
    for block in row_blocks(x):
        mean[block] = row_sum(x[block]) / width
        c = np.subtract(x[block], mean[block], out=y[block])
        r[block] = 1 / np.sqrt(row_dot(c, c) / width + eps)
        n = np.multiply(c, r[block], out=c)
        if weight is not None:
            n *= weight
        if bias is not None:
            n += bias
    return y, mean, r


def layer_norm_backward(dy: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray,
                        r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx (N, C), dweight and dbias (C,). With n = c r and dn = dy weight, all means over a row:

        r = (mean(c^2) + eps)^(-1/2)    dr/dc_j = -r^3 c_j / C
        dc_j = r dn_j + sum_i dn_i c_i dr/dc_j    dc = r (dn - n mean(dn n))
        c = x - mean(x)    dx = dc - mean(dc) = r (dn - mean(dn) - n mean(dn n)), as mean(n) = 0

    Only x, mean and r are kept. n is not: n = c r, so n mean(dn n) = c r^2 mean(dn c). Every sum
    is a product of dy or dy c with a vector: sum_j (dn c)_j = (dy c) weight, dweight = r^T (dy c).
    """
    width = x.shape[1]
    weight = np.ones(width, dy.dtype) if weight is None else weight
    dx = np.empty(x.shape, np.result_type(dy, r))
    dweight = np.zeros(width, dx.dtype)
    for block in row_blocks(x):
        dy_block, dx_block, r_block = dy[block], dx[block], r[block]
        c = x[block] - mean[block]
        dy_c = dy_block * c
        dweight += r_block[:, 0] @ dy_c
        c *= r_block ** 2 * (dy_c @ weight)[:, None] / width  # n mean(dn n)
        c += (dy_block @ weight)[:, None] / width  # mean(dn)
        np.multiply(dy_block, weight, out=dx_block)  # dn
        dx_block -= c
        dx_block *= r_block
    return dx, dweight, column_sum(dy)


def layer_norm(x: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """See reference.layer_norm."""
    rows = x.data.reshape(-1, math.prod(normalized_shape))  # (N, C)
    flat_weight = None if weight is None else weight.data.reshape(-1)  # (C,)
    flat_bias = None if bias is None else bias.data.reshape(-1)
    output, mean, r = layer_norm_forward(rows, flat_weight, flat_bias, eps)

    def layer_norm_node_backward(grad):
        grads = layer_norm_backward(grad.reshape(rows.shape), rows, flat_weight, mean, r)
        return tuple([grad_input.reshape(tensor.shape) if tensor.requires_grad else None for
                      tensor, grad_input in zip((x, weight, bias), grads) if tensor is not None])

    inputs = tuple([tensor for tensor in (x, weight, bias) if tensor is not None])
    return Tensor.from_op(output.reshape(x.shape), inputs, layer_norm_node_backward)


# ---- GELU --------------------------------------------------------------------------------------


def gelu_forward(x: np.ndarray, y: np.ndarray, slope: np.ndarray | None, approximate: str) -> None:
    """Write gelu(x), x (N, C), into `y` and its derivative into `slope` (None: not needed; it may
    be x). The derivative is almost free here, and backward is one multiplication."""
    formula = gelu_tanh_forward if approximate == "tanh" else gelu_erf_forward
    for block in row_blocks(x):
        formula(x[block], y[block], None if slope is None else slope[block])


def gelu_tanh_forward(x: np.ndarray, y: np.ndarray, slope: np.ndarray | None) -> None:
    """y = x s with s = (1 + tanh(u)) / 2 and u = a (x + b x^3). Since ds/du = 2 s (1 - s):

        y' = s + x 2 s (1 - s) u' = s + (1 - s) y 2u'    2u' = 2a + 6ab x^2
    """
    a, b = math.sqrt(2 / math.pi), 0.044715
    square = x * x  # never x ** 3: a power costs 17 times the two products
    s = square * (a * b)
    s += a
    s *= x
    np.tanh(s, out=s)
    s *= 0.5
    s += 0.5
    np.multiply(x, s, out=y)
    if slope is not None:
        square *= 6 * a * b
        square += 2 * a  # 2u'
        square *= y
        np.subtract(1, s, out=slope)
        slope *= square
        slope += s


def gelu_erf_forward(x: np.ndarray, y: np.ndarray, slope: np.ndarray | None) -> None:
    """y = x F(x), F the normal distribution function: y' = F(x) + x f(x), with the density f = F'
    = exp(-x^2 / 2) / sqrt(2 pi)."""
    square = x * x
    distribution = _erf_of_root_half(x, square)
    distribution += 1
    distribution *= 0.5
    np.multiply(x, distribution, out=y)
    if slope is not None:
        square *= -0.5
        density = np.exp(square, out=square)
        density *= 1 / math.sqrt(2 * math.pi)
        np.multiply(x, density, out=slope)
        slope += distribution


# erf(x / sqrt(2)) is about tanh(x P(x^2)): both are odd and tend to 1, and np.tanh is fast. P was
# fitted once for x^2 up to 32 by least squares, reweighted until the largest error was least
# (1.4e-7 when computed in float32). Beyond, P only grows, and the tanh of 9.7 and more is 1 in
# float32: no clamp (np.minimum costs as much as tanh).
_ERF_POLYNOMIAL = (0.797884941, 0.0363330844, -3.25947144e-05, -5.5306331e-05, 3.96477606e-06,
                   -1.32266533e-07, 1.75628516e-09)


def _erf_of_root_half(x: np.ndarray, square: np.ndarray) -> np.ndarray:
    """erf(x / sqrt(2)) in a new array, from x and x^2. scipy's erf is exact but slow: in
    float32, where digits end at 1e-7 anyway, the fit is 4 times as fast."""
    if x.dtype != np.float32:
        from scipy.special import erf  # here: importing it takes longer than minibert

        return erf(x * math.sqrt(0.5))
    inner = square * _ERF_POLYNOMIAL[-1]
    with np.errstate(over="ignore"):  # from |x| = 1e4 on it is infinite, and its tanh still 1
        for coefficient in _ERF_POLYNOMIAL[-2:0:-1]:  # Horner
            inner += coefficient
            inner *= square
    inner += _ERF_POLYNOMIAL[0]
    inner *= x
    return np.tanh(inner, out=inner)


def gelu_backward(dy: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """dx = dy gelu'(x), where gelu_forward has computed the derivative."""
    return dy * slope


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """See reference.gelu."""
    column = np.ascontiguousarray(x.data).reshape(-1, 1)
    output = np.empty_like(column)
    slope = np.empty_like(column) if is_recorded(x) else None
    gelu_forward(column, output, slope, approximate)

    def gelu_node_backward(grad):
        return (gelu_backward(grad, slope.reshape(x.shape)),)

    return Tensor.from_op(output.reshape(x.shape), (x,), gelu_node_backward)


# ---- linear, embedding, dropout ----------------------------------------------------------------


def linear_forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """y = x W^T + b: (N, in), (out, in), (out,) -> (N, out)."""
    y = x @ weight.T
    if bias is None:
        return y
    return np.add(y, bias, out=y if np.result_type(y, bias) == y.dtype else None)


def linear_backward(dy: np.ndarray, x: np.ndarray, weight: np.ndarray,
                    needs: list[bool]) -> tuple[np.ndarray | None, ...]:
    """dx, dW and db, each where `needs` says so: from y_o = sum_i x_i W_oi + b_o,
    dx = dy W (N, in), dW = dy^T x (out, in), db = the column sums of dy (out,)."""
    dx = dy @ weight if needs[0] else None
    dweight = dy.T @ x if needs[1] else None
    return dx, dweight, column_sum(dy) if needs[2] else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """See reference.linear. All leading axes become one: one matrix product (B T, in) @ (in, out)
    is faster than B of them."""
    rows = as_rows(x.data)  # (N, in)
    output = linear_forward(rows, weight.data, None if bias is None else bias.data)
    inputs = (x, weight) if bias is None else (x, weight, bias)

    def linear_node_backward(grad):
        dx, *others = linear_backward(as_rows(grad), rows, weight.data, needed(x, weight, bias))
        return (dx if dx is None else dx.reshape(x.shape), *others)[:len(inputs)]

    return Tensor.from_op(output.reshape(*x.shape[:-1], len(weight.data)), inputs,
                          linear_node_backward)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None = None,
                approximate: str = "none") -> Tensor:
    """See reference.linear_gelu. The GELU's input is private to this op, so the derivative is
    written over it: two arrays of (N, out) are kept for backward instead of three (8 % of the
    memory of a training at demos/benchmark's MINI)."""
    rows = as_rows(x.data)  # (N, in)
    inner = linear_forward(rows, weight.data, None if bias is None else bias.data)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    output = np.empty_like(inner)
    slope = inner if is_recorded(*inputs) else None
    gelu_forward(inner, output, slope, approximate)

    def linear_gelu_node_backward(grad):
        grad = gelu_backward(grad.reshape(slope.shape), slope)  # (N, out)
        dx, *others = linear_backward(grad, rows, weight.data, needed(x, weight, bias))
        return (dx if dx is None else dx.reshape(x.shape), *others)[:len(inputs)]

    return Tensor.from_op(output.reshape(*x.shape[:-1], len(weight.data)), inputs,
                          linear_gelu_node_backward)


def needed(*inputs: Tensor | None) -> list[bool]:
    """Whether backward has to compute the gradient, for each of `inputs`."""
    return [tensor is not None and tensor.requires_grad for tensor in inputs]


def embedding_backward(dy: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    """dW (count, C): row v is the sum of the rows of dy (N, C) whose id is v. The product of a
    sparse matrix, a single 1 in each column, and dy: five times as fast as np.add.at."""
    from scipy.sparse import csc_array  # here: importing it takes longer than minibert

    ones = np.ones(len(ids), dy.dtype)
    chosen = csc_array((ones, ids, np.arange(len(ids) + 1)), (count, len(ids)))
    return chosen @ dy


def embedding(ids: np.ndarray, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """See reference.embedding."""
    output = weight.data[ids]

    def embedding_node_backward(grad):
        grad_weight = embedding_backward(as_rows(grad), ids.reshape(-1), len(weight.data))
        if padding_idx is not None:
            grad_weight[padding_idx] = 0
        return (grad_weight,)

    return Tensor.from_op(output, (weight,), embedding_node_backward)


def dropout(x: Tensor, p: float, rng: np.random.Generator) -> Tensor:
    """See reference.dropout: the same bits."""
    keep, scale = dropout_mask(x.shape, p, rng)
    output = _masked(x.data, keep, scale)

    def dropout_backward(grad):
        return (_masked(grad, keep, scale),)

    return Tensor.from_op(output, (x,), dropout_backward)


def _masked(x: np.ndarray, keep: np.ndarray, scale: float) -> np.ndarray:
    """x * keep * scale."""
    output = x * keep
    output *= scale
    return output
