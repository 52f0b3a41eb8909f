"""The map: principal components against their definition, words in two contexts, topics."""

import numpy as np
import pytest
from tests.look.small_pages import SPECIALS, array_in, bert, data_of, gpt, tokenizer

import minibert as mb
from minibert.look.data import encoded, find_view
from minibert.look.streams import add_map, principal_components, streams_of
from minibert.look.subject import make_subject
from minibert.look.truth import find_oracle
from minibert.toy_world.grammar import ToyWorld

WORDS = tokenizer()
TEXT, OTHER = "the bank is muddy .", "the river is deep ."


def test_principal_components_are_the_directions_of_the_largest_variance():
    x = np.random.default_rng(1).normal(size=(30, 5)) * [0.1, 3, 1, 2, 0.5] + 7
    places, share, _ = principal_components(x)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    for axis in (0, 1):
        direction = vectors[:, -1 - axis] * np.sign(vectors[abs(vectors[:, -1 - axis]).argmax(),
                                                            -1 - axis])
        assert np.allclose(places[:, axis], (x - x.mean(0)) @ direction)
    assert np.isclose(share, values[-2:].sum() / values.sum())
    assert np.allclose(principal_components(x[:1])[0], 0)


@pytest.mark.parametrize("model", [bert(WORDS), gpt(WORDS)], ids=["bert", "gpt"])
def test_a_word_in_two_contexts_starts_as_one_point_and_parts(model):
    data = data_of(add_map, model, WORDS, TEXT, None, against=OTHER)
    part, page = find_view(data, "map")["models"][0], encoded(data)
    places, cosines = (array_in(page, f"m0.map.{name}") for name in ("streams", "cosines"))
    T = len(data["models"][0]["ids"])
    assert places.shape == (3, 2 * T, 2) and len(part["tokens"]) == 2 * T
    first, second = (make_subject("", model, WORDS, text) for text in (TEXT, OTHER))
    assert {part["tokens"][i] for i, _ in part["pairs"]} == {"the", "is", "."}
    for (i, j), of_pair in zip(part["pairs"], cosines):
        assert j == i + T and np.allclose(places[0, i], places[0, j], atol=1e-5)
        for layer, (a, b) in enumerate(zip(streams_of(first)[:, i], streams_of(second)[:, i])):
            assert np.isclose(of_pair[layer], a @ b / np.sqrt(a @ a * (b @ b)), atol=1e-5)
    assert np.allclose(cosines[:, 0], 1, atol=1e-5) and cosines[0, -1] < 0.999
    assert list(cosines[:, -1]) == sorted(cosines[:, -1])
    x = np.concatenate([streams_of(first), streams_of(second)], axis=1)
    x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    distance = np.linalg.norm(places[2, 1] - places[2, 2])
    assert distance <= np.linalg.norm(x[2, 1] - x[2, 2]) * 1.001  # a projection shortens


def test_streams_end_with_what_the_head_reads():
    subject = make_subject("", bert(WORDS), WORDS, TEXT)
    outputs = subject.model.bert.eval()(np.array([subject.ids]))
    assert np.allclose(streams_of(subject)[-1], outputs.last_hidden_state.data[0], atol=1e-5)


def test_word_vectors_are_the_texts_own_and_their_neighbours():
    data = data_of(add_map, gpt(WORDS), WORDS, TEXT, None)
    part = find_view(data, "map")["models"][0]
    assert set(part["words"][:part["own"]]) == {"[SEP]", "the", "bank", "is", "muddy", "."}
    assert not set(part["words"][part["own"]:]) & {*SPECIALS, "the"}
    assert data["arrays"]["m0.map.words"]["array"].shape == (len(part["words"]), 2)
    assert part["pairs"] == [] and find_view(data, "map")["tables"] == []


def test_shapes_are_the_oracles_topics_or_the_reason_stands_there():
    words = mb.BertTokenizer([*SPECIALS, *ToyWorld().words])
    oracle, model = find_oracle(words), gpt(words)
    data = data_of(add_map, model, words, "near the muddy bank", oracle)
    topics = array_in(encoded(data), "m0.map.topics")
    assert np.allclose(topics[-1], [1, 0, 0, 0]) and np.allclose(topics[0], 0)
    data = data_of(add_map, model, words, "the the bank", oracle)
    assert "probability 0" in find_view(data, "map")["models"][0]["note"]
