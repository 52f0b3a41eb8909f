"""A text read piece by piece, with a cache, is computed as if it were read at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.small_models import T, V, each_variant, small

import minibert as mb
from minibert.errors import InputError
from minibert.nn.kv_cache import KeyValueCache

SEEDS = st.integers(0, 2**32 - 1)
EXACT = dict(rtol=0, atol=1e-12)


def texts(seed, rows=3, tokens=T):
    return np.random.default_rng(seed).integers(0, V, (rows, tokens))


def in_pieces(model, ids, cuts, **arguments):
    """The outputs of ids[:, a:b] for each stretch between the cuts, with one cache."""
    cache = KeyValueCache(len(ids), ids.shape[1])
    edges = [0, *cuts, ids.shape[1]]
    with mb.no_grad():
        return [model(ids[:, a:b], past_key_values=cache, **arguments)
                for a, b in zip(edges, edges[1:])]


@pytest.mark.parametrize("implementation", ["fused", "reference"])
@each_variant([mb.GPT2LMHeadModel])
@settings(max_examples=4)
@given(seed=SEEDS, cuts=st.sets(st.integers(1, T - 1)))
def test_every_way_of_cutting_equals_the_full_forward(implementation, model_class, variant, seed,
                                                      cuts):
    model, ids = small(model_class, seed, variant).eval(), texts(seed)
    asked = dict(output_hidden_states=True, output_attentions=True)
    whole = model(ids, **asked)
    if implementation == "reference":
        with mb.reference():
            parts = in_pieces(model, ids, sorted(cuts), **asked)
    else:
        parts = in_pieces(model, ids, sorted(cuts), **asked)
    np.testing.assert_allclose(np.concatenate([part.logits.data for part in parts], axis=1),
                               whole.logits.data, **EXACT)
    for i, state in enumerate(whole.hidden_states):
        pieces = [part.hidden_states[i].data for part in parts]
        np.testing.assert_allclose(np.concatenate(pieces, axis=1), state.data, **EXACT)
    begin = 0
    for part in parts:
        for ours, theirs in zip(part.attentions, whole.attentions):
            queries, keys = ours.shape[2:]
            np.testing.assert_allclose(
                ours.data, theirs.data[:, :, begin:begin + queries, :keys], **EXACT)
        begin += queries


@each_variant([mb.GPT2LMHeadModel])
@settings(max_examples=4)
@given(seed=SEEDS, lengths=st.lists(st.integers(1, 4), min_size=3, max_size=3), left=st.booleans())
def test_rows_of_different_lengths_go_on_as_if_each_were_alone(model_class, variant, seed, lengths,
                                                               left):
    model, ids = small(model_class, seed, variant).eval(), texts(seed, tokens=9)
    width = max(lengths)
    rng, prompt = np.random.default_rng(seed), np.zeros((3, width), int)
    mask = np.zeros((3, width), int)
    for b, n in enumerate(lengths):
        places = slice(width - n, None) if left else slice(n)
        prompt[b, places], mask[b, places] = ids[b, :n], 1
    runs = []
    for filling in rng.integers(0, V, (2, 3, width)):  # what padding says matters to nobody
        cache = KeyValueCache(3, 9)
        with mb.no_grad():
            first = model(np.where(mask, prompt, filling), mask, past_key_values=cache).logits.data
            steps = [model(np.array([[ids[b, n + i]] for b, n in enumerate(lengths)]),
                           past_key_values=cache).logits.data[:, 0] for i in range(3)]
        runs.append((first[mask == 1], *steps))
    for one, other in zip(*runs):
        assert np.array_equal(one, other)
    for b, n in enumerate(lengths):
        alone = model(ids[b:b + 1, :n + 3]).logits.data[0]
        np.testing.assert_allclose(first[b, mask[b] == 1], alone[:n], **EXACT)
        np.testing.assert_allclose([step[b] for step in steps], alone[n:], **EXACT)


@given(seed=SEEDS, rows=st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_reordered_rows_go_on_with_their_own_past(seed, rows):
    model, ids = small(mb.GPT2LMHeadModel, seed), texts(seed)
    cache, half = KeyValueCache(3, T), T // 2
    with mb.no_grad():
        model(ids[:, :half], past_key_values=cache)
        cache.reorder(np.array(rows))
        rest = model(ids[:, half:], past_key_values=cache).logits.data
    mixed = np.concatenate([ids[rows, :half], ids[:, half:]], axis=1)
    np.testing.assert_allclose(rest, model(mixed).logits.data[:, half:], **EXACT)


def test_float32_stays_float32_and_embeddings_may_stand_for_ids():
    model, ids = small(mb.GPT2LMHeadModel).float(), texts(1)
    whole = model(ids).logits.data
    words = model.transformer.embeddings.word_embeddings(ids).data
    cache = KeyValueCache(3, T)
    with mb.no_grad():
        model(ids[:, :3], past_key_values=cache)
        rest = model(inputs_embeds=words[:, 3:], past_key_values=cache).logits.data
    assert rest.dtype == np.float32
    np.testing.assert_allclose(rest, whole[:, 3:], rtol=0, atol=1e-4)


def test_the_logits_of_the_last_tokens_only():
    model, ids = small(mb.GPT2LMHeadModel), texts(2)
    whole = model(ids).logits.data
    for n in (1, 3, T):
        np.testing.assert_allclose(model(ids, logits_to_keep=n).logits.data, whole[:, -n:], **EXACT)


def test_positions_that_are_given_hold():
    model, ids = small(mb.GPT2LMHeadModel), texts(3)
    places = np.array([8, 1, 5, 0, 2, 3, 7])[None]
    whole = model(ids, position_ids=places).logits.data
    cache = KeyValueCache(3, T)
    with mb.no_grad():
        parts = [model(ids[:, a:b], position_ids=places[:, a:b], past_key_values=cache).logits.data
                 for a, b in ((0, 4), (4, T))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, **EXACT)


def test_a_call_that_fails_leaves_the_cache_as_it_was():
    model, ids = small(mb.GPT2LMHeadModel), texts(4, tokens=5)
    cache = KeyValueCache(3, 20)
    with mb.no_grad():
        whole = model(ids).logits.data
        model(ids[:, :4], past_key_values=cache)
        with pytest.raises(InputError, match="position_ids: 99"):
            model(ids[:, 4:], position_ids=np.full((3, 1), 99), past_key_values=cache)
        last = model(ids[:, 4:], past_key_values=cache).logits.data
    assert cache.lengths.tolist() == [5, 5, 5]
    np.testing.assert_allclose(last, whole[:, 4:], **EXACT)


def test_rows_may_grow_by_turns_to_the_last_position():
    model, ids = small(mb.GPT2LMHeadModel), texts(4, tokens=9)
    cache, first = KeyValueCache(3, 9), np.array([[1] * 6, [0] * 5 + [1], [1] * 6])
    with mb.no_grad():
        model(ids[:, :6], first, past_key_values=cache)
        model(ids[:, :6], np.array([[0] * 5 + [1], [1] * 6, [0] * 5 + [1]]), past_key_values=cache)
    assert cache.lengths.tolist() == [7, 7, 7]  # 6 and 6 would be 12 of the 9 positions


def test_one_token_more_than_positions_names_both_numbers():
    model, ids = small(mb.GPT2LMHeadModel), texts(4, tokens=9)
    cache = KeyValueCache(3, 20)
    with mb.no_grad():
        model(ids, past_key_values=cache)
        with pytest.raises(InputError, match="10 tokens are more than the 9 positions"):
            model(ids[:, :1], past_key_values=cache)
        with pytest.raises(InputError, match="10 tokens are more than the 8 that there is room"):
            cache = KeyValueCache(3, 8)
            model(ids[:, :8], past_key_values=cache)
            cache.begin(np.ones((3, 2), bool))
        with pytest.raises(InputError, match=r"attention_mask: got shape \(3, 9\)"):
            model(ids[:, :1], np.ones((3, 9), int), past_key_values=KeyValueCache(3, 9))
    with pytest.raises(InputError, match="no_grad"):
        model(ids, past_key_values=KeyValueCache(3, 9))
