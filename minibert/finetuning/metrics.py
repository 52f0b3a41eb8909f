"""Metrics of classification, clustering and regression, from 0 to 1; correlations and the adjusted
Rand index may be negative.

A metric that is 0/0 (the precision of a class that is never predicted, the correlation of a
constant) is 0, as scikit-learn's F1 and in conlleval; SciPy's correlations are NaN there. The
adjusted Rand index is then 1, as in scikit-learn.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from minibert.errors import InputError


class Counts(NamedTuple):
    """Counts of one class or type of entity: correct predictions, predictions, and occurrences
    (scikit-learn's support)."""

    correct: int
    predicted: int
    support: int

    def scores(self) -> dict[str, float]:
        """Precision P = correct / predicted, recall R = correct / support, their harmonic mean F1 =
        2PR / (P + R), and the support, by name."""
        return {"precision": self.correct / max(self.predicted, 1),
                "recall": self.correct / max(self.support, 1),
                "f1": 2 * self.correct / max(self.predicted + self.support, 1),
                "support": self.support}


def total(counts: Iterable[Counts]) -> Counts:
    """The sums over all classes, whose metrics are the micro-averaged ones. If each example has one
    class, precision, recall and F1 all are the accuracy."""
    sums = [sum(column) for column in zip(*counts)]
    return Counts(*sums) if sums else Counts(0, 0, 0)


def macro_f1(counts: Iterable[Counts]) -> float:
    """The unweighted mean F1 of the classes. A class that neither occurs nor is predicted is left
    out, as in scikit-learn and seqeval."""
    scores = [count.scores()["f1"] for count in counts if count.support or count.predicted]
    return sum(scores) / len(scores) if scores else 0.0


def accuracy(right: Sequence, predicted: Sequence) -> float:
    """The share of the predictions that are right."""
    check_lengths("accuracy", right, predicted)
    return sum([a == b for a, b in zip(right, predicted)]) / len(right)


def confusion_matrix(right: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(K, K): how often an example of the class of the row was taken for that of the column. Both
    arrays hold numbers of classes, from 0 to K - 1."""
    right, predicted = _vectors("confusion_matrix", right, predicted)
    for numbers in (right, predicted):
        if numbers.dtype.kind not in "iu" or not 0 <= numbers.min() <= numbers.max() < classes:
            raise InputError("confusion_matrix: classes are whole numbers from 0 to "
                             f"{classes - 1}, one for each example, got {numbers!r:.60}")
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (right, predicted), 1)
    return matrix


def class_counts(matrix: np.ndarray) -> list[Counts]:
    """The counts of each class, from the confusion matrix (K, K)."""
    columns = (np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1))
    return [Counts(*counts) for counts in zip(*(column.tolist() for column in columns))]


def matthews_correlation(matrix: np.ndarray) -> float:
    """Matthews's correlation for K classes (Gorodkin 2004, eq. 8), from the confusion matrix
    (K, K): 0 for a guess, whatever the shares of the classes; CoLA's metric."""
    there, predicted = matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist()
    n, correct = sum(there), int(np.trace(matrix))
    covariance = correct * n - sum([t * p for t, p in zip(there, predicted)])
    spread_there = n * n - sum([t * t for t in there])
    spread_predicted = n * n - sum([p * p for p in predicted])
    if not spread_there or not spread_predicted:
        return 0.0
    return covariance / math.sqrt(spread_there) / math.sqrt(spread_predicted)


def purity(right: Sequence, predicted: Sequence) -> float:
    """The share of the examples whose class is the most frequent one of their cluster (Manning,
    Raghavan & Schuetze 2008, "Introduction to Information Retrieval", equation 16.1). It grows with
    the number of clusters."""
    return float(_contingency(right, predicted).max(axis=0).sum() / len(right))


def adjusted_rand_score(right: Sequence, predicted: Sequence) -> float:
    """Hubert & Arabie's (1985, "Comparing Partitions", equation 5) Rand index of classes and
    clusters: over pairs of examples, 1 where they are together in both or in neither; corrected so
    that random clusters of the same sizes have 0 on the average. Names of clusters do not count."""
    table = _contingency(right, predicted)
    both, in_class, in_cluster = [  # plain ints: their product is beyond 64 bits
        int(_pairs(counts).sum()) for counts in (table, table.sum(axis=1), table.sum(axis=0))]
    largest = (in_class + in_cluster) / 2
    by_chance = in_class * in_cluster / max(_pairs(len(right)), 1)
    if largest == by_chance:  # each example alone in both, or all together in both
        return 1.0
    return (both - by_chance) / (largest - by_chance)


def _contingency(right: Sequence, predicted: Sequence) -> np.ndarray:
    """(classes, clusters): the number of examples in both."""
    row, column = [np.unique(names, return_inverse=True)[1]
                   for names in _vectors("clustering", right, predicted)]
    table = np.zeros((row.max() + 1, column.max() + 1), np.int64)
    np.add.at(table, (row, column), 1)
    return table


def _pairs(n):
    """n choose 2."""
    return n * (n - 1) // 2


def pearson(right: np.ndarray, predicted: np.ndarray) -> float:
    """Pearson's correlation of two arrays (n,). Errors: shapes that differ, numbers that are not
    finite."""
    unit_vectors = []
    for numbers in _vectors("correlation", right, predicted):
        numbers = numbers.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise InputError("correlation: a number is not finite (NaN or infinity)")
        if numbers.min() == numbers.max():
            return 0.0
        # divided by a power of two, which is exact: no square below is infinite or 0
        numbers = np.ldexp(numbers, -np.frexp(np.abs(numbers).max())[1])
        deviations = numbers - numbers.mean()
        unit_vectors.append(deviations / np.sqrt((deviations * deviations).sum()))
    return float(unit_vectors[0] @ unit_vectors[1])


def spearman(right: np.ndarray, predicted: np.ndarray) -> float:
    """Spearman's correlation of two arrays (n,): Pearson's of the ranks. Errors: also NaN."""
    return pearson(_ranks(right), _ranks(predicted))


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal numbers have the mean of their ranks, NaN has none."""
    _, place, count = np.unique(numbers, return_inverse=True, return_counts=True)
    return np.where(np.isnan(numbers), np.nan, (np.cumsum(count) - (count - 1) / 2)[place])


def _vectors(what: str, right: Sequence, predicted: Sequence) -> list[np.ndarray]:
    """Both as arrays (n,)."""
    check_lengths(what, right, predicted)
    arrays = [np.asarray(right), np.asarray(predicted)]
    if arrays[0].ndim != 1 or arrays[1].ndim != 1:
        raise InputError(f"{what}: arrays of shape {arrays[0].shape} and {arrays[1].shape}: "
                         "expected one number or name for each example")
    return arrays


def check_lengths(what: str, right: Sequence, predicted: Sequence) -> None:
    """Errors: not one prediction for each example, no example."""
    if len(right) != len(predicted) or not len(right):
        raise InputError(f"{what}: {len(predicted)} predictions for {len(right)} examples: "
                         "expected one for each, and at least one example")
