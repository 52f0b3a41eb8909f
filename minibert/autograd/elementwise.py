"""Element-wise ops: each formula with its derivative right below.

Binary ops broadcast as NumPy does; `unbroadcast` is the one place that undoes it. All of them pass
complex numbers through, for the complex step of gradcheck; what has a kink (abs, relu, maximum)
decides on the real part.

A gradient of zero stays zero, whatever it is multiplied with: `where` sends zeros into the branch
that it did not take, and 0 * inf or 0 / 0 there would be NaN (`times` and `over`).
"""

from __future__ import annotations

import math
import numbers

import numpy as np

from minibert.autograd.as_tensor import TensorLike, as_tensor, as_tensors
from minibert.autograd.tensor import Tensor


def unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum `grad` over the axes along which an operand of `shape` was repeated.

    Broadcasting puts axes of size 1 in front and repeats every axis of size 1; an element that was
    used several times gets the sum of its gradients.
    """
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    repeated = [added + i for i, size in enumerate(shape)
                if size == 1 and grad.shape[added + i] != 1]
    return grad.sum(axis=(*range(added), *repeated), keepdims=True).reshape(shape)


def operands(op: str, a: TensorLike, b: TensorLike) -> tuple[Tensor, Tensor]:
    """The two operands as tensors whose shapes broadcast."""
    a, b = as_tensors(op, a, b)
    if a.shape != b.shape:
        try:
            np.broadcast(a.data, b.data)
        except ValueError:
            raise ValueError(f"{op}: shapes {a.shape} and {b.shape} do not broadcast") from None
    return a, b


def times(grad: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """grad * factor, and 0 where grad is 0 even if the factor is infinite or NaN."""
    if np.isfinite(factor).all():
        return grad * factor
    product = np.zeros(np.broadcast_shapes(grad.shape, factor.shape), grad.dtype)
    return np.multiply(grad, factor, out=product, where=grad != 0)


def over(grad: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """grad / divisor, and 0 where grad is 0 even if the divisor is 0 or NaN."""
    if divisor.all() and not np.isnan(divisor).any():
        return grad / divisor
    quotient = np.zeros(np.broadcast_shapes(grad.shape, divisor.shape), grad.dtype)
    return np.divide(grad, divisor, out=quotient, where=grad != 0)


# ---- two operands ------------------------------------------------------------------------------


def add(a: TensorLike, b: TensorLike) -> Tensor:
    """a + b."""
    a, b = operands("add", a, b)
    output = a.data + b.data

    def add_backward(grad):
        grad_a = unbroadcast(grad, a.shape) if a.requires_grad else None
        grad_b = unbroadcast(grad, b.shape) if b.requires_grad else None
        return grad_a, grad_b

    return Tensor.from_op(output, (a, b), add_backward)


def sub(a: TensorLike, b: TensorLike) -> Tensor:
    """a - b."""
    a, b = operands("sub", a, b)
    output = a.data - b.data

    def sub_backward(grad):
        grad_a = unbroadcast(grad, a.shape) if a.requires_grad else None
        grad_b = unbroadcast(-grad, b.shape) if b.requires_grad else None
        return grad_a, grad_b

    return Tensor.from_op(output, (a, b), sub_backward)


def mul(a: TensorLike, b: TensorLike) -> Tensor:
    """a * b, element by element."""
    a, b = operands("mul", a, b)
    output = a.data * b.data

    def mul_backward(grad):
        grad_a = unbroadcast(times(grad, b.data), a.shape) if a.requires_grad else None
        grad_b = unbroadcast(times(grad, a.data), b.shape) if b.requires_grad else None
        return grad_a, grad_b

    return Tensor.from_op(output, (a, b), mul_backward)


def div(a: TensorLike, b: TensorLike) -> Tensor:
    """a / b, element by element."""
    a, b = operands("div", a, b)
    output = a.data / b.data

    def div_backward(grad):
        grad_over_b = over(grad, b.data)
        grad_a = unbroadcast(grad_over_b, a.shape) if a.requires_grad else None
        grad_b = unbroadcast(-times(grad_over_b, output), b.shape) if b.requires_grad else None
        return grad_a, grad_b

    return Tensor.from_op(output, (a, b), div_backward)


def pow(base: TensorLike, exponent: TensorLike) -> Tensor:
    """base ** exponent, element by element.

    At base 0 the gradient of the exponent is 0 (exponent >= 0); a negative base has none, and gives
    NaN. The derivative of 0 ** p is infinite for p < 1, as it should be, except for p = 0.
    """
    if isinstance(exponent, (numbers.Number, np.generic)):
        return _pow_number(as_tensor("pow", base), exponent)
    a, b = operands("pow", base, exponent)
    output = a.data**b.data

    def pow_backward(grad):
        grad_a = grad_b = None
        if a.requires_grad:  # where b = 0 the power is constant, at a = 0 too
            slope = b.data * np.where(b.data == 0, 1, a.data) ** (b.data - 1)
            grad_a = unbroadcast(times(grad, slope), a.shape)
        if b.requires_grad:  # 0^b stays 0 when b > 0 moves
            log_a = np.log(np.where((a.data == 0) & (b.data.real >= 0), 1, a.data))
            grad_b = unbroadcast(times(grad, output * log_a), b.shape)
        return grad_a, grad_b

    return Tensor.from_op(output, (a, b), pow_backward)


def _pow_number(x: Tensor, exponent: float) -> Tensor:
    if isinstance(exponent, np.generic):  # a NumPy scalar would decide the dtype
        exponent = exponent.item()
    output = _power(x.data, exponent)

    def pow_backward(grad):
        if exponent == 0:
            return (np.zeros_like(grad),)
        return (times(grad, exponent * _power(x.data, exponent - 1)),)

    return Tensor.from_op(output, (x,), pow_backward)


def _power(x: np.ndarray, exponent: float) -> np.ndarray:
    """x ** exponent; small powers as products, since ** on floats is fifty times as slow."""
    if exponent == 1:
        return x
    if exponent == 2:
        return x * x
    if exponent == 3:
        return x * x * x
    return x**exponent


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger, element by element; where they are equal, each gets half the gradient."""
    a, b = operands("maximum", a, b)
    if a.dtype.kind == "c" or b.dtype.kind == "c":
        mean = (a.data + b.data) / 2
        larger = np.where(a.data.real > b.data.real, a.data, b.data)
        output = np.where(a.data.real == b.data.real, mean, larger)
    else:
        output = np.maximum(a.data, b.data)

    def maximum_backward(grad):
        half = (a.data.real == b.data.real) * grad * 0.5
        grad_a = np.where(a.data.real > b.data.real, grad, half)
        grad_b = np.where(b.data.real > a.data.real, grad, half)
        return (unbroadcast(grad_a, a.shape) if a.requires_grad else None,
                unbroadcast(grad_b, b.shape) if b.requires_grad else None)

    return Tensor.from_op(output, (a, b), maximum_backward)


