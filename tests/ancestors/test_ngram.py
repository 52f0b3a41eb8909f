"""Kneser-Ney against the formula, spelled out with dictionaries."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.ancestors.ngram import NGramConfig, NGramModel
from minibert.data.ngram_baselines import discount, unigram_loss
from minibert.errors import InputError

V = 5
texts = st.lists(st.integers(0, V - 2), min_size=4, max_size=30)  # the last word never occurs


def by_formula(text, order, history):
    """p(. | history), a list, as the module's docstring has it."""
    if order == 0:
        return [1 / V] * V
    grams = [tuple(text[i:i + order]) for i in range(len(text) - order + 1)]
    counts = Counter(grams)
    return interpolate(counts, history, lower_orders(text, order - 1, history[1:]))


def lower_orders(text, m, history):
    """p_m from the number of different tokens before each m-gram."""
    if m == 0:
        return [1 / V] * V
    longer = {tuple(text[i:i + m + 1]) for i in range(len(text) - m)}
    counts = Counter(gram[1:] for gram in longer)
    return interpolate(counts, history, lower_orders(text, m - 1, history[1:]))


def interpolate(counts, history, lower):
    after = {gram[-1]: c for gram, c in counts.items() if gram[:-1] == tuple(history)}
    if not after:
        return lower
    D, total = discount(np.array(list(counts.values()))), sum(after.values())
    return [max(after.get(w, 0) - D, 0) / total + D * len(after) / total * lower[w]
            for w in range(V)]


@given(texts, st.integers(1, 4), st.lists(st.integers(0, V - 1), min_size=4, max_size=6))
@settings(max_examples=40)
def test_next_word_equals_the_formula_and_sums_to_one(text, order, row):
    model = NGramModel.fit(NGramConfig(V, order), np.array(text))
    p = np.exp(model.next_word(np.array([row, row[::-1]])))
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)
    for b, ids in enumerate([row, row[::-1]]):
        for t in range(len(row)):
            history = ids[max(t - order + 2, 0):t + 1] if order > 1 else []
            if len(history) == order - 1:
                expected = by_formula(text, order, history)
            else:  # the row has just begun: a lower order
                expected = lower_orders(text, len(history) + 1, history)
            np.testing.assert_allclose(p[b, t], expected, rtol=1e-12)


def test_a_unigram_is_the_baseline_and_longer_contexts_help_where_they_matter():
    rng = np.random.default_rng(0)
    ids = np.zeros(6000, np.int64)
    for t in range(2, len(ids)):  # the word before the last one decides
        ids[t] = ids[t - 2] if rng.random() < 0.8 else rng.integers(V)
    train, held_out = ids[:5000], ids[5000:]

    def loss(order):
        log_p = NGramModel.fit(NGramConfig(V, order), train).next_word(held_out[None, :-1])[0]
        return -log_p[np.arange(len(log_p)), held_out[1:]].mean()

    assert loss(1) == pytest.approx(unigram_loss(train, held_out[1:], V))
    repeats = held_out[2:] == held_out[:-2]
    exact = -np.where(repeats, np.log(0.84), np.log(0.04)).mean()
    assert loss(3) == pytest.approx(exact, abs=0.02) and loss(3) < loss(2) - 0.5


def test_impossible_orders_and_texts_are_refused():
    for order, message in ((0, "order"), (30, r"2\*\*63"), (10 ** 12, r"2\*\*63"), (2.5, "order")):
        with pytest.raises(InputError, match=message):
            NGramConfig(V, order)
    with pytest.raises(InputError, match="8 words to the power of it must stay below"):
        NGramConfig(8, 21)  # 2**63 itself
    with pytest.raises(InputError, match="2 tokens, fewer than the order 3"):
        NGramModel.fit(NGramConfig(V, 3), np.array([0, 1]))
    for ids in ([0, 1, V], [-1, 0, 1]):
        with pytest.raises(InputError, match="expected 0 to 4"):
            NGramModel.fit(NGramConfig(V, 2), np.array(ids))


def test_damaged_counts_are_refused():
    model = NGramModel.fit(NGramConfig(V, 2), np.array([0, 1, 2, 0, 1, 3]))
    good = model.stored_arrays()
    for name, array in (("codes.2", good["codes.2"][::-1]), ("codes.1", good["codes.1"] + V),
                        ("codes.1", good["codes.1"] - 1),
                        ("counts.2", good["counts.2"] * 0), ("counts.1", good["counts.1"][:-1]),
                        ("codes.2", good["codes.2"].astype(float)),
                        ("codes.2", good["codes.2"][None])):
        with pytest.raises(InputError, match="no counts"):
            NGramModel.from_arrays(model.config, good | {name: array})
    nothing = np.empty(0, np.int64)
    with pytest.raises(InputError, match="no counts"):
        NGramModel.from_arrays(model.config, good | {"codes.1": nothing, "counts.1": nothing})
    with pytest.raises(InputError, match="expected"):
        NGramModel.from_arrays(model.config, {"codes.1": good["codes.1"]})
