"""The functions of `composed` as one node each: the same names, a forward in place on its own arrays,
and a backward derived by hand.

What makes NumPy fast is few passes over memory: results are written into arrays that the function
owns, and where a formula takes many passes it goes block by block, so that all but the first find
their numbers in the cache (`BLOCK` elements; smaller ones cost more in Python than they save).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minibert.autograd.masks import dropout_mask
from minibert.autograd.tensor import Tensor, is_recorded

BLOCK = 1 << 16

# ---- softmax and its logarithm -------------------------------------------------------------------------


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """See composed.softmax. y_i (g_i - sum_j g_j y_j), with y the softmax, is the gradient."""
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
    """See composed.log_softmax. The gradient is g_i - softmax_i sum_j g_j."""
    output = x.data - x.data.real.max(axis, keepdims=True)
    output -= np.log(np.exp(output).sum(axis, keepdims=True))

    def log_softmax_backward(grad):
        grad_x = np.exp(output)
        grad_x *= -grad.sum(axis, keepdims=True)
        grad_x += grad
        return (grad_x,)

    return Tensor.from_op(output, (x,), log_softmax_backward)


def logsumexp(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """See composed.logsumexp. Its gradient is the softmax."""
    largest = x.data.real.max(axis, keepdims=True)
    kept = np.log(np.exp(x.data - largest).sum(axis, keepdims=True)) + largest
    output = kept if keepdims else kept.squeeze(axis)

    def logsumexp_backward(grad):
        return (np.exp(x.data - kept) * grad.reshape(kept.shape),)

    return Tensor.from_op(output, (x,), logsumexp_backward)


# ---- layer norm --------------------------------------------------------------------------------------------


def layer_norm(x: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None,
               bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """See composed.layer_norm. With n the normalized x, s its standard deviation and d = g * weight,
    the gradient is (d - mean(d) - n mean(d n)) / s.

    Only mean and deviation are kept: backward makes n again in the cache, cheaper than to store it.
    """
    width = math.prod(normalized_shape)
    rows = x.data.reshape(-1, width)  # (N, C)
    gain = None if weight is None else weight.data.reshape(width)
    shift = None if bias is None else bias.data.reshape(width)
    output = np.empty(rows.shape, np.result_type(rows, *[a for a in (gain, shift) if a is not None]))
    mean = np.empty((len(rows), 1), rows.dtype)
    inverse = np.empty_like(mean)  # 1 / s
    for part in row_blocks(rows):
        centred = output[part]
        mean[part] = rows[part].mean(1, keepdims=True)
        np.subtract(rows[part], mean[part], out=centred)
        inverse[part] = 1 / np.sqrt(_row_dot(centred, centred) / width + eps)
        centred *= inverse[part]
        if gain is not None:
            centred *= gain
        if shift is not None:
            centred += shift

    def layer_norm_backward(grad):
        grad = grad.reshape(rows.shape)
        grad_x = np.empty(rows.shape, grad.dtype) if x.requires_grad else None
        grad_gain = np.zeros(width, grad.dtype)
        for part in row_blocks(rows):
            normalized = rows[part] - mean[part]
            normalized *= inverse[part]
            if weight is not None and weight.requires_grad:
                grad_gain += (grad[part] * normalized).sum(0)
            if grad_x is not None:
                inner = np.multiply(grad[part], 1 if gain is None else gain, out=grad_x[part])
                normalized *= _row_dot(inner, normalized) / width
                normalized += inner.mean(1, keepdims=True)
                inner -= normalized
                inner *= inverse[part]
        grads = [grad_x.reshape(x.shape) if x.requires_grad else None]
        if weight is not None:
            grads.append(grad_gain.reshape(weight.shape) if weight.requires_grad else None)
        if bias is not None:
            grads.append(grad.sum(0).reshape(bias.shape) if bias.requires_grad else None)
        return tuple(grads)

    inputs = tuple([tensor for tensor in (x, weight, bias) if tensor is not None])
    return Tensor.from_op(output.reshape(x.shape), inputs, layer_norm_backward)


def row_blocks(rows: np.ndarray) -> Iterator[slice]:
    """Slices of the rows (N, C), each about BLOCK elements."""
    step = max(1, BLOCK // max(1, rows.shape[1]))
    return (slice(start, start + step) for start in range(0, len(rows), step))


def _row_dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The dot product of each row with its partner, (N, C) (N, C) -> (N, 1), without the array a * b."""
    return np.matmul(a[:, None, :], b[:, :, None])[:, :, 0]


# ---- GELU ---------------------------------------------------------------------------------------------------


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """See composed.gelu. The forward leaves the derivative behind, where it is almost free: backward is
    one multiplication."""
    flat = np.ascontiguousarray(x.data).reshape(-1)
    output = np.empty_like(flat)
    slope = np.empty_like(flat) if is_recorded(x) else None
    formula = _gelu_tanh if approximate == "tanh" else _gelu_erf
    for start in range(0, flat.size, BLOCK):
        part = slice(start, start + BLOCK)
        formula(flat[part], output[part], None if slope is None else slope[part])

    def gelu_backward(grad):
        return (grad * slope.reshape(x.shape),)

    return Tensor.from_op(output.reshape(x.shape), (x,), gelu_backward)


