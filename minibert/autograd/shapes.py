"""Ops that move, repeat or pick elements and compute nothing. Each backward moves the gradients to
where their elements came from; elements that were used several times get the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Union

import numpy as np

from minibert.autograd.as_tensor import TensorLike, as_tensor, as_tensors, refuse_dim
from minibert.autograd.elementwise import unbroadcast
from minibert.autograd.reductions import Axis, one_axis, reduced_axes
from minibert.autograd.tensor import Tensor, is_recorded

__all__ = ["broadcast_to", "concat", "expand_dims", "flip", "getitem", "reshape", "split",
           "squeeze", "stack", "swapaxes", "take_along_axis", "transpose"]

Shape = Union[int, Sequence[int]]


def _unpacked(arguments: tuple) -> tuple[int, ...]:
    """Sizes or axes given one by one, f(x, 2, 3), or as one tuple, f(x, (2, 3))."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        return tuple(arguments[0])
    return arguments


# ---- the same elements in another shape --------------------------------------------------------


def reshape(x: TensorLike, *shape: Shape) -> Tensor:
    """The elements in C order in another shape; one size may be -1."""
    x = as_tensor("reshape", x)
    shape = _unpacked(shape)
    try:
        output = x.data.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: shape {x.shape} ({x.size} elements) does not fit into "
                         f"{shape}") from None

    def reshape_backward(grad):
        return (grad.reshape(x.shape),)

    return Tensor.from_op(output, (x,), reshape_backward)


def squeeze(x: TensorLike, axis: Axis = None, *, dim=None) -> Tensor:
    """Drop axes of size 1: all of them, or those named."""
    x = as_tensor("squeeze", x)
    dropped, _ = reduced_axes("squeeze", x.shape, axis, dim)
    if axis is None:
        dropped = tuple([i for i in dropped if x.shape[i] == 1])
    if any([x.shape[i] != 1 for i in dropped]):
        raise ValueError(f"squeeze: axis {axis} of shape {x.shape} is not of size 1")
    return reshape(x, [size for i, size in enumerate(x.shape) if i not in dropped])


def expand_dims(x: TensorLike, axis: int | tuple[int, ...]) -> Tensor:
    """Insert axes of size 1, at these positions of the result."""
    x = as_tensor("expand_dims", x)
    added = axis if isinstance(axis, (tuple, list)) else (axis,)
    added, _ = reduced_axes("expand_dims", x.shape + (1,) * len(added), tuple(added))
    return reshape(x, np.expand_dims(x.data, added).shape)


def transpose(x: TensorLike, *axes: Shape) -> Tensor:
    """Axis i of the result is axis axes[i] of x; without axes, all in reverse, as in NumPy."""
    x = as_tensor("transpose", x)
    axes = _unpacked(axes) or tuple(reversed(range(x.ndim)))
    axes = [one_axis("transpose", x.shape, axis) for axis in axes]
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: axes {tuple(axes)} do not name each axis of shape {x.shape} "
                         "once")

    def transpose_backward(grad):
        return (grad.transpose([axes.index(i) for i in range(x.ndim)]),)

    return Tensor.from_op(x.data.transpose(axes), (x,), transpose_backward)


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """Exchange two axes."""
    x = as_tensor("swapaxes", x)
    axis1 = one_axis("swapaxes", x.shape, axis1)
    axis2 = one_axis("swapaxes", x.shape, axis2)

    def swapaxes_backward(grad):
        return (grad.swapaxes(axis1, axis2),)

    return Tensor.from_op(x.data.swapaxes(axis1, axis2), (x,), swapaxes_backward)


def flip(x: TensorLike, axis: Axis = None) -> Tensor:
    """The elements in reverse order along `axis`."""
    x = as_tensor("flip", x)
    axes, _ = reduced_axes("flip", x.shape, axis)
    return getitem(x, tuple([slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)]))


def broadcast_to(x: TensorLike, shape: Shape) -> Tensor:
    """x repeated to `shape`, as NumPy broadcasts; the result's array is read-only."""
    x = as_tensor("broadcast_to", x)
    try:
        output = np.broadcast_to(x.data, shape)
    except ValueError:
        raise ValueError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}") from None

    def broadcast_to_backward(grad):
        return (unbroadcast(grad, x.shape),)

    return Tensor.from_op(output, (x,), broadcast_to_backward)


# ---- several into one, one into several --------------------------------------------------------


