"""Element-wise ops: each formula with its derivative right below.

Binary ops broadcast as NumPy does. The backward functions hold the plain derivatives, in the
output's shape; `operand_grad` turns each into the gradient of its operand. All ops pass complex
numbers through, for the complex step of gradcheck; what has a kink (abs, relu, maximum) decides on
the real part.
"""

from __future__ import annotations

import math
import numbers

import numpy as np

from minibert.autograd.as_tensor import TensorLike, as_tensor, as_tensors
from minibert.autograd.tensor import Tensor

__all__ = ["abs", "add", "div", "erf", "exp", "log", "masked_fill", "maximum", "mul", "neg", "pow",
           "relu", "sigmoid", "sqrt", "sub", "tanh", "where"]


def operands(op: str, a: TensorLike, b: TensorLike) -> tuple[Tensor, Tensor]:
    """The two operands as tensors. Error: shapes that do not broadcast."""
    a, b = as_tensors(op, a, b)
    if a.shape != b.shape:
        try:
            np.broadcast(a.data, b.data)
        except ValueError:
            raise ValueError(f"{op}: shapes {a.shape} and {b.shape} do not broadcast") from None
    return a, b


def unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum `grad` over the axes along which an operand of `shape` was repeated. Broadcasting puts
    axes of size 1 in front and repeats every axis of size 1; an element that was used several times
    gets the sum of its gradients."""
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    repeated = [added + i for i, size in enumerate(shape)
                if size == 1 and grad.shape[added + i] != 1]
    return grad.sum(axis=(*range(added), *repeated), keepdims=True).reshape(shape)


def operand_grad(operand: Tensor, product: np.ndarray, grad: np.ndarray) -> np.ndarray | None:
    """The gradient of `operand` from `product`, the output's `grad` times the derivative; None if
    it requires none.

    Where `grad` is 0 the result is 0, whatever the derivative: floating point makes NaN of 0 * inf
    and 0 / 0. `where` sends zeros into the branch that it did not take, so log(x) in
    where(x > 0, log(x), 0) does no harm at x = 0.
    """
    if not operand.requires_grad:
        return None
    if product is not grad and np.isnan(product).any():
        product = np.where(grad == 0, grad.dtype.type(0), product)
    return unbroadcast(product, operand.shape)


# ---- two operands ------------------------------------------------------------------------------


def add(a: TensorLike, b: TensorLike) -> Tensor:
    """a + b."""
    a, b = operands("add", a, b)
    output = a.data + b.data

    def add_backward(grad):
        return operand_grad(a, grad, grad), operand_grad(b, grad, grad)

    return Tensor.from_op(output, (a, b), add_backward)


def sub(a: TensorLike, b: TensorLike) -> Tensor:
    """a - b."""
    a, b = operands("sub", a, b)
    output = a.data - b.data

    def sub_backward(grad):
        return operand_grad(a, grad, grad), operand_grad(b, -grad, grad)

    return Tensor.from_op(output, (a, b), sub_backward)


def mul(a: TensorLike, b: TensorLike) -> Tensor:
    """a * b, element by element."""
    a, b = operands("mul", a, b)
    output = a.data * b.data

    def mul_backward(grad):
        grad_a = grad * b.data
        grad_b = grad * a.data
        return operand_grad(a, grad_a, grad), operand_grad(b, grad_b, grad)

    return Tensor.from_op(output, (a, b), mul_backward)


def div(a: TensorLike, b: TensorLike) -> Tensor:
    """a / b, element by element."""
    a, b = operands("div", a, b)
    output = a.data / b.data

    def div_backward(grad):
        grad_a = grad / b.data
        grad_b = -grad_a * output
        return operand_grad(a, grad_a, grad), operand_grad(b, grad_b, grad)

    return Tensor.from_op(output, (a, b), div_backward)


def pow(base: TensorLike, exponent: TensorLike) -> Tensor:
    """base ** exponent, element by element. The gradient of the exponent p, base^p log(base), is 0
    at base 0 (p >= 0) and NaN at a negative base; that of the base, p base^(p - 1), is infinite at
    base 0 for p < 1, but 0 for p = 0."""
    if isinstance(exponent, (numbers.Number, np.generic)):
        return _pow_number(as_tensor("pow", base), exponent)
    a, b = operands("pow", base, exponent)
    output = a.data**b.data

    def pow_backward(grad):
        grad_a = grad_b = None
        if a.requires_grad:  # where b = 0 the power is constant, at a = 0 too
            slope = b.data * np.where(b.data == 0, 1, a.data) ** (b.data - 1)
            grad_a = operand_grad(a, grad * slope, grad)
        if b.requires_grad:  # 0^b stays 0 when b > 0 moves
            log_a = np.log(np.where((a.data == 0) & (b.data.real >= 0), 1, a.data))
            grad_b = operand_grad(b, grad * output * log_a, grad)
        return grad_a, grad_b

    return Tensor.from_op(output, (a, b), pow_backward)


def _pow_number(x: Tensor, exponent: float) -> Tensor:
    if isinstance(exponent, np.generic):  # a NumPy scalar would decide the dtype
        exponent = exponent.item()
    output = _power(x.data, exponent)

    def pow_backward(grad):
        if exponent == 0:
            return (np.zeros_like(grad),)
        grad_x = grad * exponent * _power(x.data, exponent - 1)
        return (operand_grad(x, grad_x, grad),)

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
    """The larger of a and b, element by element; equal ones get half the gradient each."""
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
        return operand_grad(a, grad_a, grad), operand_grad(b, grad_b, grad)

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
        grad_a = np.where(condition, grad, zero)
        grad_b = np.where(condition, zero, grad)
        return operand_grad(a, grad_a, grad), operand_grad(b, grad_b, grad)

    return Tensor.from_op(output, (a, b), where_backward)


def masked_fill(x: TensorLike, mask: np.ndarray, value: float | Tensor) -> Tensor:
    """x with `value` where `mask` is True: no gradient for x there, but for a 0-d tensor `value`.
    mask: booleans that broadcast to x's shape. Errors: another mask, several values."""
    x = as_tensor("masked_fill", x)
    mask = np.asarray(mask.data if isinstance(mask, Tensor) else mask)
    if mask.dtype != bool:
        raise TypeError(f"masked_fill: expected a boolean mask, got dtype {mask.dtype}")
    try:
        mask = np.broadcast_to(mask, x.shape)
    except ValueError:
        raise ValueError(f"masked_fill: the mask's shape {mask.shape} does not broadcast to "
                         f"{x.shape}") from None
    fill = value if isinstance(value, Tensor) else Tensor(np.asarray(value, x.dtype))
    if fill.ndim:
        raise ValueError(f"masked_fill: value has shape {fill.shape}, expected one number; for "
                         "several use where(mask, value, x)")
    output = np.where(mask, fill.data.astype(x.dtype), x.data)

    def masked_fill_backward(grad):
        zero = grad.dtype.type(0)
        return np.where(mask, zero, grad), np.where(mask, grad, zero).sum()

    return Tensor.from_op(output, (x, fill), masked_fill_backward)


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
        grad_x = grad * np.sign(x.data.real)
        return (operand_grad(x, grad_x, grad),)

    return Tensor.from_op(output, (x,), abs_backward)


