"""The probability of a text is the product of those of its tokens."""

import numpy as np
import pytest
from tests.generation.bigrams import Bigrams, cycle

from minibert.errors import InputError
from minibert.generation.scoring import score


def test_score_is_the_chain_rule():
    table = np.random.default_rng(2).normal(size=(5, 5)) * 3
    ids = np.array([0, 3, 3, 1])
    expected = [np.log(np.exp(table[a, b]) / np.exp(table[a]).sum()) for a, b in zip(ids, ids[1:])]
    np.testing.assert_allclose(score(Bigrams(table), ids), expected, rtol=1e-12)
    np.testing.assert_allclose(score(Bigrams(table + 1000), ids), expected, rtol=1e-9)
    assert score(Bigrams(table), ids[:1]).shape == (0,)
    assert score(Bigrams(table), np.zeros(8, int)).shape == (7,), "as many as there are positions"
    with pytest.raises(InputError, match="9 tokens are more than the model's 8"):
        score(Bigrams(table), np.zeros(9, int))


def test_the_mode_is_put_back_and_bad_ids_are_named():
    model = cycle()
    model.train()
    score(model, np.array([0, 1]))
    assert model.training
    with pytest.raises(InputError, match="input_ids: 7 is out of range"):
        score(model, np.array([0, 7]))