def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Tensor:
    """a where the condition holds, b elsewhere; all three broadcast."""
    if isinstance(condition, Tensor):
        condition = condition.data
    condition = np.asarray(condition, dtype=bool)
    a, b = as_tensors("where", a, b)
    try:
        output = np.where(condition, a.data, b.data)
    except ValueError:
        raise ValueError(f"where: shapes {condition.shape}, {a.shape} and {b.shape} do not "
                         "broadcast") from None

    def where_backward(grad):
        zero = np.zeros((), grad.dtype)
        grad_a = unbroadcast(np.where(condition, grad, zero), a.shape) if a.requires_grad else None
        grad_b = unbroadcast(np.where(condition, zero, grad), b.shape) if b.requires_grad else None
        return grad_a, grad_b

    return Tensor.from_op(output, (a, b), where_backward)


def masked_fill(x: TensorLike, mask: np.ndarray, value: float) -> Tensor:
    """x with `value` where `mask` (boolean, broadcasts to x's shape) is True: no gradient there."""
    x = as_tensor("masked_fill", x)
    mask = np.asarray(mask.data if isinstance(mask, Tensor) else mask)
    if mask.dtype != bool:
        raise TypeError(f"masked_fill: expected a boolean mask, got dtype {mask.dtype}")
    try:
        mask = np.broadcast_to(mask, x.shape)
    except ValueError:
        raise ValueError(f"masked_fill: the mask's shape {mask.shape} does not broadcast to "
                         f"{x.shape}") from None
    output = np.where(mask, x.dtype.type(value), x.data)

    def masked_fill_backward(grad):
        return (np.where(mask, grad.dtype.type(0), grad),)

    return Tensor.from_op(output, (x,), masked_fill_backward)


