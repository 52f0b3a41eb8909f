"""All primitive ops in one place (public as `minibert.ops`), and the operators bound to Tensor.

The ops are what `__all__` names in each of the four files. Only the block at the end changes a
class of another file: tensor.py cannot import the ops, which import it.
"""

from __future__ import annotations

from minibert.autograd.as_tensor import TensorLike
from minibert.autograd.elementwise import *
from minibert.autograd.matmul import *
from minibert.autograd.reductions import *
from minibert.autograd.shapes import *
from minibert.autograd.tensor import Tensor


# Python calls these, the right operand first, where the left one is an array or a number: 2 - x
def _reflected_sub(b: Tensor, a: TensorLike) -> Tensor:
    return sub(a, b)


def _reflected_div(b: Tensor, a: TensorLike) -> Tensor:
    return div(a, b)


def _reflected_pow(b: Tensor, a: TensorLike) -> Tensor:
    return pow(a, b)


def _reflected_matmul(b: Tensor, a: TensorLike) -> Tensor:
    return matmul(a, b)


Tensor.__add__ = Tensor.__radd__ = add
Tensor.__sub__, Tensor.__rsub__ = sub, _reflected_sub
Tensor.__mul__ = Tensor.__rmul__ = mul
Tensor.__truediv__, Tensor.__rtruediv__ = div, _reflected_div
Tensor.__pow__, Tensor.__rpow__ = pow, _reflected_pow
Tensor.__matmul__, Tensor.__rmatmul__ = matmul, _reflected_matmul
Tensor.__neg__ = neg
Tensor.__abs__ = abs
Tensor.__getitem__ = getitem

Tensor.sum, Tensor.mean, Tensor.var, Tensor.max, Tensor.min = sum, mean, var, max, min
Tensor.exp, Tensor.log, Tensor.sqrt, Tensor.tanh = exp, log, sqrt, tanh
Tensor.reshape, Tensor.squeeze = reshape, squeeze
Tensor.transpose, Tensor.swapaxes = transpose, swapaxes
Tensor.T = property(transpose)
