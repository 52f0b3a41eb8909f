"""The functions of `reference` as one node each: the same names, a forward in place on its own
arrays, and a backward derived by hand.

What makes NumPy fast is few passes over memory: results are written into arrays that the function
owns, and where a formula takes many passes it goes block by block, so that all but the first find
their numbers in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minibert.autograd.attention_masks import dropout_mask
from minibert.autograd.fused.row_reductions import BLOCK, column_sum, row_blocks, row_dot, row_sum
from minibert.autograd.tensor import Tensor, is_recorded

# ---- softmax and its logarithm -----------------------------------------------------------------


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """See reference.softmax. y_i (g_i - sum_j g_j y_j), with y the softmax, is the gradient."""
    output = x.data - x.data.real.max(axis, keepdims=True)
    np.exp(output, out=output)
    output /= output.sum(axis, keepdims=True)

    def softmax_backward(grad):
        grad_x = grad * output
        total = grad_x.sum(axis, keepdims=True)
        np.subtract(grad, total, out=grad_x)
        grad_x *= output
        return (grad_x,)

    return Tensor.from_op(output, (x,), softmax_backward)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """See reference.log_softmax. The gradient is g_i - softmax_i sum_j g_j."""
    output = x.data - x.data.real.max(axis, keepdims=True)
    output -= np.log(np.exp(output).sum(axis, keepdims=True))

    def log_softmax_backward(grad):
        grad_x = np.exp(output)
        grad_x *= -grad.sum(axis, keepdims=True)
        grad_x += grad
        return (grad_x,)

    return Tensor.from_op(output, (x,), log_softmax_backward)


def logsumexp(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """See reference.logsumexp. Its gradient is the softmax."""
    largest = x.data.real.max(axis, keepdims=True)
    kept = np.log(np.exp(x.data - largest).sum(axis, keepdims=True)) + largest
    output = kept if keepdims else kept.squeeze(axis)

    def logsumexp_backward(grad):
        return (np.exp(x.data - kept) * grad.reshape(kept.shape),)

    return Tensor.from_op(output, (x,), logsumexp_backward)


# ---- layer norm --------------------------------------------------------------------------------


def layer_norm(x: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """See reference.layer_norm. With n the normalized x, s its standard deviation and d = g *
    weight, the gradient is (d - mean(d) - n mean(d n)) / s."""
    width = math.prod(normalized_shape)
    rows = x.data.reshape(-1, width)  # (N, C)
    gain = None if weight is None else weight.data.reshape(width)
    shift = None if bias is None else bias.data.reshape(width)
    affine = [array for array in (rows, gain, shift) if array is not None]
    output = np.empty(rows.shape, np.result_type(*affine))
    mean, inverse = np.empty((2, len(rows), 1), output.dtype)  # inverse: 1 / s
    for part in row_blocks(rows):
        mean[part] = row_sum(rows[part]) / width
        n = np.subtract(rows[part], mean[part], out=output[part])
        inverse[part] = 1 / np.sqrt(row_dot(n, n) / width + eps)
        n *= inverse[part]
        if gain is not None:
            n *= gain
        if shift is not None:
            n += shift

    def layer_norm_backward(grad):
        # n is c / s with c = x - mean: x is kept anyway, n would be one more array. All sums are
        # products of g, or of g c, with a vector, so one array of g c serves both: a row's sum of
        # d c is (g c) weight, and (1 / s) (g c) is the gain's gradient
        grad = grad.reshape(rows.shape)
        weights = np.ones(width, grad.dtype) if gain is None else gain
        grad_x = np.empty(rows.shape, np.result_type(grad, output))
        grad_gain = np.zeros(width, grad_x.dtype)
        for part in row_blocks(grad):
            g, d, factor = grad[part], grad_x[part], inverse[part]
            c = rows[part] - mean[part]
            gc = g * c
            grad_gain += factor[:, 0] @ gc
            c *= factor ** 2 * (gc @ weights)[:, None] / width  # n mean(d n)
            c += (g @ weights)[:, None] / width  # mean(d)
            np.multiply(g, weights, out=d)
            d -= c
            d *= factor
        grads = [grad_x.reshape(x.shape) if x.requires_grad else None]
        if weight is not None:
            grads.append(grad_gain.reshape(weight.shape))
        if bias is not None:
            grads.append(column_sum(grad).reshape(bias.shape))
        return tuple(grads)

    inputs = tuple([tensor for tensor in (x, weight, bias) if tensor is not None])
    return Tensor.from_op(output.reshape(x.shape), inputs, layer_norm_backward)


# ---- GELU --------------------------------------------------------------------------------------


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """See reference.gelu. The forward leaves the derivative behind, where it is almost free:
    backward is one multiplication."""
    flat = np.ascontiguousarray(x.data).reshape(-1)
    output = np.empty_like(flat)
    slope = np.empty_like(flat) if is_recorded(x) else None
    formula = _formula(approximate)
    for start in range(0, flat.size, BLOCK):
        part = slice(start, start + BLOCK)
        formula(flat[part], output[part], None if slope is None else slope[part])

    def gelu_backward(grad):
        return (grad * slope.reshape(x.shape),)

    return Tensor.from_op(output.reshape(x.shape), (x,), gelu_backward)


def _formula(approximate: str) -> Callable:
    return _gelu_tanh if approximate == "tanh" else _gelu_erf


def _gelu_tanh(x: np.ndarray, output: np.ndarray, slope: np.ndarray | None) -> None:
    """x s with s = (1 + tanh(u)) / 2 and u = a (x + b x^3); slope s + x s (1 - s) 2u'. The slope
    may be written over x, here and below: it comes last."""
    a, b = math.sqrt(2 / math.pi), 0.044715
    square = x * x  # never x ** 3: a power costs 17 times the two products
    s = square * (a * b)
    s += a
    s *= x
    np.tanh(s, out=s)
    s *= 0.5
    s += 0.5
    np.multiply(x, s, out=output)
    if slope is not None:
        square *= 6 * a * b
        square += 2 * a
        square *= output  # x s 2u'
        np.subtract(1, s, out=slope)
        slope *= square
        slope += s


def _gelu_erf(x: np.ndarray, output: np.ndarray, slope: np.ndarray | None) -> None:
    """x F(x), with F the normal distribution function; slope F(x) + x f(x), with f its density."""
    square = x * x
    distribution = _erf_of_root_half(x, square)
    distribution += 1
    distribution *= 0.5
    np.multiply(x, distribution, out=output)
    if slope is not None:
        square *= -0.5
        density = np.exp(square, out=square)
        density *= 1 / math.sqrt(2 * math.pi)
        np.multiply(x, density, out=slope)
        slope += distribution


# erf(x / sqrt(2)) = tanh(x P(x^2)): P was fitted once for x^2 up to 32 by least squares, reweighted
# until the largest error was least (1.4e-7 when computed in float32). Beyond, P only grows, and the
# tanh of 9.7 and more is 1 in float32, as the erf is: no clamp (np.minimum costs as much as tanh).
_ERF_POLYNOMIAL = (0.797884941, 0.0363330844, -3.25947144e-05, -5.5306331e-05, 3.96477606e-06,
                   -1.32266533e-07, 1.75628516e-09)


def _erf_of_root_half(x: np.ndarray, square: np.ndarray) -> np.ndarray:
    """erf(x / sqrt(2)) in a new array, from x and x^2. scipy's erf is exact but not
    vectorised: in float32, where digits end at 1e-7 anyway, the fit is 4 times as fast."""
    if x.dtype != np.float32:
        from scipy.special import erf  # here, since `import minibert` should not wait for scipy

        return erf(x * math.sqrt(0.5))
    inner = square * _ERF_POLYNOMIAL[-1]
    with np.errstate(over="ignore"):  # from |x| = 1e4 on it is infinite, and its tanh still 1
        for coefficient in _ERF_POLYNOMIAL[-2:0:-1]:  # Horner
            inner += coefficient
            inner *= square
    inner += _ERF_POLYNOMIAL[0]
    inner *= x
    return np.tanh(inner, out=inner)


# ---- linear, embedding, dropout ----------------------------------------------------------------


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """See reference.linear. All leading axes become one: one matrix product (B T, in) @ (in, out)
    is faster than B of them."""
    rows = x.data.reshape(-1, x.shape[-1])  # (N, in)
    output = rows @ weight.data.T
    if bias is not None:
        output = add_bias(output, bias.data)

    def linear_backward(grad):
        grad = grad.reshape(-1, grad.shape[-1])  # (N, out)
        grad_x = (grad @ weight.data).reshape(x.shape) if x.requires_grad else None
        grad_weight = grad.T @ rows if weight.requires_grad else None  # (out, in)
        if bias is None:
            return grad_x, grad_weight
        return grad_x, grad_weight, column_sum(grad) if bias.requires_grad else None

    inputs = (x, weight) if bias is None else (x, weight, bias)
    return Tensor.from_op(output.reshape(*x.shape[:-1], len(weight.data)), inputs, linear_backward)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None = None,
                approximate: str = "none") -> Tensor:
    """See reference.linear_gelu. Nobody else has what goes into the GELU, so its derivative is
    written over it: two arrays of (N, out) are kept for backward instead of three (8 % of the
    memory of a training at demos/benchmark's MINI)."""
    inputs = (x, weight) if bias is None else (x, weight, bias)
    rows = x.data.reshape(-1, x.shape[-1])  # (N, in)
    inner = rows @ weight.data.T
    if bias is not None:
        inner = add_bias(inner, bias.data)
    output = np.empty_like(inner)
    slope = inner if is_recorded(*inputs) else None
    formula = _formula(approximate)
    for part in row_blocks(inner):
        formula(inner[part], output[part], None if slope is None else slope[part])

    def linear_gelu_backward(grad):
        grad = grad.reshape(slope.shape) * slope  # (N, out)
        grad_x = (grad @ weight.data).reshape(x.shape) if x.requires_grad else None
        grad_weight = grad.T @ rows if weight.requires_grad else None
        if bias is None:
            return grad_x, grad_weight
        return grad_x, grad_weight, column_sum(grad) if bias.requires_grad else None

    return Tensor.from_op(output.reshape(*x.shape[:-1], len(weight.data)), inputs,
                          linear_gelu_backward)


def add_bias(rows: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """rows (N, C) + bias (C,), in `rows` if the sum has its dtype."""
    return np.add(rows, bias, out=rows if np.result_type(rows, bias) == rows.dtype else None)


def embedding(ids: np.ndarray, weight: Tensor) -> Tensor:
    """See reference.embedding. The gradient of a row is the sum of the gradients of its uses."""
    output = weight.data[ids]

    def embedding_backward(grad):
        V, C = weight.shape
        flat_ids, rows = ids.reshape(-1), grad.reshape(-1, C)  # (N,), (N, C)
        return (add_rows(flat_ids, rows, V),)

    return Tensor.from_op(output, (weight,), embedding_backward)


def add_rows(ids: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """(count, C): row i is the sum of the `rows` (N, C) whose id is i.

    The product of a sparse matrix, with a single 1 in each column, and the rows: one pass over
    them, five times as fast as np.add.at.
    """
    from scipy.sparse import csc_array  # here, since `import minibert` should not wait for scipy

    ones = np.ones(len(ids), rows.dtype)
    chosen = csc_array((ones, ids, np.arange(len(ids) + 1)), (count, len(ids)))
    return chosen @ rows


def dropout(x: Tensor, p: float, rng: np.random.Generator) -> Tensor:
    """See reference.dropout: the same bits."""
    keep, scale = dropout_mask(x.shape, p, rng)
    output = _masked(x.data, keep, scale)

    def dropout_backward(grad):
        return (_masked(grad, keep, scale),)

    return Tensor.from_op(output, (x,), dropout_backward)


def _masked(x: np.ndarray, keep: np.ndarray, scale: float) -> np.ndarray:
    """x * keep * scale"""
    output = x * keep
    output *= scale
    return output
