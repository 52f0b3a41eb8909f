"""The masks: who may attend to whom, in loops, in combination and as pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.nn.masks import causal_mask, padding_mask, picture, prefix_mask


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
    mask = causal_mask(queries, keys, offset)
    assert mask.shape == (1, 1, queries, keys) and mask.dtype == bool
    for query in range(queries):
        for key in range(keys):
            assert mask[0, 0, query, key] == (key <= query + offset)


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
    both = causal_mask(3) & padding_mask([[1, 1, 0]])
    assert picture(both, ["my", "dog", "is"]) == " my # . .\ndog # # .\n is # # ."
    assert picture(padding_mask([[1, 1, 0]])) == "every query # # ."
    assert picture(prefix_mask([2], 3)) == "0 # # .\n1 # # .\n2 # # #"
    with pytest.raises(InputError, match="2 tokens"):
        picture(both, ["a", "b"])
