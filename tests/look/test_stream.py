"""The stream: lengths and cosines against loops; a GPT's parts add up to its logit."""

import numpy as np
import pytest
from tests.look.small_pages import bert, data_of, gpt, tokenizer

from minibert.look import streams
from minibert.look.causes import target_values
from minibert.look.subject import make_subject

WORDS = tokenizer()


@pytest.fixture(scope="module", params=["bert", "gpt"])
def subject(request):
    model = bert(WORDS) if request.param == "bert" else gpt(WORDS)
    return make_subject(request.param, model, WORDS, "the bank is muddy .")


def test_lengths_and_cosines_are_those_of_the_vectors_that_are_added(subject):
    norms, cosines = streams.lengths_and_cosines(subject)
    for layer in range(2):
        for t in range(len(subject.ids)):
            before, attention, middle, mlp, after = [subject.cache[name, layer][0, t]
                                                     for name in streams.PLACES]
            lengths = [np.linalg.norm(x) for x in (before, attention, middle, mlp, after)]
            assert np.allclose(norms[:, layer, t], lengths, rtol=1e-5)
            enters = middle if subject.causal else subject.cache["ln1.normalized", layer][0, t]
            assert np.allclose(enters + mlp, after, atol=1e-5)
            for branch, (a, b) in enumerate([(attention, before), (mlp, enters)]):
                expected = a @ b / np.sqrt(a @ a) / np.sqrt(b @ b)
                assert np.isclose(cosines[branch, layer, t], expected, atol=1e-5)


@pytest.mark.parametrize("instead, most", [(None, 40), ("muddy", 40), (None, 3)])
def test_the_parts_add_up_to_the_logit_and_heads_are_merged_where_they_are_many(
        monkeypatch, instead, most):
    monkeypatch.setattr(streams, "MOST_PARTS", most)
    subject = make_subject("GPT", gpt(WORDS), WORDS, "the bank is", target="deep", instead=instead)
    parts = streams.logit_parts(subject)
    value = float(target_values(subject.outputs, subject.target.indices).data[0])
    assert abs(sum([x for _, x in parts]) - value) < 1e-4
    names = [name for name, _ in parts]
    layer = ["L0H0", "L0H1", "L0H2", "L0 bias"] if most == 40 else ["L0 attention"]
    assert names[:3 + len(layer)] == ["embed", "pos_embed", *layer, "L0 MLP"]


def test_a_berts_logit_is_no_sum():
    subject = make_subject("BERT", bert(WORDS), WORDS, "the bank is muddy .")
    assert streams.logit_parts(subject) == []
    tables = stream_view(data_of(streams.add_stream, bert(WORDS), WORDS, "the bank ."))["tables"]
    assert len(tables) == 1 and len(tables[0]["rows"]) == 3


def stream_view(data):
    return next(view for view in data["views"] if view["name"] == "stream")


def test_a_gpts_bars_are_in_the_page_and_in_its_tables():
    view = stream_view(data_of(streams.add_stream, gpt(WORDS), WORDS, "the bank is"))
    rows = view["tables"][1]["rows"]
    assert [row[0] for row in rows[1:-1]] == [name for name, _ in view["parts"][0]]
    assert rows[-1][0] == "sum"
