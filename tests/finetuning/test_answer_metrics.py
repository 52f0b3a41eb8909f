"""SQuAD's and CMRC's scores, computed by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.finetuning.answer_metrics import (answer_scores, best_null_threshold,
                                                chinese_exact_match, chinese_f1, exact_match, f1,
                                                normalize_answer, score_answers)
from minibert.finetuning.examples import Answer, QuestionExample


def question(id, *answers, context="some text"):
    return QuestionExample(id, "?", context, tuple(Answer(text, 0) for text in answers))


@pytest.mark.parametrize("text, expected", [
    ("The  Beatles!", "beatles"), ("a dog\tand an\nowl", "dog and owl"), ("A", ""),
    ("theatre another a-b", "theatre another ab"), ("U.S.", "us"), ("«Café», 3.5 %", "«café» 35"),
    ("the-a", "thea"),  # punctuation goes before articles do
    ("a_b", "ab"), ("", ""),
])
def test_what_makes_no_difference(text, expected):
    assert normalize_answer(text) == expected


@pytest.mark.parametrize("answer, right, exact, overlap", [
    ("the Eiffel Tower", "Eiffel tower.", 1, 1),
    ("Eiffel", "Eiffel Tower", 0, 2 / 3),  # precision 1, recall 1/2
    ("in Paris, the capital of France", "Paris", 0, 1 / 3),  # five words, the article is none
    ("Tower Eiffel", "Eiffel Tower", 0, 1),  # the order does not count
    ("to to be", "to be be", 0, 2 / 3),  # one "to" and one "be"
    ("to be to be", "be to be or to", 0, 8 / 9),  # two of each
    ("no no no yes", "no no maybe", 0, 4 / 7),  # "no" is shared twice, not once
    ("London", "Paris", 0, 0), ("", "Paris", 0, 0), ("Paris", "", 0, 0), ("", "", 1, 1),
    ("the", "a", 1, 1),  # nothing is left of both
])
def test_english(answer, right, exact, overlap):
    assert exact_match(answer, right) == exact
    np.testing.assert_allclose(f1(answer, right), overlap)


@pytest.mark.parametrize("answer, right, exact, overlap", [
    ("眉州眉山", "眉州眉山", 1, 1), ("《眉州》，眉山。", "眉州眉山", 1, 1),
    ("四川眉山", "眉山", 0, 2 * 2 / (4 + 2)),
    ("眉山四川", "四川眉山", 0, 2 * 2 / (4 + 4)),  # here the order counts: one stretch of two
    ("北宋的苏轼", "北宋苏轼", 0, 2 * 2 / (5 + 4)),
    ("北京 2008 年", "北京2008年", 0, 1), ("iPhone-手机", "iphone手机", 1, 1),
    ("二〇〇八", "一九四九", 0, 0), ("", "眉山", 0, 0), ("。", "", 1, 1),
    ("1,500米", "1500米", 0, 2 * 1 / (2 + 2)), ("3.5%", "3.5", 0, 2 * 1 / (2 + 1)),
    ("the cat 猫", "cat 猫", 0, 2 * 2 / (3 + 2)),  # an article is a word
])
def test_chinese(answer, right, exact, overlap):
    assert chinese_exact_match(answer, right) == exact
    np.testing.assert_allclose(chinese_f1(answer, right), overlap)


def longest_shared_stretch(a, b):
    return max((n for n in range(1, min(len(a), len(b)) + 1)
                for i, j in product(range(len(a) - n + 1), range(len(b) - n + 1))
                if a[i:i + n] == b[j:j + n]), default=0)


@given(st.text("一二三", min_size=1, max_size=8), st.text("一二三", min_size=1, max_size=8))
def test_the_longest_stretch_by_trying_all(answer, right):
    expected = 2 * longest_shared_stretch(answer, right) / (len(answer) + len(right))
    np.testing.assert_allclose(chinese_f1(answer, right), expected)
    assert chinese_f1(answer, right) == chinese_f1(right, answer)


def test_the_accepted_answer_that_fits_best_counts():
    example = question("1", "Denver Broncos", "The Denver Broncos of Colorado", "Broncos")
    assert answer_scores(example, "the Broncos") == (1.0, 1.0)
    exact, overlap = answer_scores(example, "Colorado Broncos")
    assert exact == 0.0
    np.testing.assert_allclose(overlap, 2 * 2 / (2 + 4))
    # The best exact match and the best F1 need not be of the same answer; an accepted one that is
    # empty once normalized is none.
    assert answer_scores(question("2", "the", "x"), "") == (0.0, 0.0)
    example = question("3", "苏轼", "东坡", context="苏轼（Su Shi），号东坡居士。")
    assert answer_scores(example, "东坡居士") == (0.0, 2 * 2 / (4 + 2))


def test_the_text_and_not_the_answer_says_which_rules_hold():
    in_chinese = question("1", "2009", context="他生于2009年，名Anna。")
    in_english = question("1", "2009", context="In 2009 all under heaven (天下) was well.")
    assert answer_scores(in_chinese, "2009年") == (0.0, 2 / 3)
    assert answer_scores(in_english, "2009年") == (0.0, 0.0)
    named = question("2", "the 天下", context=in_english.passage)
    assert answer_scores(named, "天下") == (1.0, 1.0), "an article makes no difference"


def test_scores_of_a_file_with_impossible_questions():
    examples = [question("a", "Paris"), question("b", "Eiffel Tower"), question("c"), question("d")]
    answers = ["Paris", "tower", "", "something"]
    figures = score_answers(examples, answers)
    assert {kind: [*scores.values()] for kind, scores in figures.items()} == {
        "all": pytest.approx([2 / 4, (1 + 2 / 3 + 1 + 0) / 4, 4]),
        "with an answer": pytest.approx([1 / 2, (1 + 2 / 3) / 2, 2]),
        "without one": [1 / 2, 1 / 2, 2]}
    assert [*figures["all"]] == ["exact_match", "f1", "support"]
    assert set(score_answers(examples[:2], answers[:2])) == {"all"}  # SQuAD 1.1
    assert set(score_answers(examples[2:], answers[2:])) == {"all", "without one"}


def test_what_cannot_be_scored():
    with pytest.raises(InputError, match="answers: 1 predictions for 2 examples"):
        score_answers([question("a", "x"), question("b", "y")], ["x"])
    with pytest.raises(InputError, match="0 predictions for 0 examples"):
        score_answers([], [])
    with pytest.raises(InputError, match="dev.json: the question has no answers to score by"):
        answer_scores(QuestionExample("a", "?", "text", None, "dev.json"), "x")
    with pytest.raises(InputError, match="1 scores, 2 differences and 1 questions"):
        best_null_threshold([1.0], [0.0, 1.0], [True])


QUESTIONS = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(-3, 3),
                               st.booleans()), min_size=1, max_size=8)


def gain(questions, threshold):
    """The mean score if what lies above the threshold is left unanswered."""
    return np.mean([(score if has_answer else 0.0) if difference <= threshold
                    else float(not has_answer) for score, difference, has_answer in questions])


@given(QUESTIONS)
def test_the_best_threshold_by_trying_all(questions):
    threshold, best = best_null_threshold(*zip(*questions))
    differences = [difference for _, difference, _ in questions]
    tried = {t: gain(questions, t) for t in [min(differences) - 1, *sorted(differences)]}
    np.testing.assert_allclose(best, max(tried.values()))
    np.testing.assert_allclose(gain(questions, threshold), best)
    assert threshold == min(t for t, value in tried.items() if value > best - 1e-12)


def test_thresholds_in_words():
    assert best_null_threshold([1.0, 0.5], [-2.0, 3.0], [True, True]) == (3.0, 0.75)
    assert best_null_threshold([1.0, 0.0], [-2.0, 3.0], [True, False]) == (-2.0, 1.0)
    assert best_null_threshold([0.0, 0.0], [-2.0, 3.0], [False, False]) == (-3.0, 1.0)
    # of equally good thresholds the lowest
    assert best_null_threshold([1.0, 0.0], [-2.0, 3.0], [True, True]) == (-2.0, 0.5)
    assert best_null_threshold([0.0], [2.0], [True]) == (1.0, 0.0)
    # equal differences are answered together or not at all
    assert best_null_threshold([0.25, 0.5], [1.0, 1.0], [True, False]) == (0.0, 0.5)