def _gelu_tanh(x: np.ndarray, output: np.ndarray, slope: np.ndarray | None) -> None:
    """x (1 + t) / 2 with t = tanh(u), u = a (x + b x^3); slope (1 + t) / 2 + x (1 - t^2) u' / 2."""
    a, b = math.sqrt(2 / math.pi), 0.044715
    square = x * x  # never x ** 3: a power costs 17 times the two products
    t = square * (a * b)
    t += a
    t *= x
    np.tanh(t, out=t)
    if slope is not None:  # x (1 - t^2) (a + 3 a b x^2) / 2, the last factor times x made first
        np.multiply(square, 1.5 * a * b, out=slope)
        slope += 0.5 * a
        slope *= x
        np.multiply(t, t, out=square)
        np.subtract(1, square, out=square)
        slope *= square
    t += 1
    t *= 0.5
    np.multiply(x, t, out=output)
    if slope is not None:
        slope += t


def _gelu_erf(x: np.ndarray, output: np.ndarray, slope: np.ndarray | None) -> None:
    """x F(x), with F the normal distribution function; slope F(x) + x f(x), with f its density."""
    distribution = _erf(x * math.sqrt(0.5))
    distribution += 1
    distribution *= 0.5
    if slope is not None:
        np.multiply(x, x, out=slope)
        slope *= -0.5
        np.exp(slope, out=slope)
        slope *= x
        slope *= 1 / math.sqrt(2 * math.pi)
        slope += distribution
    np.multiply(x, distribution, out=output)


# erf(x) = tanh(x P(x^2)) for x up to 4, and 1 in float32 beyond: P fitted once by least squares,
# reweighted until the largest error was least (1.4e-7 when computed in float32).
_ERF_POLYNOMIAL = (1.1283797054748685, 0.10276548139955603, -0.00018438354862375717,
                   -0.0006257197073931357, 8.971264115270026e-05, -5.985700003838529e-06,
                   1.5896078704637133e-07)


def _erf(x: np.ndarray) -> np.ndarray:
    """The error function, in a new array. scipy's is exact but not vectorised: in float32, where the
    digits end at 1e-7 anyway, the fit above is 4 times as fast."""
    if x.dtype != np.float32:
        from scipy.special import erf  # here, since `import minibert` should not wait for scipy

        return erf(x)
    square = x * x
    np.minimum(square, 16, out=square)
    inner = square * _ERF_POLYNOMIAL[-1]
    for coefficient in _ERF_POLYNOMIAL[-2:0:-1]:  # Horner
        inner += coefficient
        inner *= square
    inner += _ERF_POLYNOMIAL[0]
    inner *= x
    return np.tanh(inner, out=inner)


# ---- linear, embedding, dropout --------------------------------------------------------------------------------


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """See composed.linear. All leading axes become one: one matrix product (B T, in) @ (in, out) is
    faster than B of them."""
    rows = x.data.reshape(-1, x.shape[-1])  # (N, in)
    output = rows @ weight.data.T
    if bias is not None:
        output += bias.data

    def linear_backward(grad):
        grad = grad.reshape(-1, grad.shape[-1])  # (N, out)
        grad_x = (grad @ weight.data).reshape(x.shape) if x.requires_grad else None
        grad_weight = grad.T @ rows if weight.requires_grad else None
        if bias is None:
            return grad_x, grad_weight
        return grad_x, grad_weight, grad.sum(0) if bias.requires_grad else None

    inputs = (x, weight) if bias is None else (x, weight, bias)
    return Tensor.from_op(output.reshape(*x.shape[:-1], len(weight.data)), inputs, linear_backward)


def embedding(ids: np.ndarray, weight: Tensor) -> Tensor:
    """See composed.embedding. The gradient of a row is the sum of the gradients of its uses."""
    output = weight.data[ids]

    def embedding_backward(grad):
        return (add_rows(ids.reshape(-1), grad.reshape(ids.size, -1), len(weight.data)),)

    return Tensor.from_op(output, (weight,), embedding_backward)


def add_rows(ids: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """(count, C): row i is the sum of the `rows` (N, C) whose id is i.

    The product of a sparse matrix, with a single 1 in each column, and the rows: one pass over them,
    five times as fast as np.add.at.
    """
    from scipy.sparse import csc_matrix  # here, since `import minibert` should not wait for scipy

    ones = np.ones(len(ids), rows.dtype)
    chosen = csc_matrix((ones, ids, np.arange(len(ids) + 1)), (count, len(ids)))
    return chosen @ rows


def dropout(x: Tensor, p: float, rng: np.random.Generator) -> Tensor:
    """See composed.dropout: the same bits."""
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
