"""The scores against scikit-learn's, SciPy's and seqeval's, from metrics_reference.json, which
make_metrics_reference.py made; and in words."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.finetuning.metrics import (Counts, accuracy, class_counts, confusion_matrix, macro_f1,
                                         matthews_correlation, pearson, spearman, total)

REFERENCE = json.loads((Path(__file__).parent / "metrics_reference.json").read_text())


@pytest.mark.parametrize("case", REFERENCE["classes"])
def test_classes_as_scikit_learn_scores_them(case):
    matrix = confusion_matrix(case["right"], case["predicted"], case["classes"])
    assert matrix.tolist() == case["confusion"]
    counts = class_counts(matrix)
    for name in ("precision", "recall", "f1", "support"):
        ours = [count.scores()[name] for count in counts]
        np.testing.assert_allclose(ours, case[name], rtol=1e-12, err_msg=name)
    ours = [accuracy(case["right"], case["predicted"]), macro_f1(counts), total(counts).f1,
            matthews_correlation(matrix)]
    theirs = [case["accuracy"], case["macro_f1"], case["micro_f1"], case["matthews"]]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", REFERENCE["numbers"])
def test_correlations_as_scipy_has_them(case):
    for function, theirs in ((pearson, case["pearson"]), (spearman, case["spearman"])):
        ours = function(case["right"], case["predicted"])
        np.testing.assert_allclose(ours, 0.0 if theirs is None else theirs, rtol=1e-9)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=12), st.data())
def test_laws_of_correlations(right, data):
    right = np.array(right, float)
    predicted = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=len(right),
                                            max_size=len(right))), float)
    for function in (pearson, spearman):
        value = function(right, predicted)
        assert -1 - 1e-12 <= value <= 1 + 1e-12
        np.testing.assert_allclose(value, function(predicted, right), atol=1e-12)
        np.testing.assert_allclose(value, -function(right, -2 * predicted + 1), atol=1e-12)
        order = data.draw(st.permutations(range(len(right))))
        np.testing.assert_allclose(value, function(right[order], predicted[order]), atol=1e-12)
    bent = spearman(right, predicted**3)
    np.testing.assert_allclose(bent, spearman(right, predicted), atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_counts_by_counting(pairs):
    right, predicted = zip(*pairs)
    counts = class_counts(confusion_matrix(right, predicted, 4))
    for number, count in enumerate(counts):
        assert count == Counts(sum(a == b == number for a, b in pairs),
                               sum(b == number for _, b in pairs),
                               sum(a == number for a, _ in pairs))
        if count.precision and count.recall:
            mean = 2 / (1 / count.precision + 1 / count.recall)
            np.testing.assert_allclose(count.f1, mean)
    assert total(counts).f1 == total(counts).precision == accuracy(right, predicted)


def test_macro_weighs_classes_and_micro_examples():
    """Nine of ten are of one class, and it is always guessed."""
    matrix = confusion_matrix([0] * 9 + [1], [0] * 10, 2)
    counts = class_counts(matrix)
    np.testing.assert_allclose([total(counts).f1, macro_f1(counts)], [0.9, (18 / 19) / 2])
    assert matthews_correlation(matrix) == 0.0


def test_nothing_to_count():
    assert total([]) == Counts(0, 0, 0) and macro_f1([]) == 0.0
    empty = Counts(0, 0, 0)
    assert empty.precision == empty.recall == empty.f1 == 0.0
    assert macro_f1([empty, Counts(1, 1, 1)]) == 1.0


@pytest.mark.parametrize("message, function, arguments", [
    ("accuracy: 1 predictions for 2 examples", accuracy, ([1, 2], [1])),
    ("accuracy: 0 predictions for 0 examples", accuracy, ([], [])),
    ("confusion_matrix: 0 predictions for 0", confusion_matrix, ([], [], 2)),
    ("classes are whole numbers from 0 to 1", confusion_matrix, ([0, 1], [0, 2], 2)),
    ("classes are whole numbers from 0 to 1", confusion_matrix, ([0, -1], [0, 1], 2)),
    ("classes are whole numbers from 0 to 1", confusion_matrix, ([0.0, 1.0], [0, 1], 2)),
    ("correlation: 2 predictions for 3 examples", pearson, ([1, 2, 3], [1, 2])),
    ("correlation: a number is not finite", pearson, ([1.0, np.nan], [1.0, 2.0])),
    ("correlation: a number is not finite", pearson, ([1.0, 2.0], [1.0, np.inf])),
])
def test_what_cannot_be_scored(message, function, arguments):
    with pytest.raises(InputError, match=message):
        function(*arguments)