# ---- one operand -------------------------------------------------------------------------------


def neg(x: TensorLike) -> Tensor:
    """-x."""
    x = as_tensor("neg", x)

    def neg_backward(grad):
        return (-grad,)

    return Tensor.from_op(-x.data, (x,), neg_backward)


def abs(x: TensorLike) -> Tensor:
    """|x|, with the derivative 0 at 0."""
    x = as_tensor("abs", x)
    if x.dtype.kind == "c":  # not the modulus: the analytic continuation of x or -x
        output = x.data * np.sign(x.data.real)
    else:
        output = np.abs(x.data)

    def abs_backward(grad):
        return (grad * np.sign(x.data.real),)

    return Tensor.from_op(output, (x,), abs_backward)


def exp(x: TensorLike) -> Tensor:
    """e to the x."""
    x = as_tensor("exp", x)
    output = np.exp(x.data)

    def exp_backward(grad):
        return (times(grad, output),)

    return Tensor.from_op(output, (x,), exp_backward)


def log(x: TensorLike) -> Tensor:
    """The natural logarithm."""
    x = as_tensor("log", x)
    output = np.log(x.data)

    def log_backward(grad):
        return (over(grad, x.data),)

    return Tensor.from_op(output, (x,), log_backward)


def sqrt(x: TensorLike) -> Tensor:
    """The square root. Its slope at 0 is infinite; a gradient of 0 that arrives there stays 0."""
    x = as_tensor("sqrt", x)
    output = np.sqrt(x.data)

    def sqrt_backward(grad):
        return (over(grad, 2 * output),)

    return Tensor.from_op(output, (x,), sqrt_backward)


def tanh(x: TensorLike) -> Tensor:
    """The hyperbolic tangent."""
    x = as_tensor("tanh", x)
    output = np.tanh(x.data)

    def tanh_backward(grad):
        return (grad * (1 - output * output),)

    return Tensor.from_op(output, (x,), tanh_backward)


def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + exp(-x)), from exp(-|x|), which cannot overflow."""
    x = as_tensor("sigmoid", x)
    positive = x.data.real >= 0
    small = np.exp(np.where(positive, -x.data, x.data))
    output = np.where(positive, 1, small) / (1 + small)

    def sigmoid_backward(grad):
        return (grad * output * (1 - output),)

    return Tensor.from_op(output, (x,), sigmoid_backward)


def erf(x: TensorLike) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    from scipy.special import erf as scipy_erf  # here: the import takes longer than all of ours

    x = as_tensor("erf", x)
    output = scipy_erf(x.data)

    def erf_backward(grad):
        return (grad * (2 / math.sqrt(math.pi) * np.exp(-x.data * x.data)),)

    return Tensor.from_op(output, (x,), erf_backward)


def relu(x: TensorLike) -> Tensor:
    """x where it is positive, else 0; the derivative at 0 is 0."""
    x = as_tensor("relu", x)
    output = x.data * (x.data.real > 0) if x.dtype.kind == "c" else np.maximum(x.data, 0)

    def relu_backward(grad):
        return (grad * (x.data.real > 0),)

    return Tensor.from_op(output, (x,), relu_backward)
