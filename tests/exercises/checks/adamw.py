"""Exercise 13: adamw_step(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps)."""

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import generators, numbers

from minibert.autograd import reference


@st.composite
def steps(draw):
    n = draw(st.integers(1, 4))
    rng = draw(generators())
    t = draw(st.integers(1, 5))
    grad = numbers(rng, n) + 0.001
    m = numbers(rng, n) if t > 1 else np.zeros(n)
    v = numbers(rng, n) ** 2 if t > 1 else np.zeros(n)
    return {"w": numbers(rng, n) + 0.001, "grad": grad, "m": m, "v": v, "t": t,
            "lr": draw(st.sampled_from([0.1, 0.02])),
            "weight_decay": draw(st.sampled_from([0.1, 0.5])), "beta1": 0.9, "beta2": 0.99,
            "eps": draw(st.sampled_from([1e-2, 1e-4]))}


def right(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    return reference.adamw_step(w, grad, m, v, t, lr, (beta1, beta2), eps, weight_decay)


# ---- known mistakes ------------------------------------------------------------------------------


def moments(grad, m, v, beta1, beta2):
    return beta1 * m + (1 - beta1) * grad, beta2 * v + (1 - beta2) * grad * grad


def updated(w, m, v, t, lr, weight_decay, beta1, beta2, eps):
    step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return w - lr * (step + weight_decay * w)


def no_bias_correction(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """The bias correction is missing: m and v start at 0 and are too small at first; divide them
    by 1 - beta^t."""
    m, v = moments(grad, m, v, beta1, beta2)
    return w - lr * (m / (np.sqrt(v) + eps) + weight_decay * w), m, v


def eps_under_the_root(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """eps is under the root: it is added to the root, sqrt(v_hat) + eps."""
    m, v = moments(grad, m, v, beta1, beta2)
    step = m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t) + eps)
    return w - lr * (step + weight_decay * w), m, v


def decay_in_the_gradient(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """The decay is added to the gradient (L2, as in Adam) and is divided by sqrt(v) with it: in
    AdamW it acts on the weights directly."""
    m, v = moments(grad + weight_decay * w, m, v, beta1, beta2)
    return updated(w, m, v, t, lr, 0.0, beta1, beta2, eps), m, v


def decay_without_lr(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """The decay is not multiplied by the learning rate: w shrinks by lr * weight_decay * w."""
    m, v = moments(grad, m, v, beta1, beta2)
    return updated(w, m, v, t, lr, 0.0, beta1, beta2, eps) - weight_decay * w, m, v


def no_decay(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """weight_decay has no effect."""
    m, v = moments(grad, m, v, beta1, beta2)
    return updated(w, m, v, t, lr, 0.0, beta1, beta2, eps), m, v


def gradient_not_squared(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """v is the mean of the squared gradients: the square is missing."""
    m, v = beta1 * m + (1 - beta1) * grad, beta2 * v + (1 - beta2) * grad
    return updated(w, m, v, t, lr, weight_decay, beta1, beta2, eps), m, v


def uphill(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """The sign of the step: w moves against the gradient."""
    m, v = moments(grad, m, v, beta1, beta2)
    return w + lr * (w - updated(w, m, v, t, 1.0, 0.0, beta1, beta2, eps)) \
        - lr * weight_decay * w, m, v


def without_root(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """The root is missing: the step is m_hat / (sqrt(v_hat) + eps)."""
    m, v = moments(grad, m, v, beta1, beta2)
    step = m / (1 - beta1**t) / (v / (1 - beta2**t) + eps)
    return w - lr * (step + weight_decay * w), m, v


def corrected_moments_kept(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """The corrected m_hat and v_hat are returned, and the next step would correct them again:
    return m and v."""
    m, v = moments(grad, m, v, beta1, beta2)
    new = updated(w, m, v, t, lr, weight_decay, beta1, beta2, eps)
    return new, m / (1 - beta1**t), v / (1 - beta2**t)


def steps_from_zero(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """The correction is one step behind, beta^(t-1), and divides by 0 at the first step: t begins
    at 1."""
    m, v = moments(grad, m, v, beta1, beta2)
    return updated(w, m, v, t - 1, lr, weight_decay, beta1, beta2, eps), m, v


def betas_swapped(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """beta1 and beta2 are swapped: beta1 belongs to m, beta2 to v."""
    return right(w, grad, m, v, t, lr, weight_decay, beta2, beta1, eps)


PARTS = (
    Part("adamw_step", steps(),
         (no_bias_correction, eps_under_the_root, decay_in_the_gradient, decay_without_lr,
          no_decay, gradient_not_squared, uphill, without_root, corrected_moments_kept,
          steps_from_zero, betas_swapped),
         right, returns=("w", "m", "v")),)
