"""Whole models under gradcheck, and no parameter that the loss does not reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.small_models import (BART_CLASSES, CLASSES, T, V, batch, each_variant, gradients,
                                       small, weighted_sum)

import minibert as mb


@each_variant(CLASSES)
@settings(max_examples=1)
@given(seed=st.integers(0, 2**32 - 1), reference=st.booleans())
def test_gradcheck(model_class, variant, seed, reference):
    model = small(model_class, seed, variant)
    inputs = batch(model_class, seed, variant=variant)
    inputs["attention_mask"] = (np.arange(T) < np.array([[T], [3], [5]])).astype(int)

    def loss():
        return weighted_sum(model(**inputs, rng=np.random.default_rng(seed)))

    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if reference:
        with mb.reference():
            mb.gradcheck_parameters(loss, parameters, coordinates=2, seed=seed)
    else:
        mb.gradcheck_parameters(loss, parameters, coordinates=2, seed=seed)


def losses(model, rng):
    """A training loss with labels everywhere."""
    inputs = batch(type(model))
    if isinstance(model, (mb.BertModel, mb.GPT2Model, mb.BartModel)):
        return weighted_sum(model(**inputs))
    if isinstance(model, mb.BertForQuestionAnswering):
        return model(**inputs, start_positions=np.array([1, 2, 6]),
                     end_positions=np.array([1, 4, 5])).loss
    if isinstance(model, (mb.BertForNextSentencePrediction, mb.BertForSequenceClassification,
                          mb.GPT2ForSequenceClassification)):
        return model(**inputs, labels=np.array([0, 1, 1])).loss
    classes = 2 if isinstance(model, mb.BertForTokenClassification) else V
    inputs["labels"] = rng.integers(0, classes, inputs["input_ids"].shape)
    if isinstance(model, mb.BertForPreTraining):
        inputs["next_sentence_label"] = np.array([0, 1, 1])
    return model(**inputs).loss


@pytest.mark.parametrize("model_class", CLASSES)
def test_every_parameter_has_a_gradient_but_the_key_bias(model_class):
    model = small(model_class)
    found = gradients(model, losses(model, np.random.default_rng(0)))
    scale = max(abs(gradient).max() for gradient in found.values())
    inputs = batch(model_class)
    used = np.unique([inputs["input_ids"], inputs.get("decoder_input_ids", inputs["input_ids"])])
    tied = model_class in (mb.BertForPreTraining, mb.BertForMaskedLM, mb.GPT2LMHeadModel,
                           mb.BartForConditionalGeneration, mb.DistilBertForMaskedLM)
    first = 2 if model_class in BART_CLASSES else model.config.first_position  # its row
    tokens = T - 1 if model_class is mb.GPT2LMHeadModel else T  # its last token predicts nothing
    for name, gradient in found.items():
        if name.endswith("qkv.bias"):
            query, key, value = np.split(gradient, 3)
            assert abs(key).max() < 1e-14 * scale, name
            assert (query != 0).all() and (value != 0).all(), name
        elif model_class is mb.BertForQuestionAnswering and name in (
                "qa_outputs.bias", "bert.stack.blocks.1.feed_forward_norm.bias"):
            # what shifts all tokens alike: the softmax over them is blind to it
            assert abs(gradient).max() < 1e-14 * scale, name
        elif name.endswith("position_embeddings.weight"):
            rows = np.arange(len(gradient)) - first
            seen = (rows >= 0) & (rows < tokens)
            assert (gradient[seen] != 0).all() and (gradient[~seen] == 0).all(), name
        elif name == "final_logits_bias":
            assert (gradient == 0).all()  # not trained, as in Hugging Face
        elif name.endswith("word_embeddings.weight"):
            assert (gradient[slice(None) if tied else used] != 0).all(), name
        else:
            assert (gradient != 0).all(), name


def test_freezing_the_embedding_freezes_the_tied_decoder():
    model = small(mb.BertForMaskedLM)
    model.freeze("bert.embeddings.*")
    losses(model, np.random.default_rng(0)).backward()
    assert model.mlm_head.decoder.grad is None
    assert model.mlm_head.bias.grad is not None
