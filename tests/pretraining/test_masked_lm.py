"""The choice of masked tokens, and their replacement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minibert.pretraining.masked_lm import mask_tokens, n_correct, ordinary_ids
from minibert.tokenizers.wordpiece import BertTokenizer

TOKENIZER = BertTokenizer.from_words([f"w{i}" for i in range(20)])
ORDINARY = ordinary_ids(TOKENIZER)
MASK = TOKENIZER.mask_token_id


def test_ordinary_ids_are_all_but_the_special_ones():
    assert ORDINARY.tolist() == list(range(5, 25))
    shuffled = BertTokenizer(["a", "[MASK]", "b", "[SEP]", "[CLS]", "c", "[UNK]", "[PAD]"])
    assert ordinary_ids(shuffled).tolist() == [0, 2, 5]


@given(ids=st.lists(st.lists(st.integers(0, 24), min_size=6, max_size=6), min_size=1, max_size=5),
       seed=st.integers(0, 99), probability=st.sampled_from([0.0, 0.15, 0.6, 1.0]))
def test_laws_of_every_batch(ids, seed, probability):
    ids = np.array(ids)
    before = ids.copy()
    shown, places, labels = mask_tokens(ids, ORDINARY, MASK, np.random.default_rng(seed),
                                        probability)
    assert np.array_equal(ids, before), "the corpus is not written into"
    assert shown.shape == ids.shape and shown is not ids
    assert (np.diff(places) > 0).all()
    assert np.array_equal(labels, ids.ravel()[places])
    assert np.isin(labels, ORDINARY).all(), "special tokens and padding are never chosen"
    assert np.isin(shown.ravel()[places], [*ORDINARY, MASK]).all(), "nor do they replace"
    rest = np.setdiff1d(np.arange(ids.size), places)
    assert np.array_equal(shown.ravel()[rest], ids.ravel()[rest])
    if probability == 1.0:
        assert len(places) == np.isin(ids, ORDINARY).sum()
    if probability == 0.0:
        assert len(places) == 0


@pytest.fixture(scope="module")
def big_batch():
    ids = np.random.default_rng(1).integers(0, 25, size=(2000, 50))
    return ids, *mask_tokens(ids, ORDINARY, MASK, np.random.default_rng(2))


def test_fifteen_percent_of_the_ordinary_tokens_each_on_its_own(big_batch):
    ids, _, places, _ = big_batch
    n_ordinary = int(np.isin(ids, ORDINARY).sum())
    assert stats.binomtest(len(places), n_ordinary, 0.15).pvalue > 1e-3
    rows = np.bincount(places // 50, minlength=2000)
    trials = np.isin(ids, ORDINARY).sum(axis=1)
    spread = ((rows - 0.15 * trials) ** 2).sum() / (0.15 * 0.85 * trials).sum()
    assert 0.85 < spread < 1.15, "a fixed number in each row would spread less"
    columns = np.bincount(places % 50, minlength=50)
    assert stats.chisquare(columns).pvalue > 1e-3


def test_eighty_ten_ten(big_batch):
    """A kept token and an equal random one are indistinguishable, so they are counted together."""
    _, shown, places, labels = big_batch
    seen = shown.ravel()[places]
    counts = [(seen == MASK).sum(), ((seen != MASK) & (seen != labels)).sum(),
              (seen == labels).sum()]
    n, same = len(places), 0.1 / len(ORDINARY)
    expected = [0.8 * n, (0.1 - same) * n, (0.1 + same) * n]
    assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_random_words_are_uniform_over_the_ordinary_ones(big_batch):
    _, shown, places, labels = big_batch
    seen = shown.ravel()[places]
    replaced = seen[(seen != MASK) & (seen != labels)]
    counts = np.bincount(replaced, minlength=25)
    assert counts[:5].sum() == 0
    assert stats.chisquare(counts[5:]).pvalue > 1e-3


def test_accuracy_counts_rows_whose_largest_logit_is_right():
    logits = np.array([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 0.0, 0.5]])
    assert n_correct(logits, np.array([1, 1, 2])) == 2
    assert n_correct(np.zeros((0, 3)), np.zeros(0, int)) == 0
