"""The scores against scikit-learn's, SciPy's and seqeval's, from metrics_reference.json, which
make_metrics_reference.py made; and in words."""

import json
import math
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.finetuning.metrics import (Counts, accuracy, adjusted_rand_score, class_counts,
                                         confusion_matrix, macro_f1, matthews_correlation, pearson,
                                         purity, spearman, total)

REFERENCE = json.loads((Path(__file__).parent / "metrics_reference.json").read_text())


@pytest.mark.parametrize("case", REFERENCE["classes"])
def test_classes_as_scikit_learn_scores_them(case):
    matrix = confusion_matrix(case["right"], case["predicted"], case["classes"])
    assert matrix.tolist() == case["confusion"]
    counts = class_counts(matrix)
    for name in ("precision", "recall", "f1", "support"):
        ours = [count.scores()[name] for count in counts]
        np.testing.assert_allclose(ours, case[name], rtol=1e-12, err_msg=name)
    ours = [accuracy(case["right"], case["predicted"]), macro_f1(counts),
            total(counts).scores()["f1"], matthews_correlation(matrix),
            adjusted_rand_score(case["right"], case["predicted"])]
    theirs = [case["accuracy"], case["macro_f1"], case["micro_f1"], case["matthews"],
              case["adjusted_rand"]]
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
    for scale in (2.0**-900, 2.0**900):  # squares are 0 or infinite
        assert pearson(scale * right, predicted / scale) == pearson(right, predicted)
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
        scores = count.scores()
        if scores["precision"] and scores["recall"]:
            mean = 2 / (1 / scores["precision"] + 1 / scores["recall"])
            np.testing.assert_allclose(scores["f1"], mean)
    micro = total(counts).scores()
    assert micro["f1"] == micro["precision"] == accuracy(right, predicted)


def test_macro_weighs_classes_and_micro_examples():
    """Nine of ten are of one class, and it is always guessed."""
    matrix = confusion_matrix([0] * 9 + [1], [0] * 10, 2)
    counts = class_counts(matrix)
    micro = total(counts).scores()["f1"]
    np.testing.assert_allclose([micro, macro_f1(counts)], [0.9, (18 / 19) / 2])
    assert matthews_correlation(matrix) == 0.0


def test_purity_of_manning_raghavan_and_schuetze():
    """Their figure 16.4: 5, 4 and 3 examples of the three clusters are of its majority."""
    clusters = ["xxxxxo", "xooood", "xxddd"]
    right = list("".join(clusters))
    predicted = [k for k, cluster in enumerate(clusters) for _ in cluster]
    assert purity(right, predicted) == pytest.approx(12 / 17)
    assert purity(right, range(17)) == 1.0 and purity(right, [0] * 17) == pytest.approx(8 / 17)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=12),
       st.permutations(range(3)))
def test_the_adjusted_rand_index_by_pairs(pairs, names):
    right, predicted = zip(*pairs)
    value = adjusted_rand_score(right, predicted)
    assert value == adjusted_rand_score(predicted, right) <= 1.0
    assert value == adjusted_rand_score(right, [names[k] for k in predicted])
    assert adjusted_rand_score(right, right) == purity(right, right) == 1.0
    both = in_class = in_cluster = 0
    for (a, b), (c, d) in combinations(pairs, 2):
        both, in_class, in_cluster = both + (a == c and b == d), in_class + (a == c), \
            in_cluster + (b == d)
    chance = in_class * in_cluster / math.comb(len(pairs), 2)
    spread = (in_class + in_cluster) / 2 - chance
    assert value == pytest.approx((both - chance) / spread if spread else 1.0)


@pytest.mark.parametrize("right, predicted", [("aabbc", [0, 0, 0, 1, 1]),
                                              ("aaabb", [0, 1, 2, 2, 2])])
def test_random_clusters_have_0_on_the_average(right, predicted):
    found = [adjusted_rand_score(list(right), order) for order in permutations(predicted)]
    assert np.mean(found) == pytest.approx(0, abs=1e-12) and max(found) > 0.3


def test_the_pairs_of_many_examples_are_counted_exactly():
    """The number of pairs, squared, is beyond 64 bits."""
    right = np.repeat([0, 1], 100_000)
    predicted = right.copy()
    predicted[:50_000] = 1  # (50, 50) and (0, 100) thousand
    n, halves = 200_000, 2 * math.comb(100_000, 2)
    both = 2 * math.comb(50_000, 2) + math.comb(100_000, 2)
    in_cluster = math.comb(50_000, 2) + math.comb(150_000, 2)
    chance = halves * in_cluster / math.comb(n, 2)
    expected = (both - chance) / ((halves + in_cluster) / 2 - chance)
    assert adjusted_rand_score(right, predicted) == pytest.approx(expected, rel=1e-12)


def test_nothing_to_count():
    assert total([]) == Counts(0, 0, 0) and macro_f1([]) == 0.0
    empty = Counts(0, 0, 0)
    assert [*empty.scores().values()] == [0.0] * 4
    assert macro_f1([empty, Counts(1, 1, 1)]) == 1.0


@pytest.mark.parametrize("message, function, arguments", [
    ("accuracy: 1 predictions for 2 examples", accuracy, ([1, 2], [1])),
    ("accuracy: 0 predictions for 0 examples", accuracy, ([], [])),
    ("confusion_matrix: 0 predictions for 0", confusion_matrix, ([], [], 2)),
    ("classes are whole numbers from 0 to 1", confusion_matrix, ([0, 1], [0, 2], 2)),
    ("classes are whole numbers from 0 to 1", confusion_matrix, ([0, -1], [0, 1], 2)),
    ("classes are whole numbers from 0 to 1", confusion_matrix, ([0.0, 1.0], [0, 1], 2)),
    ("clustering: 1 predictions for 2 examples", purity, ([0, 1], [0])),
    ("clustering: 0 predictions for 0 examples", adjusted_rand_score, ([], [])),
    ("correlation: 2 predictions for 3 examples", pearson, ([1, 2, 3], [1, 2])),
    ("correlation: a number is not finite", pearson, ([1.0, np.nan], [1.0, 2.0])),
    ("correlation: a number is not finite", pearson, ([1.0, 2.0], [1.0, np.inf])),
    ("correlation: a number is not finite", spearman, ([1.0, np.nan], [1.0, 2.0])),
    ("correlation: a number is not finite", spearman, ([1.0, 2.0], [1.0, np.nan])),
    (r"clustering: arrays of shape \(2, 1\) and \(2,\)", purity, ([[0], [1]], [0, 1])),
    (r"clustering: arrays of shape \(2,\) and \(2, 1\)", adjusted_rand_score, ([0, 1], [[0], [1]])),
    (r"correlation: arrays of shape \(2, 1\)", pearson, ([[1.0], [2.0]], [1.0, 2.0])),
])
def test_what_cannot_be_scored(message, function, arguments):
    with pytest.raises(InputError, match=message):
        function(*arguments)
