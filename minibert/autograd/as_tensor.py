"""The operands of an op as tensors: arrays and numbers are accepted too."""

from __future__ import annotations

import numbers
from typing import Union

import numpy as np

from minibert.autograd.tensor import Tensor

TensorLike = Union[Tensor, np.ndarray, float, int, complex]


def as_tensor(op: str, value: TensorLike) -> Tensor:
    """The only operand of `op` as a tensor. Error: neither tensor, array nor number."""
    return value if isinstance(value, Tensor) else as_tensors(op, value)[0]


def as_tensors(op: str, *values: TensorLike) -> tuple[Tensor, ...]:
    """The operands of `op` as tensors. Numbers, also NumPy's scalars, take the other operands'
    dtype: `x * np.float64(0.5)` leaves a float32 tensor float32. Error: see as_tensor."""
    for value in values:
        if not isinstance(value, Tensor):
            break
    else:
        return values
    arrays = [_array_or_number(op, value) for value in values]
    dtype = np.result_type(*arrays)
    return tuple([value if isinstance(value, Tensor) else
                  Tensor(array if isinstance(array, np.ndarray) else np.asarray(array, dtype))
                  for value, array in zip(values, arrays)])


def _array_or_number(op: str, value: TensorLike) -> np.ndarray | float | int | complex:
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, numbers.Number)):
        return value
    raise TypeError(f"{op}: expected tensors, arrays or numbers, got {type(value).__name__}")


def refuse_dim(op: str, dim) -> None:
    """Refuse PyTorch's name for `axis`, and name ours."""
    if dim is not None:
        raise TypeError(f"{op}: got dim={dim}, expected axis={dim}, NumPy's name for it")
