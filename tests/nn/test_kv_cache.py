"""The key/value cache by itself: against plain lists, one per row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.block import AttentionInputs, BlockConfig, MultiHeadAttention
from minibert.nn.kv_cache import KeyValueCache
from minibert.nn.layers import Linear

WIDTH, ROWS = 6, 3
chunks = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2**16)), min_size=1, max_size=4)


def draw(rng, tokens):
    """Numbers of two attentions (B, T, 2C) and which tokens are real; one of each row is."""
    real = rng.random((ROWS, tokens)) < 0.6
    real[:, -1] |= ~real.any(axis=1)
    return rng.normal(size=(2, ROWS, tokens, WIDTH)), real


@given(chunks)
def test_it_holds_what_lists_would_hold(pieces):
    cache, attentions = KeyValueCache(ROWS, 17), [Linear(2, 2), Linear(2, 2)]
    lists = [[[] for _ in range(ROWS)] for _ in attentions]
    for tokens, seed in pieces:
        numbers, real = draw(np.random.default_rng(seed), tokens)
        positions, seen = cache.begin(real)
        for attention, given_numbers, rows in zip(attentions, numbers, lists):
            kept = cache.update(attention, Tensor(given_numbers)).data
            for b in range(ROWS):
                rows[b] += [given_numbers[b, t] for t in range(tokens) if real[b, t]]
                assert np.array_equal(kept[b, :len(rows[b])], rows[b])
                assert np.isfinite(kept[b]).all()
        held = [len(row) for row in lists[0]]
        cache.commit()
        assert cache.lengths.tolist() == held and kept.shape == (ROWS, max(held), WIDTH)
        may = np.ones((ROWS, 1, tokens, max(held)), bool) if seen is None else seen
        for b, t in zip(*real.nonzero()):
            place = held[b] - real[b, t:].sum()
            assert positions[b, t] == place
            assert may[b, 0, t].tolist() == [s <= place for s in range(max(held))]


@given(st.lists(st.integers(0, ROWS - 1), min_size=ROWS, max_size=ROWS), st.integers(0, 2**16))
def test_rows_are_reordered_with_their_lengths(rows, seed):
    cache, attention = KeyValueCache(ROWS, 5), Linear(2, 2)
    numbers, real = draw(np.random.default_rng(seed), 4)
    cache.begin(real)
    before = cache.update(attention, Tensor(numbers[0])).data.copy()
    cache.commit()
    lengths = cache.lengths.copy()
    cache.reorder(np.array(rows))
    assert cache.lengths.tolist() == lengths[rows].tolist()
    cache.begin(np.ones((ROWS, 1), bool))
    after = cache.update(attention, Tensor(numbers[1][:, :1])).data
    for b, source in enumerate(rows):
        n = lengths[source]
        assert np.array_equal(after[b, :n], before[source, :n])
        assert np.array_equal(after[b, n], numbers[1][b, 0])


def test_the_past_is_not_copied():
    cache, attention = KeyValueCache(1, 9), Linear(2, 2)
    views = []
    for _ in range(9):
        cache.begin(np.ones((1, 1), bool))
        views.append(cache.update(attention, Tensor(np.ones((1, 1, WIDTH), np.float32))).data)
        cache.commit()
    assert all([np.shares_memory(view[:, 0], views[0]) for view in views])
    assert views[-1].dtype == np.float32


def test_too_many_tokens_or_other_rows():
    cache = KeyValueCache(2, 4)
    cache.begin(np.array([[True, True, True], [False, False, True]]))
    assert cache.lengths.tolist() == [0, 0], "what is not committed changes nothing"
    cache.commit()
    with pytest.raises(InputError, match="3 rows of tokens for a cache of 2"):
        cache.begin(np.ones((3, 1), bool))
    with pytest.raises(InputError, match="5 tokens are more than the 4"):
        cache.begin(np.ones((2, 2), bool))
    assert cache.lengths.tolist() == [3, 1], "an error changes nothing"
    assert cache.begin(np.array([[True], [True]]))[0].tolist() == [[3], [1]]


@pytest.mark.parametrize("rows", [[0], [0, 1, 1], [True, False]])
def test_reordering_takes_the_number_of_a_row_for_each_row(rows):
    with pytest.raises(InputError, match="a row's number for each of the 2 rows"):
        KeyValueCache(2, 4).reorder(np.array(rows))


def test_attention_with_a_cache_refuses_gradients():
    attention = MultiHeadAttention(BlockConfig(6, 2, intermediate_size=1))
    x = Tensor(np.ones((1, 2, 6), np.float32))
    cache = KeyValueCache(1, 4)
    cache.begin(np.ones((1, 2), bool))
    with pytest.raises(InputError, match="no_grad"):
        attention(x, AttentionInputs(cache=cache))
