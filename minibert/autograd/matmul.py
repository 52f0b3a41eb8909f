"""The matrix product in all of NumPy's combinations of shapes.

(..., n, k) @ (..., k, m) -> (..., n, m), where the leading axes broadcast; a vector on the left is
a row, one on the right a column, and the axis that this adds is dropped from the result.
"""

from __future__ import annotations

import math

import numpy as np

from minibert.autograd.as_tensor import TensorLike, as_tensors
from minibert.autograd.elementwise import unbroadcast
from minibert.autograd.tensor import Tensor

__all__ = ["matmul"]


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """a @ b, as np.matmul. Errors (ValueError): a 0-d operand, inner sizes that differ, batches
    that do not broadcast."""
    a, b = as_tensors("matmul", a, b)
    output = product("matmul", a.data, b.data)

    def matmul_backward(grad):
        # C = A B: dA = dC B^T, dB = A^T dC, with (n, k) (k, m) -> (n, m) behind the batch axes
        a_matrix = a.data if a.ndim > 1 else a.data[None, :]
        b_matrix = b.data if b.ndim > 1 else b.data[:, None]
        if a.ndim == 1:  # back to (..., 1, m): the output has lost the axis of a vector
            grad = np.expand_dims(grad, -1 if b.ndim == 1 else -2)
        if b.ndim == 1:  # back to (..., n, 1)
            grad = np.expand_dims(grad, -1)
        grad_a = grad_b = None
        if a.requires_grad:
            grad_a = product("matmul", grad, b_matrix.swapaxes(-1, -2))
            grad_a = unbroadcast(grad_a, a_matrix.shape).reshape(a.shape)
        if b.requires_grad and b.ndim <= 2:  # one product sums over the batch as well
            rows = math.prod(a_matrix.shape[:-1])
            a_rows = a_matrix.reshape(rows, a.shape[-1])
            grad_b = (a_rows.T @ grad.reshape(rows, grad.shape[-1])).reshape(b.shape)
        elif b.requires_grad:
            grad_b = unbroadcast(a_matrix.swapaxes(-1, -2) @ grad, b.shape)
        return grad_a, grad_b

    return Tensor.from_op(output, (a, b), matmul_backward)


def product(op: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b on arrays, with errors that name `op` and the shapes. (B, T, k) @ (k, m) is computed as
    (B*T, k) @ (k, m): one large product beats B small ones."""
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"{op}: shapes {a.shape} and {b.shape}: both need at least one axis")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(f"{op}: shapes {a.shape} and {b.shape}: the inner sizes {a.shape[-1]} and "
                         f"{inner} differ")
    if a.ndim > 2 and b.ndim == 2:
        rows = math.prod(a.shape[:-1])
        return (a.reshape(rows, inner) @ b).reshape(*a.shape[:-1], b.shape[-1])
    try:
        return a @ b
    except ValueError:
        raise ValueError(f"{op}: shapes {a.shape} and {b.shape}: the batches {a.shape[:-2]} and "
                         f"{b.shape[:-2]} do not broadcast") from None
