"""Windows against doing it the long way: every token, every span, tried one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minibert as mb
from minibert.errors import InputError
from minibert.finetuning.sliding_window import (Span, average_windows, best_spans, extract_answer,
                                                max_context_windows, null_difference, vote_windows)
from minibert.tokenizers.truncation import cut_windows


@st.composite
def windows_over_a_text(draw):
    """(number of tokens, [(start, end), ...]) as cut_windows cuts them."""
    total, size = draw(st.integers(1, 25)), draw(st.integers(1, 9))
    overlap = draw(st.integers(0, size - 1))
    parts = cut_windows(list(range(total)), None, size, "only_first", overlap, True)
    return total, [(part[0], part[-1] + 1) for part, _ in parts]


@given(windows_over_a_text())
def test_each_tokens_best_window_by_looking_at_all(case):
    total, windows = case
    best = max_context_windows(windows, total)
    for token in range(total):
        scores = {}
        for number, (start, end) in enumerate(windows):
            if start <= token < end:
                scores[number] = min(token - start, end - 1 - token), end - start
        assert best[token] in scores
        assert scores[best[token]] == max(scores.values())
        assert best[token] == min(n for n, score in scores.items() if score == max(scores.values()))


@given(windows_over_a_text())
def test_every_window_speaks_for_one_stretch(case):
    total, windows = case
    best = max_context_windows(windows, total)
    assert (np.diff(best) >= 0).all()


def test_googles_example():
    """the man went to the store and bought a gallon of: windows of 5 words, 3 apart."""
    best = max_context_windows([(0, 5), (3, 8), (6, 11)], 11)
    np.testing.assert_array_equal(best, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    with pytest.raises(InputError, match="token 3 of 8 is in no window"):
        max_context_windows([(0, 3), (4, 8)], 8)


def test_between_equal_contexts_the_longer_window_counts():
    np.testing.assert_array_equal(max_context_windows([(0, 2), (1, 4)], 4), [0, 1, 1, 1])
    np.testing.assert_array_equal(max_context_windows([(0, 3), (2, 4)], 4), [0, 0, 0, 1])


# ---- classes -----------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_averages_and_votes_by_counting(texts, seed):
    rng = np.random.default_rng(seed)
    owners = np.concatenate([np.arange(texts), rng.integers(0, texts, rng.integers(0, 8))])
    probabilities = rng.dirichlet(np.ones(3), len(owners))
    means = average_windows(probabilities, owners, texts)
    shares = vote_windows(probabilities, owners, texts)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    for text in range(texts):
        rows = probabilities[owners == text]
        np.testing.assert_allclose(means[text], rows.mean(axis=0))
        votes = [(rows.argmax(axis=1) == k).sum() for k in range(3)]
        tied = [k for k in range(3) if votes[k] == max(votes)]
        assert shares[text].argmax() == max(tied, key=means[text].__getitem__)


def test_a_vote_and_a_mean_may_differ():
    probabilities = np.array([[0.55, 0.45], [0.55, 0.45], [0.0, 1.0]])
    assert vote_windows(probabilities, [0, 0, 0], 1).argmax() == 0
    assert average_windows(probabilities, [0, 0, 0], 1).argmax() == 1


# ---- spans -------------------------------------------------------------------------------------


@st.composite
def scored_windows(draw):
    windows = draw(st.integers(1, 3))
    T = draw(st.integers(1, 7))
    numbers = st.lists(st.integers(-4, 4), min_size=T, max_size=T)
    yes_or_no = st.lists(st.booleans(), min_size=T, max_size=T)
    return [[np.array(draw(kind)) for _ in range(windows)]
            for kind in (numbers, numbers, yes_or_no, yes_or_no)]


def all_valid_spans(starts, ends, in_passage, is_best, longest):
    for window in range(len(starts)):
        for start in range(len(starts[window])):
            for end in range(len(starts[window])):
                if start <= end < start + longest and in_passage[window][start] \
                        and in_passage[window][end] and is_best[window][start]:
                    yield Span(float(starts[window][start] + ends[window][end]), window, start, end)


@given(scored_windows(), st.integers(1, 8), st.integers(1, 30))
def test_the_best_spans_by_trying_all(case, longest, n_best):
    found = best_spans(*case, longest, n_best)
    every = sorted(all_valid_spans(*case, longest),
                   key=lambda span: (-span.score, span.window, span.start, span.end))
    assert found == every[:n_best]


def test_of_equal_spans_the_first_and_then_the_shorter_are_kept():
    zeros, yes = [np.zeros(9)], [np.ones(9, bool)]
    found = best_spans(zeros, zeros, yes, yes, longest=4, n_best=6)
    assert [(span.start, span.end) for span in found] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1),
                                                          (1, 2)]
    many = [np.ones(40, bool)]
    found = best_spans([np.zeros(40)], [np.arange(40.0)], many, many)
    assert max([span.end - span.start + 1 for span in found]) == 30 and len(found) == 20


def test_a_span_may_end_where_another_window_has_more_context():
    inside, best = np.ones(3, bool), np.array([True, True, False])
    starts, ends = np.array([0.0, 5.0, 9.0]), np.array([0.0, 0.0, 5.0])
    assert best_spans([starts], [ends], [inside], [best])[0] == Span(10.0, 0, 1, 2)
    assert best_spans([starts], [ends], [~inside], [best]) == []


def test_no_answer_against_the_best_answer():
    starts = [np.array([3.0, 1.0, 0.0]), np.array([1.0, 0.0, 4.0])]
    ends = [np.array([2.0, 0.0, 1.0]), np.array([0.5, 0.0, 2.0])]
    inside = [np.array([False, True, True])] * 2
    spans = best_spans(starts, ends, inside, inside)
    assert spans[0] == Span(6.0, 1, 2, 2)
    assert null_difference(spans, starts, ends) == 1.5 - 6.0  # window 1's null score is the lower
    assert null_difference([], starts, ends) == float("inf")


@given(st.text("ab .苏é\u0301\n", min_size=1, max_size=30), st.data())
def test_an_answer_is_a_stretch_of_the_text(context, data):
    tokenizer = mb.BertTokenizer.train([context + " a"], vocab_size=40)
    offsets = tokenizer(context, add_special_tokens=False,
                        return_offsets_mapping=True)["offset_mapping"]
    if offsets:
        start = data.draw(st.integers(0, len(offsets) - 1))
        end = data.draw(st.integers(start, len(offsets) - 1))
        answer = extract_answer(context, offsets[start:end + 1])
        assert context[answer.start:answer.start + len(answer.text)] == answer.text
        assert answer.text == answer.text.strip() != ""
        assert context[offsets[start][0]:offsets[end][1]].strip() == answer.text


def test_answers_of_a_tokenizer_whose_tokens_begin_with_a_blank():
    context = "He came from  Meishan , they say"
    assert extract_answer(context, [(7, 12), (12, 21), (21, 22)]).text == "from  Meishan"
    assert extract_answer(context, [(12, 21)]) == extract_answer(context, [(14, 21)])
    assert extract_answer(context, [(12, 21)]).start == 14
