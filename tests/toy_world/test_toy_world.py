"""The toy world's text: its distribution, its grammar, and the same bytes with every SciPy."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from minibert.data.corpora import TOY_SEEDS
from minibert.toy_world.grammar import CHARACTERS, REFLEXIVE, TOPICS, ToyWorld
from minibert.toy_world.hidden_markov_model import HiddenMarkovModel, _row_sampler
from tests.toy_world.tiny_worlds import random_world, stream_matrix, worlds


@pytest.fixture(scope="module")
def world():
    return ToyWorld()


@pytest.fixture(scope="module")
def documents(world):
    return world.documents(2000, np.random.default_rng(0))


@given(worlds())
def test_stationary_is_the_fixed_point_of_the_stream(world):
    moves = stream_matrix(world)
    assert moves.sum(axis=1) == pytest.approx(1.0)
    assert world.stationary.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(world.stationary @ moves, world.stationary, atol=1e-12)


@given(worlds())
def test_opening_is_the_same_for_every_sentence_of_a_document(world):
    """Follow the state from a sentence's first word to its end, then into the next sentence."""
    state = np.zeros(world.num_states)
    state[world.starts] = world.opening
    next_opening = np.zeros(len(world.starts))
    inner = world.inner.toarray()
    for _ in range(500):
        next_opening += state[world.ends] @ world.between
        state = state @ inner
    np.testing.assert_allclose(next_opening, world.opening, atol=1e-10)


@given(st.integers(0, 100), st.integers(1, 4))
def test_a_world_draws_whole_documents_and_the_seed_decides(seed, count):
    world = random_world(seed)
    first, second = (world.documents(count, np.random.default_rng(seed)) for _ in range(2))
    assert first == second and len(first) == count
    assert all(document and all(sentence.split() for sentence in document) for document in first)
    assert {word for d in first for s in d for word in s.split()} <= set(world.words)


def test_row_sampler_draws_each_row_as_its_probabilities_say():
    rng = np.random.default_rng(0)
    matrix = np.array([[0.0, 0.2, 0.8, 0.0], [1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.0, 0.5]])
    rows = np.repeat([2, 0, 1], 20_000)
    drawn = _row_sampler(matrix)(rows, rng)
    for row in range(3):
        share = np.bincount(drawn[rows == row], minlength=4) / 20_000
        np.testing.assert_allclose(share, matrix[row], atol=0.015)
        assert (share[matrix[row] == 0.0] == 0.0).all()


def test_documents_follow_the_stream_of_a_tiny_world():
    """Words after words as often as the exact chain says, the separator between documents."""
    world = random_world(5, states=4, words=3, ends=2)
    documents = world.documents(12_000, np.random.default_rng(1))
    text = " ".join("[SEP] " + " ".join(document) for document in documents)
    names = [*world.words, "[SEP]"]
    ids = np.array([names.index(word) for word in text.split()])
    S, W = world.emission.shape
    emission = np.zeros((S + 1, W + 1))
    emission[:S, :W], emission[S, W] = world.emission, 1.0
    expected = emission.T @ (world.stationary[:, None] * stream_matrix(world)) @ emission
    counted = np.zeros_like(expected)
    np.add.at(counted, (ids[:-1], ids[1:]), 1.0 / (len(ids) - 1))
    np.testing.assert_allclose(counted, expected, atol=0.006)


@given(worlds(), st.integers(0, 100))
def test_the_text_does_not_depend_on_the_order_in_which_columns_are_stored(world, seed):
    """SciPy 1.13.0 stores the columns of a row in the order in which they were given."""
    names = ["words", "emission", "starts", "ends", "between", "document_end"]
    rows, columns = np.nonzero(np.ones(world.inner.shape))
    backwards = sparse.csr_matrix(world.inner.shape)
    backwards.indptr = np.arange(0, len(rows) + 1, world.num_states)
    backwards.indices, backwards.data = columns[::-1].copy(), np.empty(len(rows))
    backwards.data[:] = world.inner.toarray()[rows, backwards.indices]
    assert (backwards.toarray() == world.inner.toarray()).all()
    other = HiddenMarkovModel(inner=backwards, **{name: getattr(world, name) for name in names})
    texts = [w.documents(5, np.random.default_rng(seed)) for w in (world, other)]
    assert texts[0] == texts[1]
    assert np.array_equal(other.inner.data, world.inner.data), "the oracle's sums have one order"


