"""The lens as a view, and the oracle's answers: against loops over the definitions."""

import numpy as np
import pytest
from tests.look.small_pages import SPECIALS, array_in, bert, data_of, gpt, tokenizer

import minibert as mb
from minibert.data.corpora import toy_corpus
from minibert.errors import InputError
from minibert.generation.sampling import probabilities
from minibert.look.causes import mean_of_heads
from minibert.look.causes_view import add_causes
from minibert.look.data import encoded, find_view
from minibert.look.lens import add_lens
from minibert.look.subject import make_subject
from minibert.look.truth import (find_oracle, held_out_inputs, next_words, topics,
                                 words_that_matter)
from minibert.toy_world.grammar import ToyWorld

TEXT = "near the muddy bank lies the"
PAIR = ("the bank is muddy . she drinks tea .", "he rows that [MASK] . the river is muddy .")


@pytest.fixture(scope="module")
def words():
    return mb.BertTokenizer([*SPECIALS, *ToyWorld().words])


@pytest.fixture(scope="module")
def oracle(words):
    return find_oracle(words)


@pytest.fixture(scope="module")
def writer(words):
    return make_subject("GPT", gpt(words), words, TEXT, target="boat", instead="net")


@pytest.fixture(scope="module")
def reader(words):
    return make_subject("BERT", bert(words), words, *PAIR, target="boat")


def test_each_cell_is_the_best_word_and_its_rank_counts_the_better_ones(words, writer, oracle):
    data = data_of(add_lens, writer.model, words, TEXT, oracle, target="boat", instead="net")
    part, page = find_view(data, "lens")["models"][0], encoded(data)
    assert part["places"] == ["embeddings", "attention 0", "MLP 0", "attention 1", "MLP 1",
                              "oracle"]
    ids, p, watched, watched_p, ranks, kl = [array_in(page, f"m0.lens.{name}") for name in (
        "ids", "p", "watched", "watched_p", "ranks", "kl")]
    logits = mb.logit_lens(writer.model, writer.cache)
    best = next_words(oracle, writer)
    assert np.array_equal(logits[-1], writer.outputs.logits.data[0])
    for t in range(len(writer.ids)):
        for i in range(6):
            own = best[t] if i == 5 else probabilities(logits[i, t][None])[0]
            assert ids[i, t, 0] == own.argmax() and np.isclose(p[i, t, 0], own.max(), rtol=1e-5)
            for k, w in enumerate(watched[t].astype(int)):
                assert ranks[i, t, k] == 1 + (own > own[w]).sum()
                assert np.isclose(watched_p[i, t, k], own[w], atol=1e-6)
            if i < 5:
                expected = sum(b * np.log(b / q) for b, q in zip(best[t], own) if b > 0)
                assert np.isclose(kl[i, t], expected, rtol=1e-4, atol=1e-6)
            assert int(ids[i, t, 0]) in watched[t] or len(set(watched[t])) == 8
    assert list(watched[-1][:2]) == [writer.target.id, writer.target.instead]
    rows = find_view(data, "lens")["tables"][0]["rows"]
    assert rows[0][-1] == "KL to the oracle" and rows[-1][:2] == ["oracle", "bass"]


def test_a_text_that_the_world_cannot_write_has_the_reason_instead(words, oracle):
    def part(model, words, text, oracle=oracle):
        return find_view(data_of(add_lens, model, words, text, oracle), "lens")["models"][0]

    found = part(gpt(words), words, "the the bank")
    assert found["places"][-1] == "MLP 1" and "probability 0 in the toy world" in found["note"]
    assert "expected [CLS] A [SEP] B [SEP]" in part(bert(words), words, TEXT)["note"]
    other = tokenizer()
    assert find_oracle(other) is None
    found = part(gpt(other), other, "the bank", None)
    assert found["note"] == "" and found["places"][-1] == "MLP 1"
    assert "no head" in part(bert(other, mb.BertModel), other, "the bank", None)["note"]


def joint(oracle, ids):
    """p of a text after its first token, as a product of next words."""
    p = oracle.next_token_distribution(ids)
    return np.prod([p[:, t, :][np.arange(len(ids)), ids[:, t + 1]]
                    for t in range(ids.shape[1] - 1)], axis=0)


