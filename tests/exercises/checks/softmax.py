"""Exercise 3: softmax_backward(dP, P)."""

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import complex_step, generators, numbers

import minibert as mb


def softmax(x):
    return mb.functional.softmax(mb.Tensor(x), -1).data


@st.composite
def rows(draw):
    shape = (*draw(st.lists(st.integers(1, 3), max_size=2)), draw(st.integers(2, 5)))
    rng = draw(generators())
    return {"dP": numbers(rng, *shape), "P": softmax(2 * rng.normal(size=shape))}


def right(dP, P):
    return complex_step(softmax, (np.log(P),), dP)[0]


def adds_up_to_zero(function, inputs, dS):
    worst = np.abs(dS.sum(-1)).max()
    return None if worst < 1e-9 else (
        f"each row of dS adds up to 0 (a shift of all scores changes nothing); here {worst:.5f}")


# ---- known mistakes ------------------------------------------------------------------------------


def diagonal_only(dP, P):
    """Only the diagonal of the Jacobian, P_i (1 - P_i). Every score also changes the other
    probabilities: the row sum of P dP takes care of these."""
    return dP * P * (1 - P)


def no_row_sum(dP, P):
    """The row sum is missing: dS = P (dP - rowsum(P dP)). All probabilities of a row share one
    denominator."""
    return P * dP


def no_factor(dP, P):
    """The factor P in front is missing: dS = P (dP - rowsum(P dP))."""
    return dP - (P * dP).sum(-1, keepdims=True)


def unweighted_sum(dP, P):
    """The row sum is of dP alone: sum P dP, each gradient weighed by its probability."""
    return P * (dP - dP.sum(-1, keepdims=True))


def row_mean(dP, P):
    """A mean where the sum belongs: the P of a row are weights that add up to 1 already."""
    return P * (dP - (P * dP).mean(-1, keepdims=True))


def over_everything(dP, P):
    """The sum runs over the whole array: each row has a softmax of its own, so axis=-1 with
    keepdims=True."""
    return P * (dP - (P * dP).sum())


def over_the_first_axis(dP, P):
    """The sum runs over the first axis; the softmax was taken over the last one."""
    return P * (dP - (P * dP).sum(0, keepdims=True))


def plus(dP, P):
    """The sign of the row sum: dS = P (dP - rowsum(P dP)), with a minus."""
    return P * (dP + (P * dP).sum(-1, keepdims=True))


def divided_by_the_batch(dP, P):
    """The gradient is divided by the number of rows. A mean belongs to the loss, which has divided
    already where it is one."""
    return right(dP, P) / len(P)


def no_keepdims(dP, P):
    """The sum lost its axis: keepdims=True keeps it with size 1, so that it meets its own row."""
    return P * (dP - (P * dP).sum(-1))


PARTS = (
    Part("softmax_backward", rows(),
         (diagonal_only, no_row_sum, no_factor, unweighted_sum, row_mean, over_everything,
          over_the_first_axis, plus, divided_by_the_batch, no_keepdims),
         right, (adds_up_to_zero,)),)
