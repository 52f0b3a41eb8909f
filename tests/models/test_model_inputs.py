"""What a user can get wrong when a model is made or called: one line each, with the numbers."""

import numpy as np
import pytest
from tests.models.small_models import B, T, batch, bert_config, gpt2_config, small

import minibert as mb
from minibert.errors import InputError

IDS = batch(mb.GPT2Model)["input_ids"]


def refused(message, model, *arguments, **named):
    with pytest.raises(InputError, match=message) as error:
        model(*arguments, **named)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("model", [small(mb.BertForPreTraining), small(mb.GPT2LMHeadModel)])
def test_inputs_of_both(model):
    refused("input_ids: 17 is out of range: expected 0 to 16", model, np.full((B, T), 17))
    refused("input_ids: -1 is out of range", model, np.full((B, T), -1))
    refused("input_ids: expected whole numbers, got float64", model, np.zeros((B, T)))
    refused(r"input_ids: got shape \(7,\)", model, np.zeros(T, int))
    refused("input_ids: the rows differ in length", model, [[1, 2], [3]])
    refused("nothing in it", model, np.zeros((2, 0), int))
    refused("10 tokens are more than the 9 positions", model, np.zeros((B, 10), int))
    refused("position_ids: 9 is out of range", model, IDS, position_ids=np.full((B, T), 9))
    refused(r"position_ids: got shape \(3, 6\): expected \(3, 7\)", model, IDS,
            position_ids=np.zeros((B, 6), int))
    refused(r"position_ids: got shape \(2, 7\): expected \(3, 7\)", model, IDS,
            position_ids=np.zeros((2, T), int))
    refused(r"position_ids: got shape \(1, 6\): expected \(1, 7\)", model, IDS,
            position_ids=np.arange(6))
    refused(r"attention_mask: got shape \(3, 6\) for tokens", model, IDS,
            attention_mask=np.ones((B, 6), int))
    refused("attention_mask: got other values", model, IDS, attention_mask=np.full((B, T), -1e4))
    refused("either input_ids or inputs_embeds", model)
    refused("either input_ids or inputs_embeds", model, IDS, inputs_embeds=np.zeros((B, T, 12)))
    refused(r"inputs_embeds has shape \(3, 7, 11\): expected \(batch, tokens, 12\)", model,
            inputs_embeds=np.zeros((B, T, 11)))
    refused(r"labels: got shape \(3, 6\)", model, IDS, labels=IDS[:, 1:])
    refused("labels: 17 is out of range", model, IDS, labels=np.full((B, T), 17))
    refused("labels: -1 is out of range", model, IDS, labels=np.full((B, T), -1))


def test_inputs_of_bert():
    model = small(mb.BertForPreTraining)
    refused("token_type_ids: 2 is out of range", model, IDS, token_type_ids=np.full((B, T), 2))
    refused("token_type_ids: got shape", model, IDS, token_type_ids=np.zeros((1, T), int))
    refused("next_sentence_label: 2 is out of range", model, IDS, next_sentence_label=[0, 1, 2])
    refused("next_sentence_label: -100", model, IDS, next_sentence_label=[0, 1, -100])
    refused("next_sentence_label: got shape", model, IDS, next_sentence_label=[0, 1])
    refused("masked_positions: 21 is out of range", model.pretraining_losses, IDS, None, None,
            np.array([3, 21]), np.array([1, 1]), None)
    refused(r"masked_labels: got shape \(3,\): expected \(2,\)", model.pretraining_losses, IDS,
            None, None, np.array([3, 20]), np.array([1, 1, 1]), None)
    refused("masked_labels: -100 is out of range", model.pretraining_losses, IDS, None, None,
            np.array([3, 20]), np.array([1, -100]), None)


def test_there_are_as_many_segments_as_the_config_says():
    model = small(mb.BertModel, type_vocab_size=4)
    model(IDS, token_type_ids=np.full((B, T), 3))
    refused("token_type_ids: 4 is out of range", model, IDS, token_type_ids=np.full((B, T), 4))


def test_inputs_of_gpt2():
    model = small(mb.GPT2LMHeadModel)
    refused("no next token", model, IDS[:, :1], labels=IDS[:, :1])
    refused("targets: got shape", model.next_token_loss, IDS, IDS[:, 1:])
    refused("targets: 17", model.next_token_loss, IDS, np.full((B, T), 17))


