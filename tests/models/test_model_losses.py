"""The losses: full logits against the scored tokens only, sums against means, the shift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.small_models import (B, C, T, V, assert_equal_gradients, batch, bert_config,
                                       gpt2_config, gradients, small)

import minibert as mb

SEEDS = st.integers(0, 2**32 - 1)


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def pretraining_batch(seed):
    rng = np.random.default_rng(seed)
    inputs = batch(mb.BertForPreTraining, seed)
    mask = (np.arange(T) < np.array([[T], [4], [5]])).astype(int)
    chosen = (rng.random((B, T)) < 0.4) & (mask == 1)
    chosen[0, 1] = True
    labels = np.where(chosen, rng.integers(0, V, (B, T)), -100)
    return inputs, mask, labels, rng.integers(0, 2, B)


@given(seed=SEEDS, tied=st.booleans(), norm_first=st.booleans(), p=st.sampled_from([0.0, 0.2]))
def test_scored_tokens_only_equal_the_full_logits(seed, tied, norm_first, p):
    model = small(mb.BertForPreTraining, seed, tie_word_embeddings=tied, norm_first=norm_first,
                  hidden_dropout_prob=p, attention_probs_dropout_prob=p)
    inputs, mask, labels, pairs = pretraining_batch(seed)
    full = model(**inputs, attention_mask=mask, labels=labels, next_sentence_label=pairs,
                 rng=np.random.default_rng(1)).loss
    expected = gradients(model, full)
    positions = np.flatnonzero(labels.ravel() != -100)
    losses = model.pretraining_losses(
        inputs["input_ids"], mask, inputs["token_type_ids"], positions, labels.ravel()[positions],
        pairs, rng=np.random.default_rng(1))
    loss = losses.mlm_loss / len(positions) + losses.nsp_loss / B
    np.testing.assert_allclose(loss.item(), full.item(), rtol=1e-13)
    assert_equal_gradients(gradients(model, loss), expected)


def test_the_losses_are_what_the_logits_say():
    model = small(mb.BertForPreTraining).eval()
    inputs, mask, labels, pairs = pretraining_batch(0)
    output = model(**inputs, attention_mask=mask, labels=labels, next_sentence_label=pairs)
    scored = labels != -100
    words = -log_softmax(output.prediction_logits.data)[scored, labels[scored]]
    pair = -log_softmax(output.seq_relationship_logits.data)[np.arange(B), pairs]
    np.testing.assert_allclose(output.loss.item(), words.mean() + pair.mean(), rtol=1e-13)
    only_words = model(**inputs, attention_mask=mask, labels=labels)
    np.testing.assert_allclose(only_words.loss.item(), words.mean(), rtol=1e-13)
    assert model(**inputs).loss is None

    positions = np.flatnonzero(scored)
    arguments = (inputs["input_ids"], mask, inputs["token_type_ids"], positions,
                 labels.ravel()[positions], pairs)
    sums = [words.sum(), pair.sum()]
    losses = model.pretraining_losses(*arguments)
    assert losses.mlm_logits is None  # they became their own gradient
    np.testing.assert_allclose([losses.mlm_loss.item(), losses.nsp_loss.item()], sums)
    with mb.no_grad():
        losses = model.pretraining_losses(*arguments)
    np.testing.assert_allclose([losses.mlm_loss.item(), losses.nsp_loss.item()], sums)
    for ours, theirs in ((losses.mlm_logits, output.prediction_logits.data[scored]),
                         (losses.nsp_logits, output.seq_relationship_logits.data)):
        np.testing.assert_allclose(ours.data, theirs, atol=1e-12)


def test_a_batch_without_a_gap_costs_nothing():
    model = small(mb.BertForPreTraining)
    ids = batch(mb.BertForPreTraining)["input_ids"]
    nothing = np.array([], dtype=np.int64)
    losses = model.pretraining_losses(ids, None, None, nothing, nothing, None)
    assert losses.mlm_loss.item() == 0.0 and losses.nsp_loss is losses.nsp_logits is None
    assert all((gradient == 0).all() for gradient in gradients(model, losses.mlm_loss).values())


def test_masked_lm_and_next_sentence_have_the_same_losses():
    inputs, mask, labels, pairs = pretraining_batch(3)
    both = small(mb.BertForPreTraining)
    state = both.state_dict()
    words, pair = mb.BertForMaskedLM(bert_config()), mb.BertForNextSentencePrediction(bert_config())
    for model in (words, pair):
        model.double().load_state_dict({name: state[name] for name in model.state_dict()})
    expected = both(**inputs, attention_mask=mask, labels=labels, next_sentence_label=pairs).loss
    ours = (words(**inputs, attention_mask=mask, labels=labels).loss
            + pair(**inputs, attention_mask=mask, labels=pairs).loss)
    np.testing.assert_allclose(ours.item(), expected.item(), rtol=1e-13)


@given(seed=SEEDS, tied=st.booleans(), p=st.sampled_from([0.0, 0.2]))
def test_next_token_loss_equals_the_full_logits(seed, tied, p):
    model = small(mb.GPT2LMHeadModel, seed, tie_word_embeddings=tied, embd_pdrop=p, resid_pdrop=p,
                  attn_pdrop=p)
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random((B, T)) < 0.7, rng.integers(0, V, (B, T)), -100)
    labels[0, 1] = 3
    ids = batch(mb.GPT2LMHeadModel, seed)["input_ids"]
    full = model(ids, labels=labels, rng=np.random.default_rng(1)).loss
    expected = gradients(model, full)
    targets = np.concatenate([labels[:, 1:], np.full((B, 1), -100)], axis=1)
    loss = model.next_token_loss(ids, targets, rng=np.random.default_rng(1))
    loss = loss / int((targets != -100).sum())
    np.testing.assert_allclose(loss.item(), full.item(), rtol=1e-13)
    assert_equal_gradients(gradients(model, loss), expected)


def test_the_logits_at_t_are_held_against_the_token_after():
    model = small(mb.GPT2LMHeadModel)
    ids = batch(mb.GPT2LMHeadModel)["input_ids"]
    output = model(ids, labels=ids)
    log_probabilities = log_softmax(output.logits.data)
    losses = [-log_probabilities[b, t, ids[b, t + 1]] for b in range(B) for t in range(T - 1)]
    np.testing.assert_allclose(output.loss.item(), np.mean(losses), rtol=1e-13)


@pytest.mark.parametrize("model", [mb.BertForMaskedLM(bert_config()),
                                   mb.GPT2LMHeadModel(gpt2_config())])
def test_an_untrained_model_knows_nothing(model):
    rng = np.random.default_rng(0)
    ids, labels = rng.integers(0, V, (2, 50, 8))
    assert abs(model(ids, labels=labels).loss.item() - np.log(V)) < 0.05


def test_a_trace_of_the_training_losses_starts_at_the_model():
    gpt, bert = small(mb.GPT2LMHeadModel), small(mb.BertForPreTraining)
    ids = np.arange(8).reshape(2, 4)
    with mb.trace() as seen:
        gpt.next_token_loss(ids, ids)
        bert.pretraining_losses(ids, None, None, np.array([1, 6]), np.array([2, 3]),
                                np.array([0, 1]))
    modules = [record.module for record in seen.records]
    assert modules[0] == "transformer.embeddings.word_embeddings"
    assert "GPT2LMHeadModel" in modules  # the loss itself
    assert "bert.stack.blocks.0.attention.qkv" in modules
    assert modules.count("mlm_head") >= 1 and "mlm_head.dense" in modules
    assert "nsp_head" in modules


@pytest.mark.parametrize("model_class", [mb.BertForMaskedLM, mb.BertForPreTraining])
def test_the_masked_lm_head_has_the_activation_of_the_config(model_class):
    head = small(model_class, hidden_act="relu").mlm_head
    x = np.random.default_rng(1).normal(size=(4, C))
    positive = np.maximum(x @ head.dense.weight.data.T + head.dense.bias.data, 0)
    expected = (positive - positive.mean(1, keepdims=True)) / np.sqrt(
        positive.var(1, keepdims=True) + 1e-5) * head.norm.weight.data + head.norm.bias.data
    np.testing.assert_allclose(head.transform(mb.Tensor(x)).data, expected, atol=1e-12)
