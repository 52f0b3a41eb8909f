"""Exercise 12: cross_entropy(logits, labels) -> loss, dlogits."""

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.drawing import complex_step, generators, numbers

import minibert as mb

IGNORED = -100


@st.composite
def predictions(draw):
    M, V = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    rng = draw(generators())
    labels = rng.integers(0, V, M)
    if draw(st.booleans()):
        labels[draw(st.integers(0, M - 1))] = IGNORED
    return {"logits": numbers(rng, M, V), "labels": labels}


LARGE = {"logits": np.array([[1000.0, 0.0, -1000.0], [0.0, 2.0, 1.0]]), "labels": np.array([1, 2])}
ALL_IGNORED = {"logits": np.array([[1.0, 2.0]]), "labels": np.array([IGNORED])}


def right(logits, labels):
    def forward(logits):
        return mb.functional.cross_entropy(mb.Tensor(logits), labels).data
    return float(forward(logits)), complex_step(forward, (logits,), 1.0)[0]


def observed(output):
    loss, grad = output
    return (float(loss) if np.shape(loss) == () and loss is not None else loss), grad


def adds_up_to_zero(function, inputs, output):
    worst = np.abs(output[1].sum(-1)).max()
    return None if worst < 1e-9 else (
        f"each row of dlogits adds up to 0: softmax and label both add up to 1; here {worst:.5f}")


# ---- known mistakes ------------------------------------------------------------------------------


def pieces(logits, labels):
    """softmax (M, V), the labels one-hot (M, V), who counts (M, 1), how many."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    p = shifted / shifted.sum(-1, keepdims=True)
    counts = (labels != IGNORED)[:, None]
    one_hot = (np.arange(logits.shape[1]) == labels[:, None]) * 1.0
    return p, one_hot, counts, max(int(counts.sum()), 1)


def loss_of(logits, labels):
    return float(mb.functional.cross_entropy(mb.Tensor(logits), labels).data)


def divided_by_all_rows(logits, labels):
    """Divided by the number of rows: ignored ones do not count in the mean."""
    p, one_hot, counts, n = pieces(logits, labels)
    return loss_of(logits, labels) * n / len(labels), (p - one_hot) * counts / len(labels)


def a_sum(logits, labels):
    """The sum of the losses and its gradient: the mean over the labelled rows is asked for."""
    p, one_hot, counts, n = pieces(logits, labels)
    return loss_of(logits, labels) * n, (p - one_hot) * counts


def gradient_not_divided(logits, labels):
    """The loss is a mean, the gradient that of a sum: divide it by the number of labels as well."""
    p, one_hot, counts, _ = pieces(logits, labels)
    return loss_of(logits, labels), (p - one_hot) * counts


def sign_of_the_gradient(logits, labels):
    """The gradient has the wrong sign: softmax minus one-hot, so that a step down raises the
    label's logit."""
    p, one_hot, counts, n = pieces(logits, labels)
    return loss_of(logits, labels), (one_hot - p) * counts / n


def sign_of_the_loss(logits, labels):
    """The loss has the wrong sign: minus the logarithm, which is positive."""
    p, one_hot, counts, n = pieces(logits, labels)
    return -loss_of(logits, labels), (p - one_hot) * counts / n


def no_one_hot(logits, labels):
    """The gradient is the softmax alone: subtract 1 at the label."""
    p, _, counts, n = pieces(logits, labels)
    return loss_of(logits, labels), p * counts / n


def label_only(logits, labels):
    """Only the label's logit gets a gradient: all logits of a row stand in the denominator."""
    p, one_hot, counts, n = pieces(logits, labels)
    return loss_of(logits, labels), (p - 1) * one_hot * counts / n


def ignored_rows_have_gradients(logits, labels):
    """Ignored rows get a gradient: it is zero there."""
    p, one_hot, _, n = pieces(logits, labels)
    return loss_of(logits, labels), (p - one_hot) / n


def overflow(logits, labels):
    """exp(1000) is infinite and inf / inf is NaN: subtract each row's largest logit first. The
    result stays the same."""
    counts = labels != IGNORED
    n = max(int(counts.sum()), 1)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    rows = np.flatnonzero(counts)
    loss = -np.log(p[rows, labels[rows]]).sum() / n
    p[rows, labels[rows]] -= 1
    return float(loss), p * counts[:, None] / n


def log_of_zero(logits, labels):
    """The probability itself has become 0, and log 0 is infinite: use log softmax = shifted -
    log(sum(exp(shifted)))."""
    p, one_hot, counts, n = pieces(logits, labels)
    rows = np.flatnonzero(counts[:, 0])
    return float(-np.log(p[rows, labels[rows]]).sum() / n), (p - one_hot) * counts / n


def nothing_labelled(logits, labels):
    """0 / 0 where every row is ignored: divide by max(number, 1), so that loss and gradient are
    0."""
    loss, grad = right(logits, labels)
    if (labels == IGNORED).all():
        return float("nan"), grad * float("nan")
    return loss, grad


PARTS = (
    Part("cross_entropy", predictions(),
         (divided_by_all_rows, a_sum, gradient_not_divided, sign_of_the_gradient,
          sign_of_the_loss, no_one_hot, label_only, ignored_rows_have_gradients, overflow,
          log_of_zero, nothing_labelled),
         right, (adds_up_to_zero,), ("loss", "dlogits"), observe=observed,
         extra=(LARGE, ALL_IGNORED)),)
