"""Exercise 1: unbroadcast(grad, shape) and mul_backward(grad, a, b)."""

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import complex_step, generators, numbers


@st.composite
def broadcasts(draw):
    """A shape, and a larger one that NumPy makes of it."""
    shape = draw(st.lists(st.integers(1, 3), max_size=3))
    large = [draw(st.integers(1, 4)) if n == 1 and draw(st.booleans()) else n for n in shape]
    return tuple(shape), (*draw(st.lists(st.integers(1, 3), max_size=2)), *large)


@st.composite
def gradients(draw):
    shape, large = draw(broadcasts())
    return {"grad": numbers(draw(generators()), *large), "shape": shape}


@st.composite
def factors(draw):
    shape, large = draw(broadcasts())
    if draw(st.booleans()):  # the second operand is stretched as well
        axis = draw(st.integers(0, len(large) - 1)) if large else None
        other = tuple([1 if i == axis and shape[len(shape) - len(large) + i:][:1] != (1,)
                       and len(shape) == len(large) else n for i, n in enumerate(large)])
    else:
        other = large
    rng = draw(generators())
    a, b = numbers(rng, *shape), numbers(rng, *other)
    if draw(st.booleans()):
        a, b = b, a
    return {"grad": numbers(rng, *np.broadcast_shapes(a.shape, b.shape)), "a": a, "b": b}


def right_unbroadcast(grad, shape):
    return complex_step(lambda x: np.broadcast_to(x, grad.shape), (np.zeros(shape),), grad)[0]


def right_mul_backward(grad, a, b):
    return complex_step(lambda a, b: a * b, (a, b), grad)


# ---- known mistakes ------------------------------------------------------------------------------


def axes(grad, shape):
    in_front = tuple(range(grad.ndim - len(shape)))
    return in_front, tuple([i for i, n in enumerate(shape) if n == 1])


def a_mean(grad, shape):
    """The copies are averaged. Every copy has its own influence on the loss: their gradients are
    summed."""
    in_front, stretched = axes(grad, shape)
    return np.asarray(grad.mean(in_front)).mean(stretched, keepdims=True)


def front_only(grad, shape):
    """Only the axes in front are summed. An axis of size 1 may have been stretched as well: sum
    over it and keep it, with keepdims=True."""
    return np.asarray(grad.sum(axes(grad, shape)[0]))


def stretched_only(grad, shape):
    """Only the axes of size 1 are summed. The gradient may also have more axes than the shape: sum
    over those in front first."""
    kept = tuple([grad.ndim - len(shape) + i for i in axes(grad, shape)[1]])
    return grad.sum(kept, keepdims=True)


def no_keepdims(grad, shape):
    """The axes of size 1 are lost: sum over them with keepdims=True."""
    in_front, stretched = axes(grad, shape)
    return np.asarray(np.asarray(grad.sum(in_front)).sum(stretched))


def one_copy(grad, shape):
    """One copy's gradient is taken and the others are dropped: sum over all copies."""
    in_front, stretched = axes(grad, shape)
    for _ in in_front:
        grad = grad[0]
    return np.asarray(grad[tuple([slice(0, 1) if i in stretched else slice(None)
                                  for i in range(len(shape))])])


def sum_to(grad, shape):
    return right_unbroadcast(grad, shape)


def own_factor(grad, a, b):
    """The two factors are swapped: d(a b)/da is b, so a's gradient is grad * b."""
    return sum_to(grad * a, a.shape), sum_to(grad * b, b.shape)


def not_summed(grad, a, b):
    """The gradients keep the shape of the product: sum each back to its operand's shape with
    `unbroadcast`."""
    return grad * b, grad * a


def summed_too_early(grad, a, b):
    """`grad` is un-broadcast before the multiplication. Multiply first: each copy meets another
    factor."""
    return sum_to(sum_to(grad, a.shape) * b, a.shape), sum_to(sum_to(grad, b.shape) * a, b.shape)


def upstream_forgotten(grad, a, b):
    """The upstream gradient is missing: by the chain rule dL/da = dL/d(a b) * b."""
    return sum_to(np.ones(grad.shape) * b, a.shape), sum_to(np.ones(grad.shape) * a, b.shape)


def one_side_only(grad, a, b):
    """Only a's gradient is summed back to its operand's shape; b may have been stretched too."""
    return sum_to(grad * b, a.shape), grad * a


PARTS = (
    Part("unbroadcast", gradients(), (a_mean, front_only, stretched_only, no_keepdims, one_copy),
         right_unbroadcast),
    Part("mul_backward", factors(),
         (own_factor, not_summed, summed_too_early, upstream_forgotten, one_side_only),
         right_mul_backward, returns=("a's gradient", "b's gradient")))