def test_lists_will_do():
    model = small(mb.GPT2LMHeadModel)
    np.testing.assert_array_equal(model(IDS.tolist()).logits.data, model(IDS).logits.data)


@pytest.mark.parametrize("message, make, changes", [
    ("hidden_size = 0: expected a whole number", bert_config, {"hidden_size": 0}),
    ("num_hidden_layers = 2.0", bert_config, {"num_hidden_layers": 2.0}),
    ("12 cannot be split into 5 heads", bert_config, {"num_attention_heads": 5}),
    ("hidden_act = 'swish': expected one of gelu", bert_config, {"hidden_act": "swish"}),
    ("hidden_dropout_prob = 1.0: expected", bert_config, {"hidden_dropout_prob": 1.0}),
    ("layer_norm_eps = '1e-5'", bert_config, {"layer_norm_eps": "1e-5"}),
    ("pad_token_id = 'x': expected a whole number", bert_config, {"pad_token_id": "x"}),
    ("n_head = 5|cannot be split into 5", gpt2_config, {"n_head": 5}),
    ("n_layer = True", gpt2_config, {"n_layer": True}),
    ("attn_pdrop = -0.1", gpt2_config, {"attn_pdrop": -0.1}),
    ("n_inner = 0", gpt2_config, {"n_inner": 0}),
])
def test_an_impossible_config_is_refused(message, make, changes):
    refused(message, make, **changes)


def test_a_misspelt_setting_is_refused_and_a_made_config_stays():
    with pytest.raises(TypeError, match="hiden_size"):
        mb.BertConfig(hiden_size=3)
    with pytest.raises(AttributeError):
        bert_config().hidden_size = 24


def test_gpt2s_config_also_speaks_berts_words():
    config = mb.GPT2Config()
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads,
            config.max_position_embeddings, config.intermediate_size) == (768, 12, 12, 1024, 3072)


# What Hugging Face's configs have when nothing is given, which old config.json files leave out.
BERT = dict(vocab_size=30522, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
            intermediate_size=3072, hidden_act="gelu", hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.1, max_position_embeddings=512, type_vocab_size=2,
            initializer_range=0.02, layer_norm_eps=1e-12, classifier_dropout=None, pad_token_id=0,
            tie_word_embeddings=True)
GPT2 = dict(vocab_size=50257, n_positions=1024, n_embd=768, n_layer=12, n_head=12, n_inner=None,
            activation_function="gelu_new", resid_pdrop=0.1, embd_pdrop=0.1, attn_pdrop=0.1,
            layer_norm_epsilon=1e-5, initializer_range=0.02, pad_token_id=None, bos_token_id=50256,
            eos_token_id=50256, tie_word_embeddings=True)
ROBERTA = BERT | dict(vocab_size=50265, pad_token_id=1, bos_token_id=0, eos_token_id=2)
DISTILBERT = dict(vocab_size=30522, max_position_embeddings=512, n_layers=6, n_heads=12, dim=768,
                  hidden_dim=3072, dropout=0.1, attention_dropout=0.1, activation="gelu",
                  initializer_range=0.02, qa_dropout=0.1, seq_classif_dropout=0.2, pad_token_id=0,
                  tie_word_embeddings=True)
BART = dict(vocab_size=50265, max_position_embeddings=1024, encoder_layers=12,
            encoder_ffn_dim=4096, encoder_attention_heads=16, decoder_layers=12,
            decoder_ffn_dim=4096, decoder_attention_heads=16, activation_function="gelu",
            d_model=1024, dropout=0.1, attention_dropout=0.0, activation_dropout=0.0,
            init_std=0.02, scale_embedding=False, pad_token_id=1, bos_token_id=0, eos_token_id=2,
            decoder_start_token_id=2, forced_eos_token_id=2, tie_word_embeddings=True)


@pytest.mark.parametrize("config, defaults", [
    (mb.BertConfig(), BERT), (mb.GPT2Config(), GPT2), (mb.RobertaConfig(), ROBERTA),
    (mb.DistilBertConfig(), DISTILBERT), (mb.BartConfig(), BART)])
def test_defaults_are_hugging_faces(config, defaults):
    assert {name: getattr(config, name) for name in defaults} == defaults
