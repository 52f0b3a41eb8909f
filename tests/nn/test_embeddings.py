"""What enters the first block: sums of table rows, the norm, and dropout in its place."""

import numpy as np
import pytest

from minibert.nn.block import AttentionInputs
from minibert.nn.embeddings import Embeddings

B, T, C, V = 3, 5, 8, 11
RNG = np.random.default_rng(0)
IDS, PLACES = RNG.integers(0, V, (B, T)), RNG.integers(0, 7, (B, T))
SEGMENTS = RNG.integers(0, 2, (B, T))


def randomised(module):
    for parameter in module.double().parameters():
        parameter.data = RNG.normal(size=parameter.shape)
    return module


def bert(dropout=0.0):
    return randomised(Embeddings(V, C, 7, dropout, 2, 1e-3))


def gpt(dropout=0.0):
    return randomised(Embeddings(V, C, 7, dropout))


@pytest.mark.parametrize("places", [PLACES, PLACES[:1]])
def test_bert(places):
    module = bert()
    state = module.state_dict()
    expected = np.zeros((B, T, C))
    for b in range(B):
        for t in range(T):
            total = (state["word_embeddings.weight"][IDS[b, t]]
                     + state["token_type_embeddings.weight"][SEGMENTS[b, t]]
                     + state["position_embeddings.weight"][places[b % len(places), t]])
            centred = total - total.mean()
            expected[b, t] = (centred / np.sqrt((centred**2).mean() + 1e-3)
                              * state["norm.weight"] + state["norm.bias"])
    output = module(IDS, AttentionInputs(position_ids=places), token_type_ids=SEGMENTS)
    np.testing.assert_allclose(output.data, expected, rtol=0, atol=1e-13)


def test_gpt2():
    module = gpt()
    words, places = module.state_dict().values()
    expected = [[words[IDS[b, t]] + places[PLACES[b, t]] for t in range(T)] for b in range(B)]
    output = module(IDS, AttentionInputs(position_ids=PLACES))
    np.testing.assert_allclose(output.data, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("module", [bert(0.25), gpt(0.25)])
def test_dropout_comes_last(module):
    inputs = AttentionInputs(position_ids=PLACES, rng=np.random.default_rng(0))
    dropped = module(IDS, inputs, token_type_ids=SEGMENTS).data
    whole = module.eval()(IDS, inputs, token_type_ids=SEGMENTS).data
    kept = dropped != 0
    assert 0.6 < kept.mean() < 0.9
    np.testing.assert_allclose(dropped[kept], whole[kept] / 0.75, rtol=1e-12)
