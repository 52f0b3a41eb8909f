"""Exercise 4: layer_norm_backward(dy, x, weight, eps)."""

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import complex_step, generators, numbers

import minibert as mb


@st.composite
def rows(draw):
    C = draw(st.integers(2, 5))
    shape = (*draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)), C)
    rng = draw(generators())
    return {"dy": numbers(rng, *shape), "x": numbers(rng, *shape) + 0.001 * np.arange(C),
            "weight": 1 + numbers(rng, C), "eps": draw(st.sampled_from([1e-5, 1e-3, 0.1]))}


def right(dy, x, weight, eps):
    def forward(x, weight, bias):
        return mb.functional.layer_norm(mb.Tensor(x), x.shape[-1:], mb.Tensor(weight),
                                        mb.Tensor(bias), eps).data
    return complex_step(forward, (x, weight, np.zeros(weight.shape)), dy)


def shift_law(function, inputs, output):
    worst = np.abs(output[0].sum(-1)).max()
    return None if worst < 1e-8 * max(1, np.abs(output[0]).max()) else (
        "each row of dx adds up to 0 (a shift of the whole row changes nothing); here "
        f"{worst:.5f}")


# ---- known mistakes ------------------------------------------------------------------------------


def parts_of(dy, x, eps, ddof=0, outside=False):
    centred = x - x.mean(-1, keepdims=True)
    var = x.var(-1, keepdims=True, ddof=ddof)
    rstd = 1 / (np.sqrt(var) + eps) if outside else 1 / np.sqrt(var + eps)
    normalized = centred * rstd
    over = tuple(range(x.ndim - 1))
    return normalized, rstd, (dy * normalized).sum(over), dy.sum(over)


def mean(a):
    return a.mean(-1, keepdims=True)


def weight_outside(dy, x, weight, eps):
    """The weight is multiplied outside the two means. It stands between dy and the means:
    g = dy * weight first, then dx = rstd (g - mean(g) - x_hat mean(g x_hat))."""
    n, rstd, dw, db = parts_of(dy, x, eps)
    return weight * rstd * (dy - mean(dy) - n * mean(dy * n)), dw, db


def without_the_mean(dy, x, weight, eps):
    """mean(g) is missing: x also acts through the mean that is subtracted."""
    n, rstd, dw, db = parts_of(dy, x, eps)
    g = dy * weight
    return rstd * (g - n * mean(g * n)), dw, db


def without_the_variance(dy, x, weight, eps):
    """x_hat mean(g x_hat) is missing: x also acts through the variance that it is divided by."""
    n, rstd, dw, db = parts_of(dy, x, eps)
    g = dy * weight
    return rstd * (g - mean(g)), dw, db


def direct_path_only(dy, x, weight, eps):
    """Only the direct path, as if mean and variance were constants: both depend on x."""
    n, rstd, dw, db = parts_of(dy, x, eps)
    return rstd * dy * weight, dw, db


def without_rstd(dy, x, weight, eps):
    """The factor rstd = 1 / sqrt(var + eps) in front of dx is missing."""
    n, rstd, dw, db = parts_of(dy, x, eps)
    g = dy * weight
    return g - mean(g) - n * mean(g * n), dw, db


def unbiased_variance(dy, x, weight, eps):
    """The unbiased variance, divided by C - 1: layer norm divides by C (ddof=0, NumPy's
    default)."""
    n, rstd, dw, db = parts_of(dy, x, eps, ddof=1)
    g = dy * weight
    return rstd * (g - mean(g) - n * mean(g * n)), dw, db


def eps_outside(dy, x, weight, eps):
    """eps is added to the standard deviation: it belongs under the root, sqrt(var + eps)."""
    n, rstd, dw, db = parts_of(dy, x, eps, outside=True)
    g = dy * weight
    return rstd * (g - mean(g) - n * mean(g * n)), dw, db


def averaged_parameters(dy, x, weight, eps):
    """The gradients of weight and bias are averaged over the rows: every row uses them, so they
    are summed."""
    n, rstd, dw, db = parts_of(dy, x, eps)
    rows = x.size / x.shape[-1]
    return right(dy, x, weight, eps)[0], dw / rows, db / rows


def weight_from_x(dy, x, weight, eps):
    """dweight is the sum of dy * x: the weight multiplies the normalized x, so sum dy * x_hat."""
    dx, _, db = right(dy, x, weight, eps)
    return dx, (dy * x).sum(tuple(range(x.ndim - 1))), db


def parameters_not_summed(dy, x, weight, eps):
    """The gradients of weight and bias keep one entry for each row: sum over all axes but the
    last."""
    return right(dy, x, weight, eps)[0], dy * parts_of(dy, x, eps)[0], dy


def no_keepdims(dy, x, weight, eps):
    """A mean over the row lost its axis: with keepdims=True it has the size 1 there, so that it
    meets its own row."""
    n, rstd, dw, db = parts_of(dy, x, eps)
    g = dy * weight
    return rstd * (g - g.mean(-1) - n * mean(g * n)), dw, db


PARTS = (
    Part("layer_norm_backward", rows(),
         (weight_outside, without_the_mean, without_the_variance, direct_path_only, without_rstd,
          unbiased_variance, eps_outside, averaged_parameters, weight_from_x,
          parameters_not_summed, no_keepdims),
         right, (shift_law,), ("dx", "dweight", "dbias")),)
