"""Sums, means, variances and extremes over any axes, as in NumPy: axis=None reduces all of them.

Each backward spreads one gradient over the elements that the result was computed from.
"""

from __future__ import annotations

import math
from operator import index
from typing import Union

import numpy as np

from minibert.autograd.as_tensor import TensorLike, as_tensor, refuse_dim
from minibert.autograd.tensor import Tensor

__all__ = ["max", "mean", "min", "sum", "var"]

Axis = Union[int, tuple[int, ...], None]
Shape = tuple[int, ...]


def one_axis(op: str, shape: Shape, axis: int) -> int:
    """`axis` counted from the front. Errors: no whole number, out of range."""
    try:
        axis = index(axis)
    except TypeError:
        raise TypeError(f"{op}: axis {axis!r}: expected a whole number") from None
    if not -len(shape) <= axis < len(shape):
        raise np.exceptions.AxisError(f"{op}: axis {axis} is out of range for shape {shape}")
    return axis % len(shape)


def reduced_axes(op: str, shape: Shape, axis: Axis, dim=None) -> tuple[tuple[int, ...], Shape]:
    """The axes to reduce, all >= 0, and the shape that keepdims=True leaves. Errors: an axis out of
    range or named twice; `dim` is only accepted to say that it is called `axis`."""
    refuse_dim(op, dim)
    if axis is None:
        return tuple(range(len(shape))), (1,) * len(shape)
    named = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple([one_axis(op, shape, i) for i in named])
    if len(set(axes)) < len(axes):
        raise ValueError(f"{op}: an axis is named twice in {axis}")
    return axes, tuple([1 if i in axes else size for i, size in enumerate(shape)])


def reduced_count(op: str, shape: Shape, axes: tuple[int, ...]) -> int:
    """The number of elements in each result. Error: none, which have no mean and no extreme."""
    count = math.prod([shape[i] for i in axes])
    if count == 0:
        raise ValueError(f"{op}: no elements to reduce in shape {shape} over axes {axes}")
    return count


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False, *, dim=None) -> Tensor:
    """The sum over `axis`; keepdims leaves the reduced axes with size 1, here and below."""
    x = as_tensor("sum", x)
    axes, kept_shape = reduced_axes("sum", x.shape, axis, dim)
    output = x.data.sum(axis=axes, keepdims=keepdims)

    def sum_backward(grad):
        return (np.broadcast_to(grad.reshape(kept_shape), x.shape),)

    return Tensor.from_op(output, (x,), sum_backward)


def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False, *, dim=None) -> Tensor:
    """The mean over `axis`."""
    x = as_tensor("mean", x)
    axes, kept_shape = reduced_axes("mean", x.shape, axis, dim)
    count = reduced_count("mean", x.shape, axes)
    output = x.data.mean(axis=axes, keepdims=keepdims)

    def mean_backward(grad):
        return (np.broadcast_to(grad.reshape(kept_shape) / count, x.shape),)

    return Tensor.from_op(output, (x,), mean_backward)


def var(x: TensorLike, axis: Axis = None, keepdims: bool = False, ddof: int = 0, *,
        dim=None) -> Tensor:
    """The mean squared distance from the mean, sum((x - mean)^2) / (n - ddof), over `axis`."""
    x = as_tensor("var", x)
    axes, kept_shape = reduced_axes("var", x.shape, axis, dim)
    count = reduced_count("var", x.shape, axes) - ddof
    if count <= 0:
        raise ValueError(f"var: ddof={ddof} needs more than the {count + ddof} elements that shape "
                         f"{x.shape} has over axes {axes}")
    distance = x.data - x.data.mean(axis=axes, keepdims=True)
    # np.var would take the modulus of a complex distance
    output = (distance * distance).sum(axis=axes, keepdims=keepdims) / count

    def var_backward(grad):  # the mean depends on x too, but the distances add up to 0
        return (distance * (grad.reshape(kept_shape) * (2 / count)),)

    return Tensor.from_op(output, (x,), var_backward)


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False, *, dim=None) -> Tensor:
    """The largest element over `axis`; equal ones share the gradient equally."""
    x = as_tensor("max", x)
    axes, kept_shape = reduced_axes("max", x.shape, axis, dim)
    reduced_count("max", x.shape, axes)
    largest = x.data.real.max(axis=axes, keepdims=True)
    output = _mean_of_extremes(x.data, largest, axes)

    def max_backward(grad):
        return (_shared(grad.reshape(kept_shape), _is_extreme(x.data, largest), axes),)

    return Tensor.from_op(output if keepdims else output.squeeze(axes), (x,), max_backward)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False, *, dim=None) -> Tensor:
    """The smallest element over `axis`; equal ones share the gradient equally."""
    x = as_tensor("min", x)
    axes, kept_shape = reduced_axes("min", x.shape, axis, dim)
    reduced_count("min", x.shape, axes)
    smallest = x.data.real.min(axis=axes, keepdims=True)
    output = _mean_of_extremes(x.data, smallest, axes)

    def min_backward(grad):
        return (_shared(grad.reshape(kept_shape), _is_extreme(x.data, smallest), axes),)

    return Tensor.from_op(output if keepdims else output.squeeze(axes), (x,), min_backward)


def _is_extreme(x: np.ndarray, extreme: np.ndarray) -> np.ndarray:
    """True where x is the extreme of its group; a NaN always is."""
    return (x.real == extreme) | np.isnan(x)


def _mean_of_extremes(x: np.ndarray, extreme: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The extreme itself; for complex x, where the real part decides, the mean of equal ones."""
    if x.dtype.kind != "c":
        return extreme
    is_extreme = _is_extreme(x, extreme)
    total = np.where(is_extreme, x, 0).sum(axis=axes, keepdims=True)
    return total / is_extreme.sum(axis=axes, keepdims=True)


def _shared(grad: np.ndarray, is_extreme: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    share = grad / is_extreme.sum(axis=axes, keepdims=True).astype(grad.dtype)
    return np.where(is_extreme, share, grad.dtype.type(0))
