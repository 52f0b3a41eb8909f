"""The sense of ambiguous words: static vectors at the prior, posteriors at the bound."""

from collections import Counter

import numpy as np
import pytest

from minibert.ancestors.word2vec import CBOW, CBOWConfig
from minibert.ancestors.word_sense import WordSenses, pooled_covariance, squared_distances
from minibert.errors import InputError
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import TOPICS, ToyWorld

WORLD = ToyWorld()
TOKENIZER = BertTokenizer.from_words(WORLD.words)


@pytest.fixture(scope="module")
def senses():
    return WordSenses(WORLD, TOKENIZER, nearest=5, linear=10, decided=14)


class Posteriors:
    """A model whose vectors are the exact posteriors of the topics, from one side or from both."""

    def __init__(self, senses, side):
        self.senses, self.side = senses, side

    def vectors(self, input_ids):
        return self.senses.oracle.state_posteriors(input_ids, self.senses.groups)[self.side]


def test_occurrences_are_balanced_and_labelled_by_the_world(senses):
    assert sorted(senses.words) == ["bank", "bar", "bass", "counter", "note"]
    for some, count in ((senses.labelled, 10), (senses.decided, 14)):
        counts = Counter((o.word, list(TOPICS)[o.topic]) for o in some)
        assert set(counts.values()) == {count} and len(counts) == 10
        assert counts["bank", "river"] == counts["bank", "town"] == count
        for o in some:
            assert TOKENIZER.convert_ids_to_tokens(o.input_ids[o.position]) == o.word
    assert not {o.input_ids for o in senses.labelled} & {o.input_ids for o in senses.decided}


def test_stories_are_drawn_until_each_sense_has_occurred_often_enough(monkeypatch):
    monkeypatch.setattr("minibert.ancestors.word_sense.STORIES_AT_A_TIME", 5)
    found = WordSenses(WORLD, TOKENIZER, nearest=1, linear=2, decided=3)
    assert set(Counter((o.word, o.topic) for o in found.decided).values()) == {3}


def test_both_sides_say_the_sense_and_the_left_side_most_of_it(senses):
    left, both = senses.bounds()
    assert 0.9 < left < both == 1.0
    assert senses.accuracy(Posteriors(senses, 1))[0] > 0.98
    assert senses.accuracy(Posteriors(senses, 0))[0] == pytest.approx(left, abs=0.06)


def test_a_posterior_is_divided_by_the_prior(senses, monkeypatch):
    """Where one sense is almost impossible, each hint at it decides."""
    skewed = {word: np.where(np.cumsum(p) > 0.75, p * 1e-9, p)
              for word, p in senses.priors.items()}
    monkeypatch.setattr(senses, "decided", senses.decided[:28])  # of the first word
    before = senses.bounds()[0]
    monkeypatch.setattr(senses, "priors", skewed)
    assert senses.bounds()[0] <= before - 3 / 28


def test_the_nearest_averages_are_those_of_the_first_occurrences(senses):
    """The vectors of the last 5 of 10 labelled occurrences say the other sense, and louder."""
    class Table:
        def vectors(self, input_ids):
            return np.array([[[says.get((tuple(row), t), 0.0)] for t in range(len(row))]
                             for row in input_ids.tolist()])

    second = {word: np.flatnonzero(p)[1] for word, p in senses.priors.items()}
    says = {(o.input_ids, o.position): 1.0 if o.topic == second[o.word] else -1.0
            for o in [*senses.labelled, *senses.decided]}
    for k, o in enumerate(senses.labelled):
        says[o.input_ids, o.position] *= 1 if k % 10 < 5 else -10
    assert senses.accuracy(Table()) == (1.0, 0.0)


def test_a_static_vector_says_the_prior(senses):
    model = CBOW(CBOWConfig(TOKENIZER.vocab_size, 8), 1)
    assert senses.is_static(model) and not senses.is_static(Posteriors(senses, 0))
    assert senses.accuracy(model) == (0.5, 0.5)
    bank = TOKENIZER.convert_tokens_to_ids("bank")

    class OneWord:  # static for the word bank alone
        def vectors(self, input_ids):
            return np.where(input_ids == bank, 0, np.arange(input_ids.shape[1]))[..., None]

    assert not senses.is_static(OneWord())


def test_the_linear_discriminant_sees_through_other_variance(senses):
    """The posterior beside eight louder numbers that say nothing."""
    class Loud(Posteriors):
        def vectors(self, input_ids):
            exact = super().vectors(input_ids)
            loud = np.random.default_rng(input_ids.sum()).normal(size=(*exact.shape[:2], 8)) * 3
            return np.concatenate([exact, loud], axis=-1)

    nearest, linear = senses.accuracy(Loud(senses, 1))
    assert nearest < 0.75 and linear > 0.9


def test_the_distance_by_its_formula():
    rng = np.random.default_rng(0)
    of_sense, x = [rng.normal(size=(9, 3)), rng.normal(size=(7, 3)) + 4], rng.normal(size=(5, 3))
    S = sum([np.cov(some.T, bias=True) * len(some) for some in of_sense]) / 16
    S = S + 1e-3 * np.trace(S) / 3 * np.eye(3)
    np.testing.assert_allclose(pooled_covariance(of_sense), S, rtol=1e-12)
    m = of_sense[0].mean(axis=0)
    expected = [(row - m) @ np.linalg.inv(S) @ (row - m) for row in x]
    np.testing.assert_allclose(squared_distances(x, m, S), expected, rtol=1e-10)


def test_impossible_numbers_are_refused():
    for numbers in ({"nearest": 0}, {"decided": 0}, {"nearest": 30, "linear": 20}):
        with pytest.raises(InputError):
            WordSenses(WORLD, TOKENIZER, **numbers)
