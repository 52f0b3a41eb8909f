"""The laws of an encoder-decoder: what the decoder sees, padding on either side, decoding with a
cache that keeps the encoder's keys and values, the loss of a training step."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.small_models import (PAD, B, C, T, V, assert_equal_gradients, batch, bart_config,
                                       each_variant, gradients, small, tensors_of)

import minibert as mb
from minibert.errors import InputError
from minibert.models.bart import shift_tokens_right
from minibert.nn.block import AttentionInputs, BlockConfig, TransformerBlock
from minibert.nn.kv_cache import KeyValueCache

BART = mb.BartForConditionalGeneration
SEEDS = st.integers(0, 2**32 - 1)
EXACT = dict(rtol=0, atol=1e-12)
one = settings(max_examples=1)  # for each of the variants


def texts(seed, rows=B, tokens=T):
    return np.random.default_rng(seed).integers(0, PAD, (rows, tokens))


@each_variant([BART])
@one
@given(seed=SEEDS, place=st.integers(1, T - 1))
def test_a_later_token_of_the_decoder_never_changes_an_earlier_output(model_class, variant, seed,
                                                                      place):
    model, inputs = small(BART, seed, variant), batch(BART, seed)
    changed = {name: ids.copy() for name, ids in inputs.items()}
    changed["decoder_input_ids"][:, place:] += 1
    changed["decoder_input_ids"] %= PAD
    before, after = [tensors_of(model(**ids, output_hidden_states=True,
                                      rng=np.random.default_rng(seed)))
                     for ids in (inputs, changed)]
    for name, tensor in before.items():
        other = after[name].data
        if name.startswith("encoder"):
            np.testing.assert_array_equal(tensor.data, other, err_msg=name)
        else:
            np.testing.assert_array_equal(tensor.data[:, :place], other[:, :place], err_msg=name)
            assert (tensor.data[:, place] != other[:, place]).any(), name


@pytest.mark.parametrize("place", [0, 3])
def test_each_output_of_the_decoder_depends_on_every_token_of_the_encoder(place):
    model, rng = small(BART), np.random.default_rng(1)
    x, y = [mb.Tensor(rng.normal(size=(B, T, C)), requires_grad=True) for _ in "xy"]
    output = model(inputs_embeds=x, decoder_inputs_embeds=y)
    (output.logits[:, place] * rng.normal(size=V)).sum().backward()
    assert (x.grad != 0).all()
    assert (y.grad[:, :place + 1] != 0).all() and (y.grad[:, place + 1:] == 0).all()


@each_variant([BART])
@one
@given(seed=SEEDS, left=st.booleans())
def test_padding_never_changes_a_real_token(model_class, variant, seed, left):
    model, rng, tokens = small(BART, seed, variant).eval(), np.random.default_rng(seed), T - 2
    real = slice(2, None) if left else slice(tokens)
    short, long = {}, {}
    for side in ("", "decoder_"):
        ids = texts(seed + bool(side), tokens=tokens)
        short[f"{side}input_ids"] = ids
        filling, mask, places = rng.integers(0, V, (B, T)), *np.zeros((2, B, T), int)
        filling[:, real], mask[:, real], places[:, real] = ids, 1, np.arange(tokens)
        long |= {f"{side}input_ids": filling, f"{side}attention_mask": mask,
                 f"{side}position_ids": places}
    alone = tensors_of(model(**short, output_hidden_states=True))
    padded = tensors_of(model(**long, output_hidden_states=True))
    for name, tensor in alone.items():
        np.testing.assert_allclose(padded[name].data[:, real], tensor.data, rtol=0, atol=1e-11,
                                   err_msg=name)


# ---- a cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize("decode_in", [nullcontext, mb.reference], ids=["fused", "reference"])
@each_variant([BART])
@one
@given(seed=SEEDS, cuts=st.sets(st.integers(1, T - 1), min_size=1))
def test_every_way_of_cutting_equals_the_full_forward(decode_in, model_class, variant, seed, cuts):
    model, ids, mask = small(BART, seed, variant).eval(), texts(seed), np.tri(B, T, T - B)
    asked = dict(output_hidden_states=True, output_attentions=True)
    whole = model(texts(seed + 1), mask, ids, **asked)
    cache, edges = KeyValueCache(B, T), [0, *sorted(cuts), T]
    with mb.no_grad(), decode_in():
        encoded = model.model.encode(texts(seed + 1), mask)
        for a, b in zip(edges, edges[1:]):
            part = model(attention_mask=mask, decoder_input_ids=ids[:, a:b],
                         encoder_outputs=encoded, past_key_values=cache, **asked)
            np.testing.assert_allclose(part.logits.data, whole.logits.data[:, a:b], **EXACT)
            for ours, theirs in zip(part.cross_attentions, whole.cross_attentions):
                np.testing.assert_allclose(ours.data, theirs.data[:, :, a:b], **EXACT)


def test_hidden_states_and_attentions_only_on_request():
    model, ids = small(BART).eval(), texts(0)
    encoded, outputs = model.model.encode(ids), model(ids)
    assert encoded.hidden_states is None and encoded.attentions is None
    for name in ("encoder_hidden_states", "encoder_attentions", "decoder_hidden_states",
                 "decoder_attentions", "cross_attentions"):
        assert getattr(outputs, name) is None, name


def test_the_encoders_keys_and_values_are_computed_once():
    model, ids = small(BART).eval(), texts(0)
    cache, products = KeyValueCache(B, T), []
    with mb.no_grad():
        encoded = model.model.encode(ids)
        for step in range(3):
            with mb.trace() as seen:
                model(decoder_input_ids=ids[:, step:step + 1], encoder_outputs=encoded,
                      past_key_values=cache)
            products.append(sum([record.op == "linear" and "cross_attention" in record.module
                                 for record in seen.records]))
    assert products == [6, 4, 4]  # of two blocks: queries and output, at first keys and values


def test_another_encoders_output_is_another_text():
    """Nothing stale is used, though the cache has keys and values of the one before."""
    attention = small(BART).model.decoder.stack.blocks[0].cross_attention
    x, first, second = [mb.Tensor(a) for a in np.random.default_rng(0).normal(size=(3, B, 4, C))]
    cached = AttentionInputs(cache=KeyValueCache(B, T))
    with mb.no_grad():
        for source in (first, second, second, first):
            np.testing.assert_array_equal(attention(x, cached, source).data,
                                          attention(x, AttentionInputs(), source).data)


# ---- the block -----------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
def test_cross_attention_stands_between_the_branches(norm_first):
    block = TransformerBlock(BlockConfig(C, 3, 7, norm_first=norm_first, cross_attention=True))
    rng = np.random.default_rng(0)
    for parameter in block.double().parameters():
        parameter.data = rng.normal(size=parameter.shape)
    x, source = [mb.Tensor(rng.normal(size=(2, n, C))) for n in (4, 5)]
    inputs = AttentionInputs(is_causal=True, encoder_hidden_states=source)
    y = x
    for branch, norm, arguments in (
            (block.attention, block.attention_norm, (inputs,)),
            (block.cross_attention, block.cross_attention_norm, (AttentionInputs(), source)),
            (block.feed_forward, block.feed_forward_norm, ())):
        y = y + branch(norm(y), *arguments) if norm_first else norm(y + branch(y, *arguments))
    np.testing.assert_allclose(block(x, inputs).data, y.data, **EXACT)
    with pytest.raises(InputError, match="reads an encoder's output"):
        block(x)
    block.dropout.p = block.attention_dropout.p = 0.5
    with mb.trace() as seen:
        block(x, replace(inputs, rng=rng))
    assert [record.op for record in seen.records].count("dropout") == 3  # on each branch


# ---- the loss ------------------------------------------------------------------------------------


def test_the_loss_of_a_training_step_is_that_of_the_forward():
    model, inputs = small(BART), batch(BART)
    mask, labels = np.tri(B, T, T - B), texts(3)
    labels[:, -2:] = -100
    loss = model(inputs["input_ids"], mask, labels=labels).loss
    both = [gradients(model, loss), gradients(
        model, model.target_loss(inputs["input_ids"], mask, labels) / (labels >= 0).sum())]
    assert_equal_gradients(*both)
    given = shift_tokens_right(labels, PAD, 0)
    assert given[0].tolist() == [0, *labels[0, :-2], PAD]
    same = model(inputs["input_ids"], mask, given, labels=labels)
    np.testing.assert_array_equal(same.loss.data, loss.data)


def test_the_bias_of_the_logits_is_added_and_not_trained():
    model, inputs = small(BART), batch(BART)
    before = model(**inputs).logits.data
    model.final_logits_bias.data = model.final_logits_bias.data + np.arange(V)
    np.testing.assert_allclose(model(**inputs).logits.data, before + np.arange(V), **EXACT)
    model.target_loss(inputs["input_ids"], None, texts(2)).backward()
    assert model.final_logits_bias.grad is None


# ---- bad input -----------------------------------------------------------------------------------


def refused(message, call, *arguments, **named):
    with pytest.raises(InputError, match=message) as error:
        call(*arguments, **named)
    assert "\n" not in str(error.value)


def test_inputs_that_do_not_go_together():
    model, ids = small(BART), texts(0)
    encoded = model.model.encode(ids)
    refused("pass either input_ids or inputs_embeds", model)
    refused("either decoder_input_ids or decoder_inputs_embeds", model, encoder_outputs=encoded)
    refused("either encoder_outputs or the encoder's inputs", model, ids, encoder_outputs=encoded)
    refused("2 rows of decoder_input_ids for 3", model, ids, decoder_input_ids=ids[:2])
    refused("decoder_input_ids: 17 is out of range", model, ids, None, np.full((B, T), V))
    refused(r"decoder_attention_mask: got shape \(3, 7\)", model, ids, None, ids[:, :5],
            np.ones((B, T)))
    refused(r"attention_mask: got shape \(3, 5\)", model, attention_mask=np.ones((B, 5)),
            encoder_outputs=encoded, decoder_input_ids=ids)
    refused("10 tokens are more than the 9 positions", model, ids, None, texts(0, 3, 10))
    refused("decoder_position_ids: 9 is out of range", model, ids,
            decoder_position_ids=np.full((B, T), 9))
    refused("labels: 17 is out of range", model, ids, labels=np.full((B, T), V))
    refused("labels: got shape", model.target_loss, ids, None, ids[0])
    refused("activation_dropout = 0.1 cannot be trained with", small(BART, activation_dropout=0.1),
            ids)
    small(BART, activation_dropout=0.1).eval()(ids)


@pytest.mark.parametrize("changes, message", [
    ({"encoder_attention_heads": 5}, "12 cannot be split into 5 heads"),
    ({"decoder_attention_heads": 5}, "12 cannot be split into 5 heads"),
    ({"tie_word_embeddings": False}, "tie_word_embeddings = False: only True"),
    ({"is_encoder_decoder": False}, "is_encoder_decoder = False: only True"),
    ({"activation_function": "swish"}, "'swish': expected one of"),
    ({"decoder_start_token_id": None}, "decoder_start_token_id = None"),
    ({"pad_token_id": V}, "padding_idx .pad_token_id. = 17")])
def test_an_impossible_config_is_refused(changes, message):
    refused(message, lambda: mb.BartModel(bart_config(**changes)))
