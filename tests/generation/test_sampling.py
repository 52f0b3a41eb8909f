"""Each filter against brute force."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from minibert.generation.sampling import (draw, keep_top_k, keep_top_p, log_probabilities,
                                          probabilities, with_repetition_penalty, with_temperature,
                                          without_tokens)

# Small integers as logits make ties frequent.
rows = st.lists(st.lists(st.integers(-4, 4), min_size=5, max_size=5), min_size=1, max_size=3)


@given(rows, st.integers(0, 7))
def test_top_k_keeps_what_is_larger_than_all_but_k(values, k):
    logits = np.array(values, np.float64)
    kept = np.isfinite(keep_top_k(logits, k))
    for row, keeps in zip(logits, kept):
        for token, value in enumerate(row):
            larger = sum([other > value for other in row])
            assert keeps[token] == (k == 0 or larger < k)
    assert np.array_equal(keep_top_k(logits, k)[kept], logits[kept])


@given(rows, st.floats(0.01, 1.0))
def test_top_p_takes_tokens_until_the_sum_reaches_p(values, p):
    logits = np.array(values, np.float64)
    kept = np.isfinite(keep_top_p(logits, p))
    for row, keeps in zip(logits, kept):
        probability = np.exp(row) / np.exp(row).sum()
        total, expected = 0.0, set()
        for token in sorted(range(len(row)), key=lambda i: (-row[i], i)):
            if abs(total - p) < 1e-12:
                return  # too near to the edge for two ways of adding up
            if total >= p:
                break
            expected.add(token)
            total += probability[token]
        assert set(np.flatnonzero(keeps)) == expected


def test_top_p_keeps_the_token_that_crosses():
    logits = np.log(np.array([[0.5, 0.3, 0.2]]))
    assert np.isfinite(keep_top_p(logits, 0.6)).tolist() == [[True, True, False]]
    assert np.isfinite(keep_top_p(logits, 0.01)).tolist() == [[True, False, False]]
    assert np.isfinite(keep_top_p(logits, 0.0)).tolist() == [[True, False, False]]
    assert np.isfinite(keep_top_p(logits, 1.0)).all()
    assert np.isfinite(keep_top_p(np.array([[0.0, -50.0]]), 1.0)).all(), "also what rounds away"
    assert np.isfinite(keep_top_p(np.zeros((1, 2)), 0.5)).tolist() == [[True, False]]


@given(rows, st.floats(0.1, 10.0))
def test_temperature_divides_the_logits(values, temperature):
    logits = np.array(values, np.float64)
    expected = np.exp(logits / temperature)
    np.testing.assert_allclose(probabilities(with_temperature(logits, temperature)),
                               expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


@given(rows)
def test_temperature_0_is_the_argmax_and_tiny_ones_are_no_trouble(values):
    logits = np.array(values, np.float64)
    rng = np.random.default_rng(0)
    assert np.array_equal(draw(with_temperature(logits, 0), rng), logits.argmax(axis=1))
    with np.errstate(all="raise"):
        tiny = probabilities(with_temperature(logits, 1e-310))
    np.testing.assert_allclose(tiny, (logits == logits.max(1, keepdims=True)) /
                               (logits == logits.max(1, keepdims=True)).sum(1, keepdims=True))


class Fixed:
    """A generator that gives the same number in [0, 1) over and over."""

    def __init__(self, number):
        self.number = number

    def random(self, shape):
        return np.full(shape, self.number)


def test_the_smallest_and_the_largest_random_number_draw_what_is_possible():
    largest = Fixed(np.nextafter(1, 0))
    assert draw(np.array([[-np.inf, 0.0, -np.inf]]), Fixed(0.0)).tolist() == [1]
    assert draw(np.array([[-np.inf, 0.0, -np.inf]]), largest).tolist() == [1]
    for n in range(1, 30):  # of which some add up to less than 1
        assert draw(np.zeros((1, n)), largest).tolist() == [n - 1]


def test_draws_follow_each_rows_own_probabilities():
    p = np.array([[0.5, 0.2, 0.0, 0.3], [0.05, 0.05, 0.8, 0.1]])
    with np.errstate(divide="ignore"):
        logits = np.log(p)
    rng = np.random.default_rng(1)
    drawn = np.stack([draw(logits, rng) for _ in range(4000)])  # (4000, 2)
    for row in range(2):
        counts, possible = np.bincount(drawn[:, row], minlength=4), p[row] > 0
        assert counts[~possible].sum() == 0
        assert chisquare(counts[possible], 4000 * p[row][possible]).pvalue > 1e-3


@given(rows, st.data(), st.sampled_from([0.5, 1.0, 1.3, 2.0]))
def test_the_repetition_penalty_falls_once_on_every_token_of_its_own_row(values, data, penalty):
    logits = np.array(values, np.float64)
    B, V = logits.shape
    some = st.lists(st.lists(st.integers(0, V - 1), min_size=4, max_size=4), min_size=B, max_size=B)
    ids = np.array(data.draw(some))
    real = np.array(data.draw(st.lists(st.lists(st.booleans(), min_size=4, max_size=4),
                                       min_size=B, max_size=B)))
    found = with_repetition_penalty(logits, ids, penalty, real)
    for b in range(B):
        used = {token for token, is_real in zip(ids[b], real[b]) if is_real}
        for token in range(V):
            expected = logits[b, token]
            if token in used:
                expected = expected * penalty if expected < 0 else expected / penalty
            assert found[b, token] == expected
    assert np.array_equal(with_repetition_penalty(logits, ids, penalty),
                          with_repetition_penalty(logits, ids, penalty, np.ones(ids.shape, bool)))
    if penalty > 1:
        assert (found <= logits).all(), "a penalty makes nothing more likely"


@given(rows, st.sets(st.integers(0, 4)))
def test_tokens_are_ruled_out_in_every_row(values, tokens):
    logits = np.array(values, np.float64)
    found = without_tokens(logits, sorted(tokens))
    ruled_out = np.isin(np.arange(logits.shape[1]), list(tokens))
    assert (found[:, ruled_out] == -np.inf).all()
    assert np.array_equal(found[:, ~ruled_out], logits[:, ~ruled_out])


@given(rows, st.sampled_from([0.0, 1e4, -1e4]))
def test_log_probabilities_are_the_logarithms_at_any_size(values, shift):
    logits = np.array(values, np.float32)
    found = log_probabilities(logits + np.float32(shift))
    p = probabilities(logits + np.float32(shift))
    assert found.dtype == p.dtype == np.float64
    np.testing.assert_allclose(np.log(p), found, atol=1e-12)
    exact = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(found, np.log(exact / exact.sum(1, keepdims=True)), atol=1e-12)
    assert np.allclose(log_probabilities(np.array([[0.0, -1e4]])), [[0, -1e4]])
    apart = np.array([[1e4, 1e4], [-1e4, -1e4]])  # each row by its own largest logit
    np.testing.assert_allclose(log_probabilities(apart), np.log(0.5))


def test_no_filter_writes_into_what_it_is_given():
    logits = np.random.default_rng(0).normal(size=(2, 6))
    before, ids = logits.copy(), np.array([[0, 1], [2, 2]])
    logits.flags.writeable = ids.flags.writeable = False
    for found in (with_repetition_penalty(logits, ids, 2.0), without_tokens(logits, [1]),
                  with_temperature(logits, 0.5), with_temperature(logits, 0),
                  keep_top_k(logits, 2), keep_top_p(logits, 0.5), log_probabilities(logits)):
        assert found is not logits and found.shape == logits.shape
    assert np.array_equal(logits, before)