def test_the_text_behind_the_published_figures(world):
    """All figures in README.md and demos/README.md were measured on this text."""
    documents = world.documents(1000, np.random.default_rng(TOY_SEEDS[1]))
    text = "\n\n".join(["\n".join(document) for document in documents])
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "9a698b5b2944fc9d2383fff9466c665f0f5976cada54742d13929d807ffa5ce1")


def test_documents_have_a_memoryless_number_of_sentences(world, documents):
    lengths = np.array([len(document) for document in documents])
    assert lengths.min() == 1
    assert lengths.mean() == pytest.approx(1 / world.document_end, rel=0.08)
    assert (lengths == 1).mean() == pytest.approx(world.document_end, rel=0.3)


def test_words(world):
    assert 150 <= len(world.words) == len(set(world.words))
    for word in world.words:
        assert word == "." or (word.isalpha() and word.islower() and word.isascii())


def test_the_words_of_a_topic_are_those_that_not_every_topic_has(world):
    spelled = world.topic_groups().T @ world.emission > 0  # (topics, words)
    for topic, row in zip(TOPICS.values(), spelled & ~spelled.all(axis=0)):
        assert topic.words() == {world.words[k] for k in np.flatnonzero(row)}


def test_sentences_end_in_one_full_stop_and_fit(world, documents):
    lengths = set()
    for document in documents:
        for sentence in document:
            words = sentence.split(" ")
            assert words.index(".") == len(words) - 1
            lengths.add(len(words))
    assert min(lengths) == 4 and max(lengths) == world.longest_sentence()


def test_agreement_holds_in_every_sentence(documents):
    of_noun = {c.noun: c.pronoun for c in CHARACTERS}
    plural_verbs = {action[1] for topic in TOPICS.values() for action in topic.actions}
    singular_verbs = {action[0] for topic in TOPICS.values() for action in topic.actions}
    seen = set()
    for sentence in (s for d in documents for s in d):
        words = sentence.split()
        subjects = {of_noun.get(w, w) for w in words if w in of_noun or w in REFLEXIVE}
        assert len(subjects) <= 1
        for subject in subjects:
            seen.add(subject)
            assert not {"herself", "himself", "themselves"} & set(words) - {REFLEXIVE[subject]}
            assert not (singular_verbs if subject == "they" else plural_verbs) & set(words)
    assert seen == {"she", "he", "they"}


def test_a_word_with_two_meanings_belongs_to_two_topics(world):
    for word in ("bank", "bass", "bar", "note", "counter"):
        states = np.flatnonzero(world.emission[:, world.words.index(word)])
        assert len({world.states[state][0] for state in states}) == 2, word


def test_documents_open_as_sentences_inside_them_do(documents):
    """The first words of documents against the first words of later sentences."""
    first = [document[0].split()[0] for document in documents]
    later = [sentence.split()[0] for document in documents for sentence in document[1:]]
    for word in set(later):
        share = later.count(word) / len(later)
        assert first.count(word) / len(first) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("broken", ["emission", "inner", "between", "document_end", "words"])
def test_a_world_whose_rows_do_not_sum_to_one_is_an_error(broken):
    good = random_world(0)
    names = ["words", "emission", "inner", "starts", "ends", "between", "document_end"]
    parts = {name: getattr(good, name) for name in names}
    wrong = {
        "emission": good.emission * 1.01,
        "inner": sparse.identity(4),
        "between": good.between * 0.9,
        "document_end": 1.0,
        "words": ["w0"] * 3,
    }
    for value in [wrong[broken]] + [0.0] * (broken == "document_end"):
        with pytest.raises(ValueError, match="HiddenMarkovModel"):
            HiddenMarkovModel(**{**parts, broken: value})
