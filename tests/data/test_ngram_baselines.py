import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.data.ngram_baselines import bigram_loss, majority_accuracy, uniform_loss, unigram_loss

V = 7
# The last word of the vocabulary never occurs
texts = st.lists(st.integers(0, V - 2), min_size=2, max_size=40)


@given(texts, st.integers(0, V - 1))
def test_probabilities_of_all_words_sum_to_one(text, before):
    """One held-out token at a time: exp(-loss) is its probability."""
    unigram = [np.exp(-unigram_loss(text, np.array([word]), V)) for word in range(V)]
    bigram = [np.exp(-bigram_loss(text, np.array([before, word]), V)) for word in range(V)]
    assert sum(unigram) == pytest.approx(1.0) and sum(bigram) == pytest.approx(1.0)
    assert min(unigram) > 0.0 and min(bigram) > 0.0


def test_bigram_by_hand():
    """a b a b a c: pairs ab 2, ba 2, ac 1, so D = 1 / (1 + 2 * 2) = 0.2; a is followed 3 times,
    by 2 words. Words: a 3, b 2, c 1: D = 1 / (1 + 2 * 1) = 1/3, off three, shared by V = 4."""
    text = np.array([0, 1, 0, 1, 0, 2])
    unigram = np.array([3 - 1 / 3, 2 - 1 / 3, 1 - 1 / 3, 0]) / 6 + (1 / 3) * 3 / 6 / 4
    after_a = np.array([0, 1.8, 0.8, 0]) / 3 + 0.2 * 2 / 3 * unigram
    for word in range(4):
        assert unigram_loss(text, np.array([word]), 4) == pytest.approx(-np.log(unigram[word]))
        assert bigram_loss(text, np.array([0, word]), 4) == pytest.approx(-np.log(after_a[word]))
    # c and the unseen word 3 were followed by nothing: only the unigram is left
    assert bigram_loss(text, np.array([3, 1]), 4) == pytest.approx(-np.log(unigram[1]))
    assert bigram_loss(text, np.array([0, 1, 0]), 4) == pytest.approx(
        (bigram_loss(text, np.array([0, 1]), 4) + bigram_loss(text, np.array([1, 0]), 4)) / 2)


@pytest.mark.parametrize("text", [[0, 1, 2, 3], [0, 1, 0, 1, 0]])
def test_half_is_taken_off_where_no_pair_or_all_pairs_occur_once(text):
    """01, 12, 23 once each; 01 and 10 twice each: D = 0.5 for the pairs."""
    n, count = (1, 1) if text[2] == 2 else (2, 2)  # tokens after 0, of which are 1
    p = (count - 0.5) / n + 0.5 * 1 / n * np.exp(-unigram_loss(text, np.array([1]), 4))
    assert bigram_loss(text, np.array([0, 1]), 4) == pytest.approx(-np.log(p))


def test_ample_text_of_a_chain_reaches_its_entropy():
    rng = np.random.default_rng(0)
    moves = rng.dirichlet(np.full(V, 0.5), V)
    ids = np.zeros(60_000, dtype=np.int64)
    for t in range(1, len(ids)):
        ids[t] = np.searchsorted(np.cumsum(moves[ids[t - 1]]), rng.random())
    ids = np.minimum(ids, V - 1)
    held_out = ids[50_000:]
    exact = -np.log(moves[held_out[:-1], held_out[1:]]).mean()
    assert bigram_loss(ids[:50_000], held_out, V) == pytest.approx(exact, abs=0.005)
    bigram = bigram_loss(ids[:50_000], held_out, V)
    assert bigram < unigram_loss(ids[:50_000], held_out, V) < uniform_loss(V)


def test_uniform_and_majority():
    assert uniform_loss(200) == pytest.approx(5.2983174)
    assert majority_accuracy(np.array([0, 1, 1, 0, 1])) == pytest.approx(0.6)
    assert majority_accuracy(np.array([0, 0, 0, 1])) == pytest.approx(0.75)
