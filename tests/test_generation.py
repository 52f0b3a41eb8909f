"""Sampling filters against brute force, and generation with a model whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.generation import (draw, generate, keep_top_k, keep_top_p, next_logits, probabilities,
                                 score, with_temperature)
from minibert.nn.module import Module

# Small integers as logits make ties frequent.
rows = st.lists(st.lists(st.integers(-4, 4), min_size=5, max_size=5), min_size=1, max_size=3)


class Bigrams(Module):
    """A language model that looks at the last token only: its logits are a row of a table."""

    __slots__ = ("table", "config", "longest")

    def __init__(self, table, positions=8):
        super().__init__()
        self.table = np.asarray(table, np.float64)
        self.config = SimpleNamespace(max_position_embeddings=positions, vocab_size=len(table))
        self.longest = 0

    def forward(self, ids):
        assert not self.training
        self.longest = max(self.longest, ids.shape[1])
        return SimpleNamespace(logits=Tensor(self.table[ids]))


def cycle(vocab_size=5):
    """Token i is followed by token i + 1, nearly surely."""
    return Bigrams(np.roll(np.eye(vocab_size), 1, axis=1) * 50.0)


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
    assert np.isfinite(keep_top_p(logits, 1.0)).all()


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
    tiny = probabilities(with_temperature(logits, 1e-310))
    np.testing.assert_allclose(tiny, (logits == logits.max(1, keepdims=True)) /
                               (logits == logits.max(1, keepdims=True)).sum(1, keepdims=True))


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


def test_generation_continues_every_row_from_its_own_last_token():
    ids = generate(cycle(), np.array([[0, 1], [0, 3]]), 4, temperature=0)
    assert ids.tolist() == [[0, 1, 2, 3, 4, 0], [0, 3, 4, 0, 1, 2]]
    sampled = generate(cycle(), np.array([[0, 1], [0, 3]]), 4, rng=5)
    assert sampled.tolist() == ids.tolist()


def test_a_stop_token_ends_its_own_row_only():
    ids = generate(cycle(), np.array([[1], [3]]), 5, temperature=0, stop_token=4)
    assert ids.tolist() == [[1, 2, 3, 4], [3, 4, 4, 4]]


def test_the_same_seed_gives_the_same_text_and_another_another():
    model = Bigrams(np.zeros((6, 6)), positions=64)
    prompt = np.array([[0]])
    first, second, third = (generate(model, prompt, 40, rng=seed) for seed in (3, 3, 4))
    assert first.tolist() == second.tolist() != third.tolist()


def test_filters_and_banned_tokens_reach_the_draw():
    model = Bigrams(np.tile([4.0, 3.0, 2.0, 1.0, 0.0], (5, 1)), positions=300)
    prompt = np.array([[4]])
    assert set(generate(model, prompt, 200)[0, 1:]) == {0, 1, 2, 3, 4}
    assert set(generate(model, prompt, 200, top_k=2)[0, 1:]) == {0, 1}
    assert set(generate(model, prompt, 200, top_p=0.7)[0, 1:]) == {0, 1}
    assert set(generate(model, prompt, 200, top_k=2, banned=[0])[0, 1:]) == {1, 2}
    assert set(generate(model, prompt, 60, temperature=0.01)[0, 1:]) == {0}


def test_more_tokens_than_positions_is_an_error_or_a_sliding_window():
    model = cycle()
    with pytest.raises(InputError, match="3 tokens and 6 new ones .* 8 positions"):
        generate(model, np.array([[0, 1, 2]]), 6, temperature=0)
    assert generate(model, np.array([[0, 1, 2]]), 5, temperature=0).shape == (1, 8)
    ids = generate(model, np.array([[0, 1, 2]]), 12, temperature=0, sliding_window=True)
    assert ids.tolist() == [[i % 5 for i in range(15)]]
    assert model.longest == 8


def test_each_new_token_is_shown_and_the_mode_is_put_back():
    model, shown = cycle(), []
    model.train()
    generate(model, np.array([[0]]), 3, temperature=0,
             on_token=lambda new: shown.extend(new.tolist()))
    assert shown == [1, 2, 3] and model.training
    with pytest.raises(ZeroDivisionError):
        generate(model, np.array([[0]]), 3, on_token=lambda new: 1 / 0)
    assert model.training


def test_score_is_the_chain_rule():
    table = np.random.default_rng(2).normal(size=(5, 5)) * 3
    ids = np.array([0, 3, 3, 1])
    expected = [np.log(np.exp(table[a, b]) / np.exp(table[a]).sum()) for a, b in zip(ids, ids[1:])]
    np.testing.assert_allclose(score(Bigrams(table), ids), expected, rtol=1e-12)
    np.testing.assert_allclose(score(Bigrams(table + 1000), ids), expected, rtol=1e-9)
    assert score(Bigrams(table), ids[:1]).shape == (0,)
    with pytest.raises(InputError, match="9 tokens are more than the model's 8"):
        score(Bigrams(table), np.zeros(9, int))


def test_next_logits_are_a_copy():
    model = cycle()
    model.eval()
    next_logits(model, np.array([[1]]))[:] = 7.0
    assert next_logits(model, np.array([[1]])).tolist() == [model.table[1].tolist()]


@pytest.mark.parametrize("settings, words", [
    ({"temperature": -1}, "temperature"), ({"temperature": float("nan")}, "temperature"),
    ({"top_k": -1}, "top_k"), ({"top_p": 0.0}, "top_p"), ({"top_p": 1.5}, "top_p"),
    ({"max_new_tokens": -1}, "max_new_tokens")])
def test_settings_out_of_range_are_named(settings, words):
    with pytest.raises(InputError, match=words):
        generate(cycle(), np.array([[0]]), **{"max_new_tokens": 1, **settings})


@pytest.mark.parametrize("ids, words", [
    (np.zeros((1, 0), int), "at least one token"), (np.array([0, 1]), "shape"),
    (np.array([[0.0]]), "float64"), (np.array([[5]]), "token id 5"),
    (np.array([[-1]]), "token id -1")])
def test_bad_prompts_are_named(ids, words):
    with pytest.raises(InputError, match=words):
        generate(cycle(), ids, 1)
