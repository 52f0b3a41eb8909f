"""How good predictions are, in the scores that the field uses: from 0 to 1, correlations from -1.

Where a score is 0/0 (a class that is never predicted has no precision, a constant no correlation)
it is 0 here, as in scikit-learn's F1 and in conlleval; SciPy's correlations are NaN there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from minibert.errors import InputError


class Counts(NamedTuple):
    """Of one class, or of one kind of entity: how often it was predicted and rightly so, how often
    it was predicted, and how often it is there; and the scores that follow."""

    correct: int
    predicted: int
    support: int

    @property
    def precision(self) -> float:
        """How much of what was predicted is right."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """How much of what is there was found."""
        return self.correct / self.support if self.support else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 2PR / (P + R)."""
        either = self.predicted + self.support
        return 2 * self.correct / either if either else 0.0

    def scores(self) -> dict[str, float]:
        """The scores under their usual names; `support` is how often the class is there."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1,
                "support": self.support}


def total(counts: Iterable[Counts]) -> Counts:
    """All classes thrown together: its scores are the micro-averaged ones, in which every example
    counts alike. If each example has one class out of all, they all are the accuracy."""
    sums = [sum(column) for column in zip(*counts)]
    return Counts(*sums) if sums else Counts(0, 0, 0)


def macro_f1(counts: Iterable[Counts]) -> float:
    """The mean F1, in which every class counts alike, however rare. A class that neither is there
    nor was predicted does not count, as in scikit-learn and seqeval."""
    scores = [count.f1 for count in counts if count.support or count.predicted]
    return sum(scores) / len(scores) if scores else 0.0


def accuracy(right: Sequence, predicted: Sequence) -> float:
    """How many of the predictions are right."""
    _check_lengths("accuracy", right, predicted)
    return sum([a == b for a, b in zip(right, predicted)]) / len(right)


def confusion_matrix(right: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(K, K): how often an example of the class of the row was taken for that of the column. Both
    arrays hold numbers of classes, from 0 to K - 1."""
    right, predicted = np.asarray(right), np.asarray(predicted)
    _check_lengths("confusion_matrix", right, predicted)
    for numbers in (right, predicted):
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu" \
                or not 0 <= numbers.min() <= numbers.max() < classes:
            raise InputError("confusion_matrix: classes are whole numbers from 0 to "
                             f"{classes - 1}, one for each example, got {numbers!r:.60}")
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (right, predicted), 1)
    return matrix


def class_counts(matrix: np.ndarray) -> list[Counts]:
    """One for each class, from the confusion matrix (K, K)."""
    columns = (np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1))
    return [Counts(*counts) for counts in zip(*(column.tolist() for column in columns))]


def matthews_correlation(matrix: np.ndarray) -> float:
    """Matthews's correlation for K classes (Gorodkin 2004, eq. 8), from the confusion matrix: 0 for
    guessing whatever the shares of the classes, which is why CoLA is scored by it."""
    there, predicted = matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist()
    n, correct = sum(there), int(np.trace(matrix))
    covariance = correct * n - sum([t * p for t, p in zip(there, predicted)])
    spread_there = n * n - sum([t * t for t in there])
    spread_predicted = n * n - sum([p * p for p in predicted])
    if not spread_there or not spread_predicted:
        return 0.0
    return covariance / math.sqrt(spread_there) / math.sqrt(spread_predicted)


def pearson(right: np.ndarray, predicted: np.ndarray) -> float:
    """The correlation of two rows of numbers: 1 where they lie on a rising straight line."""
    right, predicted = np.asarray(right, np.float64), np.asarray(predicted, np.float64)
    _check_lengths("correlation", right, predicted)
    if not (np.isfinite(right).all() and np.isfinite(predicted).all()):
        raise InputError("correlation: a number is not finite (NaN or infinity)")
    if len(np.unique(right)) == 1 or len(np.unique(predicted)) == 1:
        return 0.0
    x, y = right - right.mean(), predicted - predicted.mean()
    return float((x / np.sqrt((x * x).sum())) @ (y / np.sqrt((y * y).sum())))


def spearman(right: np.ndarray, predicted: np.ndarray) -> float:
    """The correlation of the ranks: 1 where the order is the same."""
    return pearson(_ranks(right), _ranks(predicted))


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """1 for the smallest; equal numbers share the mean of their ranks."""
    _, place, count = np.unique(numbers, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _check_lengths(what: str, right: Sequence, predicted: Sequence) -> None:
    if len(right) != len(predicted) or not len(right):
        raise InputError(f"{what}: {len(predicted)} predictions for {len(right)} examples: "
                         "expected one for each, and at least one example")
