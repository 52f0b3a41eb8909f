"""The masks against loops, in combination and as text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.autograd.attention_masks import (allowed_positions, causal_mask, format_mask,
                                               padding_mask, prefix_mask)


def test_padding_hides_keys_from_every_query():
    mask = padding_mask([[1, 1, 0], [1, 0, 0], [1, 1, 1]])  # as many rows as tokens
    assert mask.shape == (3, 1, 1, 3) and mask.dtype == bool
    np.testing.assert_array_equal(mask[1, 0, 0], [True, False, False])
    scores = np.broadcast_to(mask, (3, 2, 3, 3))
    assert not scores[1, :, :, 1:].any() and scores[1, :, :, 0].all()


@pytest.mark.parametrize("bad", [[1, 1, 0], [[0.5, 1.0]], [[2, 1]], np.ones((2, 3, 3))])
def test_a_padding_mask_of_something_else_is_refused(bad):
    with pytest.raises(InputError, match="attention_mask"):
        padding_mask(bad)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 4))
def test_causal(queries, keys, offset):
    mask = causal_mask(offset + np.arange(queries), np.arange(keys))
    assert mask.shape == (queries, keys) and mask.dtype == bool
    for query in range(queries):
        for key in range(keys):
            assert mask[query, key] == (key <= query + offset)
    rows = causal_mask(np.array([[2, 0], [1, 3]]), np.arange(4))  # each row's own positions
    assert rows.sum(-1).tolist() == [[3, 1], [2, 4]]


def test_causality_and_a_mask_together():
    """PyTorch's corner is top left."""
    causal = allowed_positions(3, 5, None, True)
    assert causal.astype(int).tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]]
    assert np.array_equal(allowed_positions(2, 5, None, True, 3), np.tri(5, 5, dtype=bool)[3:])
    assert allowed_positions(3, 5, None, False) is None
    mask = np.array([True, False, True, True, True])
    assert np.array_equal(allowed_positions(3, 5, mask, True), causal & mask)
    assert allowed_positions(3, 5, mask, False) is mask


@given(st.data(), st.integers(1, 5))
def test_prefix(data, tokens):
    lengths = data.draw(st.lists(st.integers(0, tokens), min_size=1, max_size=3))
    mask = prefix_mask(lengths, tokens)
    assert mask.shape == (len(lengths), 1, tokens, tokens)
    for row, length in enumerate(lengths):
        for query in range(tokens):
            for key in range(tokens):
                assert mask[row, 0, query, key] == (key <= query or key < length)


@pytest.mark.parametrize("bad", [[4], [-1], [[1]], [0.5]])
def test_a_prefix_longer_than_the_text_is_refused(bad):
    with pytest.raises(InputError, match="prefix_mask"):
        prefix_mask(bad, 3)


def test_masks_combine_by_and_and_draw_themselves():
    positions = np.arange(3)
    both = causal_mask(positions, positions) & padding_mask([[1, 1, 0]])
    assert format_mask(both, ["my", "dog", "is"]) == " my # . .\ndog # # .\n is # # ."
    assert format_mask(padding_mask([[1, 1, 0]])) == "every query # # ."
    assert format_mask(prefix_mask([2], 3)) == "0 # # .\n1 # # .\n2 # # #"
    with pytest.raises(InputError, match="2 tokens"):
        format_mask(both, ["a", "b"])
