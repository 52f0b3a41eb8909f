"""RoBERTa and DistilBERT, where they are not BERT: positions, segments, dropout, folders.

Outputs and gradients are compared in test_parity.py, the laws hold in test_model_laws.py.
"""

import dataclasses

import numpy as np
import pytest
from tests.models.small_models import (V, batch, distilbert_config, roberta_config, small,
                                       tensors_of)

import minibert as mb
from minibert.checkpoints.safetensors import load_file
from minibert.errors import InputError
from minibert.models.architectures import DISTILBERT, ROBERTA, classes_of
from minibert.models.bert import token_positions

EVERY = [*classes_of(ROBERTA), *classes_of(DISTILBERT)]


def test_padding_does_not_count():
    ids = np.array([[5, 1, 6, 7], [1, 1, 8, 9]])
    assert token_positions(ids, 1).tolist() == [[2, 1, 3, 4], [1, 1, 2, 3]]


def test_padding_on_the_left_moves_nothing():
    model, ids = small(mb.RobertaForSequenceClassification, pad_token_id=1), np.array([[5, 6, 7]])
    padded, mask = np.array([[1, 1, 5, 6, 7]]), np.array([[0, 0, 1, 1, 1]])
    alone, beside = model.bert(ids), model.bert(padded, attention_mask=mask)
    np.testing.assert_allclose(beside.last_hidden_state.data[:, 2:], alone.last_hidden_state.data,
                               rtol=0, atol=1e-12)


def test_as_many_tokens_as_positions_after_padding():
    model = small(mb.RobertaForSequenceClassification, pad_token_id=1, max_position_embeddings=9)
    assert model.config.context_length == 7
    full = np.full((1, 7), 5)
    model(full), model(np.concatenate([full, [[1]]], axis=1))  # padding takes no position
    for given in ({"input_ids": np.full((1, 8), 5)}, {"inputs_embeds": np.zeros((1, 8, 12))}):
        with pytest.raises(InputError, match="8 tokens are more than the 7 positions"):
            model(**given)
    with pytest.raises(InputError, match="leaves no position after pad_token_id = 16"):
        roberta_config(max_position_embeddings=17)


@pytest.mark.parametrize("model_class, words", [
    (mb.DistilBertForMaskedLM, "type distilbert has no segments: leave token_type_ids out"),
    (mb.RobertaForSequenceClassification, "token_type_ids: 1 is out of range")])
def test_segments_that_a_model_does_not_have(model_class, words):
    with pytest.raises(InputError, match=words):
        small(model_class)(np.array([[3, 4]]), token_type_ids=np.array([[0, 1]]))


@pytest.mark.parametrize("model_class, changes, places", [
    (mb.DistilBertForMaskedLM, {"dropout": 0.5},
     ["bert.embeddings.dropout", *[f"bert.stack.blocks.{i}.dropout" for i in (0, 1)]]),
    (mb.DistilBertForSequenceClassification, {"seq_classif_dropout": 0.5}, ["classifier.dropout"]),
    (mb.DistilBertForTokenClassification, {"seq_classif_dropout": 0.5, "qa_dropout": 0.5}, []),
    (mb.DistilBertForQuestionAnswering, {"qa_dropout": 0.5}, ["dropout"]),
    (mb.RobertaForSequenceClassification, {"classifier_dropout": 0.5}, ["classifier.dropout"] * 2),
    (mb.RobertaForTokenClassification, {"classifier_dropout": 0.5}, ["dropout"]),
    (mb.RobertaForQuestionAnswering, {"classifier_dropout": 0.5}, [])])
def test_dropout_falls_where_it_falls_in_hugging_face(model_class, changes, places):
    with mb.trace() as seen:
        small(model_class, **changes)(**batch(model_class), rng=np.random.default_rng(0))
    assert [record.module for record in seen.records if record.op == "dropout"] == places


@pytest.mark.parametrize("model_class", EVERY)
@pytest.mark.parametrize("tied", [True, False])
def test_a_folder_both_ways(tmp_path, model_class, tied):
    model = small(model_class, tie_word_embeddings=tied).eval()
    model.save_pretrained(tmp_path)
    names = set(load_file(tmp_path / "model.safetensors"))
    assert not tied or not any("decoder" in name or "projector.weight" in name for name in names)
    read, info = model_class.from_pretrained(tmp_path, output_loading_info=True)
    assert info == {"missing_keys": [], "unexpected_keys": []}
    assert read.config == model.config
    inputs = {"input_ids": np.arange(6).reshape(1, 1, 6) if "Choice" in model_class.__name__
              else np.arange(6)[None]}
    for name, tensor in tensors_of(model(**inputs)).items():
        np.testing.assert_array_equal(tensor.data, tensors_of(read(**inputs))[name].data)


@pytest.mark.parametrize("bare, head", [(mb.RobertaModel, mb.RobertaForMaskedLM),
                                        (mb.DistilBertModel, mb.DistilBertForMaskedLM)])
def test_another_family_s_folder_is_refused_by_name(tmp_path, bare, head):
    small(head).save_pretrained(tmp_path)
    model, info = bare.from_pretrained(tmp_path, output_loading_info=True)
    assert all([name.startswith("pooler.") for name in info["missing_keys"]])
    with pytest.raises(InputError, match=f"a model of type '{model.config.family}' is none for "
                                         "BertConfig: expected 'bert'"):
        mb.BertModel.from_pretrained(tmp_path)


def test_a_norm_first_roberta_is_no_model_of_hugging_face(tmp_path):
    model = small(mb.RobertaForSequenceClassification, norm_first=True)
    assert model.config.model_type == "roberta_norm_first"
    model.save_pretrained(tmp_path)
    assert mb.RobertaForSequenceClassification.from_pretrained(tmp_path).config.norm_first


@pytest.mark.parametrize("config, name", [
    (roberta_config(), "hidden_act"), (distilbert_config(), "activation")])
def test_the_activation_of_the_masked_lm_head(config, name):
    model_class = mb.RobertaForMaskedLM if name == "hidden_act" else mb.DistilBertForMaskedLM
    model = model_class(dataclasses.replace(config, **{name: "relu"}), rng=None)
    assert model.mlm_head.dense.activation == ("gelu" if name == "hidden_act" else "relu")
    assert model.bert.stack.blocks[0].feed_forward.expand.activation == "relu"
    assert model.mlm_head.bias.shape == (V,)