def concat(tensors: Sequence[TensorLike], axis: int = 0, *, dim=None) -> Tensor:
    """Join along an axis that all have; the other sizes must be equal."""
    refuse_dim("concat", dim)
    tensors = as_tensors("concat", *tensors)
    if not tensors:
        raise ValueError("concat: no tensors were given")
    axis = one_axis("concat", tensors[0].shape, axis)
    try:
        output = np.concatenate([tensor.data for tensor in tensors], axis)
    except ValueError:
        shapes = ", ".join([str(tensor.shape) for tensor in tensors])
        raise ValueError(f"concat: shapes {shapes} may differ only along axis {axis}") from None

    def concat_backward(grad):
        ends = np.cumsum([tensor.shape[axis] for tensor in tensors])
        return tuple(np.split(grad, ends[:-1], axis))

    return Tensor.from_op(output, tensors, concat_backward)


def stack(tensors: Sequence[TensorLike], axis: int = 0, *, dim=None) -> Tensor:
    """Put tensors of one shape side by side along a new axis."""
    refuse_dim("stack", dim)
    tensors = as_tensors("stack", *tensors)
    if not tensors:
        raise ValueError("stack: no tensors were given")
    if any([tensor.shape != tensors[0].shape for tensor in tensors]):
        shapes = ", ".join([str(tensor.shape) for tensor in tensors])
        raise ValueError(f"stack: shapes {shapes} must all be equal")
    axis = one_axis("stack", (len(tensors), *tensors[0].shape), axis)
    output = np.stack([tensor.data for tensor in tensors], axis)

    def stack_backward(grad):
        return tuple(np.moveaxis(grad, axis, 0))

    return Tensor.from_op(output, tensors, stack_backward)


def split(x: TensorLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """As np.split: into a number of equal parts, or before each of the indices."""
    x = as_tensor("split", x)
    axis = one_axis("split", x.shape, axis)
    size = x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = int(indices_or_sections)
        if parts < 1 or size % parts:
            raise ValueError(f"split: axis {axis} of shape {x.shape} does not divide into {parts} "
                             "equal parts")
        indices = [size // parts * i for i in range(1, parts)]
    else:
        indices = indices_or_sections
    bounds = [0, *indices, size]
    return [getitem(x, (slice(None),) * axis + (slice(start, stop),))
            for start, stop in zip(bounds, bounds[1:])]


# ---- picking elements --------------------------------------------------------------------------


def getitem(x: TensorLike, index) -> Tensor:
    """x[index], as NumPy: ints, slices, ..., None, boolean and integer arrays; else IndexError."""
    x = as_tensor("getitem", x)
    try:
        output = x.data[index]
    except IndexError as error:
        raise IndexError(f"getitem: shape {x.shape}: {error}") from None
    if is_recorded(x):
        index = deepcopy(index)  # a caller may fill the same array again before the backward

    def getitem_backward(grad):
        grad_x = np.zeros(x.shape, grad.dtype)
        if _may_repeat(index):
            np.add.at(grad_x, index, grad)
        else:
            grad_x[index] = grad
        return (grad_x,)

    return Tensor.from_op(output, (x,), getitem_backward)


def _may_repeat(index) -> bool:
    """Whether the index can name an element twice; assigning is much faster than np.add.at. Ints,
    slices, ... and None cannot, nor can a boolean mask, nor integers that all differ."""
    parts = index if isinstance(index, tuple) else (index,)
    arrays = [np.asarray(part) for part in parts if part is not None and part is not Ellipsis
              and not isinstance(part, (int, np.integer, slice))]
    if not arrays or len(arrays) == 1 and arrays[0].dtype == bool:
        return False
    if len(arrays) > 1 or arrays[0].size == 0 or arrays[0].min() < 0:  # -1 may be n - 1
        return True
    return np.bincount(arrays[0].ravel()).max() > 1


def take_along_axis(x: TensorLike, indices: np.ndarray, axis: int) -> Tensor:
    """As np.take_along_axis: indices (integers, as many axes as x) pick along `axis`."""
    x = as_tensor("take_along_axis", x)
    axis = one_axis("take_along_axis", x.shape, axis)
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu" or indices.ndim != x.ndim:
        raise IndexError(f"take_along_axis: expected {x.ndim}-d integers for shape {x.shape}, got "
                         f"{indices.ndim}-d {indices.dtype}")
    grid = list(np.ogrid[tuple([slice(size) for size in x.shape])])
    grid[axis] = indices
    try:
        return getitem(x, tuple(grid))
    except IndexError as error:
        raise IndexError(f"take_along_axis: shape {x.shape}, indices of shape {indices.shape}: "
                         f"{error}") from None