@pytest.mark.parametrize("instead", [None, "coin"])
def test_what_a_word_adds_is_the_loss_of_log_p_without_it(words, oracle, writer, instead):
    subject = make_subject("GPT", writer.model, words, TEXT, target="boat", instead=instead) \
        if instead is None else make_subject("GPT", writer.model, words, "near the bank lies the",
                                             target="boat", instead=instead)
    added = words_that_matter(oracle, subject)
    V, T = len(words), len(subject.ids)
    best = oracle.next_token_distribution(np.array([subject.ids]))[0, -1]
    for place in range(1, T):
        ids = np.repeat([subject.ids], V, axis=0)
        ids[:, place] = np.arange(V)
        ids = ids[[possible(oracle, row) for row in ids]]
        weights = joint(oracle, ids)
        p = weights @ oracle.next_token_distribution(ids)[:, -1] / weights.sum()
        expected = np.log(best[subject.target.id] / p[subject.target.id])
        if instead is not None:
            expected -= np.log(best[subject.target.instead] / p[subject.target.instead])
        assert np.isclose(added[place], expected, atol=1e-9), subject.tokens[place]
    assert np.isnan(added[0]) or not subject.special[0]
    if instead is None:
        assert np.isclose(added[3], np.log(2)) and abs(added[[1, 2, 4, 5]]).max() < 1e-9


def possible(oracle, ids):
    try:
        oracle.next_token_distribution(ids[None])
        return True
    except InputError:
        return False


def test_a_target_that_the_world_never_writes_is_refused(words, oracle, writer):
    with pytest.raises(InputError, match="never writes the target"):
        words_that_matter(oracle, make_subject("GPT", writer.model, words, TEXT, target="the"))


def test_what_a_word_of_a_pair_adds_is_found_by_masking_it(oracle, reader):
    added = words_that_matter(oracle, reader)
    place, position = reader.tokens.index("rows"), reader.target.position
    ids, types = np.array([reader.ids]), np.array([reader.types])
    p = []
    for shown in (ids, np.where(np.arange(ids.size) == place, oracle.mask_id, ids)):
        p.append(oracle.pair_distributions(shown, types, np.ones_like(ids), [position])[0][0])
    chosen = reader.target.id
    assert np.isclose(added[place], np.log(p[0][chosen] / p[1][chosen])) and added[place] > 0.5
    assert np.isnan(added[[0, -1]]).all()


def test_the_topic_of_a_bank_is_known_from_its_quality(oracle, writer):
    found = topics(oracle, writer)
    assert np.allclose(found[1], 0.25) and np.allclose(found[4], [1, 0, 0, 0])


@pytest.mark.parametrize("kind", ["writer", "reader"])
def test_a_heads_mean_is_over_the_held_out_part_where_there_is_a_world(kind, request, words,
                                                                        oracle):
    subject = request.getfixturevalue(kind)
    corpus = toy_corpus(10)  # as pretrain reads it, but for the training part
    inputs = held_out_inputs(subject)
    held_out = {" ".join(sentences[:2]) for sentences in corpus.held_out_documents}
    rows = [[words.convert_ids_to_tokens(int(i)) for i, kept in zip(*row) if kept]
            for row in zip(inputs["input_ids"], inputs["attention_mask"])]
    assert len(rows) > 50
    for row in rows:
        assert " ".join([token for token in row if token not in SPECIALS]) in held_out
        assert row.count("[SEP]") == (1 if kind == "writer" else 2)
    if kind == "reader":
        assert inputs["token_type_ids"].any()
    data = data_of(add_causes, subject.model, words, TEXT, oracle, False)
    ids = data["models"][0]["ids"]
    means = mean_of_heads(subject.model, inputs.pop("input_ids"), **inputs)
    target = data["models"][0]["target"]
    expected = mb.ablate(subject.model, ids, "all", means,
                         target=(target["position"], target["id"]))
    np.testing.assert_allclose(array_in(encoded(data), "m0.causes.mean"), expected, atol=1e-5)
    [table] = [one for one in find_view(data, "causes")["tables"] if "replaced" in one["caption"]]
    assert table["rows"][0][-1] == "its mean over held-out texts"