def exp(x: TensorLike) -> Tensor:
    """e to the x."""
    x = as_tensor("exp", x)
    output = np.exp(x.data)

    def exp_backward(grad):
        grad_x = grad * output
        return (operand_grad(x, grad_x, grad),)

    return Tensor.from_op(output, (x,), exp_backward)


def log(x: TensorLike) -> Tensor:
    """The natural logarithm."""
    x = as_tensor("log", x)
    output = np.log(x.data)

    def log_backward(grad):
        grad_x = grad / x.data
        return (operand_grad(x, grad_x, grad),)

    return Tensor.from_op(output, (x,), log_backward)


def sqrt(x: TensorLike) -> Tensor:
    """The square root; its derivative at 0 is infinite."""
    x = as_tensor("sqrt", x)
    output = np.sqrt(x.data)

    def sqrt_backward(grad):
        grad_x = grad / (2 * output)
        return (operand_grad(x, grad_x, grad),)

    return Tensor.from_op(output, (x,), sqrt_backward)


def tanh(x: TensorLike) -> Tensor:
    """The hyperbolic tangent."""
    x = as_tensor("tanh", x)
    output = np.tanh(x.data)

    def tanh_backward(grad):
        grad_x = grad * (1 - output * output)
        return (operand_grad(x, grad_x, grad),)

    return Tensor.from_op(output, (x,), tanh_backward)


def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + exp(-x)), from exp(-|x|), which cannot overflow."""
    x = as_tensor("sigmoid", x)
    positive = x.data.real >= 0
    small = np.exp(np.where(positive, -x.data, x.data))
    output = np.where(positive, 1, small) / (1 + small)

    def sigmoid_backward(grad):
        grad_x = grad * output * (1 - output)
        return (operand_grad(x, grad_x, grad),)

    return Tensor.from_op(output, (x,), sigmoid_backward)


def erf(x: TensorLike) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    from scipy.special import erf as scipy_erf  # here: the import takes longer than all of ours

    x = as_tensor("erf", x)
    output = scipy_erf(x.data)

    def erf_backward(grad):
        grad_x = grad * (2 / math.sqrt(math.pi)) * np.exp(-x.data * x.data)
        return (operand_grad(x, grad_x, grad),)

    return Tensor.from_op(output, (x,), erf_backward)


def relu(x: TensorLike) -> Tensor:
    """x where it is positive, else 0; the derivative at 0 is 0."""
    x = as_tensor("relu", x)
    output = x.data * (x.data.real > 0) if x.dtype.kind == "c" else np.maximum(x.data, 0)

    def relu_backward(grad):
        return (grad * (x.data.real > 0),)

    return Tensor.from_op(output, (x,), relu_backward)
