"""Exercise 1: the chain rule with broadcasting: `unbroadcast` and the backward of a product.

Read first: minibert/micro.py, section 1 (without `unbroadcast`); demos/01_autograd.py.

A loss L depends on y, and y = f(x). The chain rule says dL/dx = dL/dy * dy/dx. `grad` is dL/dy, the
upstream gradient; it has the shape of y. A backward function returns dL/dx, which has the shape of
x. For a product y = a * b of equal shapes dL/da is `grad` times the other factor.

NumPy stretches operands of different shapes. A bias of shape (3,) is added to each row of a (2, 3)
array: each of its elements is used twice, so it has two ways to change the loss. The gradients of
all ways are summed (the multivariable chain rule):

    b            b stretched       gradient that arrives     b's gradient
    [b0 b1 b2] ->  [[b0 b1 b2]       [[g00 g01 g02]     ->   [g00+g10  g01+g11  g02+g12]
                    [b0 b1 b2]]       [g10 g11 g12]]

NumPy stretches in two ways: it adds axes in front, (3,) -> (2, 3), and it repeats axes of size 1,
(2, 1) -> (2, 3). Both may happen at once: (2, 1) -> (4, 2, 3).

Check: python -m pytest demos/exercises/01_unbroadcast.py
"""

import numpy as np


def unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum `grad` over all axes along which NumPy repeated an array of `shape`: grad -> `shape`."""
    raise NotImplementedError


def mul_backward(grad: np.ndarray, a: np.ndarray,
                 b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dL/da and dL/db of y = a * b, given grad = dL/dy. a and b may have different shapes."""
    raise NotImplementedError


# ---- hints: scroll down --------------------------------------------------------------------------
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
# 1. Two steps: first the axes in front, then the axes of size 1.
# 2. There are grad.ndim - len(shape) axes in front. grad.sum(axes) takes a tuple of axes, also an
#    empty one.
# 3. An axis of size 1 must remain with size 1: sum has the argument keepdims=True.
# 4. In mul_backward multiply first, then call unbroadcast: each copy of a met another element of b.
