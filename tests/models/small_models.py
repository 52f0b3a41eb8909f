"""Small models with random weights of honest size, and the variants that every law runs over."""

import numpy as np
import pytest

import minibert as mb

V, C, B, T = 17, 12, 3, 7  # three heads of width 4

# All that read (B, T) ids. BertForMultipleChoice reads more: see test_task_heads.py.
BERT_CLASSES = [mb.BertModel, mb.BertForPreTraining, mb.BertForMaskedLM,
                mb.BertForNextSentencePrediction, mb.BertForSequenceClassification,
                mb.BertForTokenClassification, mb.BertForQuestionAnswering]
GPT2_CLASSES = [mb.GPT2Model, mb.GPT2LMHeadModel, mb.GPT2ForSequenceClassification]
BART_CLASSES = [mb.BartModel, mb.BartForConditionalGeneration]
VARIANT_CLASSES = [mb.RobertaForSequenceClassification, mb.DistilBertForMaskedLM]
CLASSES = BERT_CLASSES + GPT2_CLASSES + BART_CLASSES + VARIANT_CLASSES
PAD = V - 1  # no batch has it: its word embedding has no gradient


def bert_config(**changes):
    return mb.BertConfig(**(dict(
        vocab_size=V, hidden_size=C, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=10, max_position_embeddings=9, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, layer_norm_eps=1e-5, pad_token_id=PAD) | changes))


def gpt2_config(**changes):
    return mb.GPT2Config(**(dict(
        vocab_size=V, n_embd=C, n_layer=2, n_head=3, n_positions=9, n_inner=10, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, pad_token_id=PAD)
        | changes))


def bart_config(**changes):
    return mb.BartConfig(**(dict(
        vocab_size=V, d_model=C, encoder_layers=2, encoder_attention_heads=3, encoder_ffn_dim=10,
        decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=9, max_position_embeddings=9,
        dropout=0.0, pad_token_id=PAD, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0,
        forced_eos_token_id=None) | changes))


def roberta_config(**changes):
    return mb.RobertaConfig(**(vars(bert_config(type_vocab_size=1, max_position_embeddings=V + 9))
                               | changes))


def distilbert_config(**changes):
    return mb.DistilBertConfig(**(dict(
        vocab_size=V, dim=C, n_layers=2, n_heads=3, hidden_dim=10, max_position_embeddings=9,
        dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, qa_dropout=0.0,
        pad_token_id=PAD) | changes))


CONFIGS = {mb.BertConfig: bert_config, mb.GPT2Config: gpt2_config, mb.BartConfig: bart_config,
           mb.RobertaConfig: roberta_config, mb.DistilBertConfig: distilbert_config}

_ALL_DROPOUTS = ({"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.3},
                 {"resid_pdrop": 0.3, "embd_pdrop": 0.3, "attn_pdrop": 0.3},
                 {"dropout": 0.3, "attention_dropout": 0.3},
                 {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.3},
                 {"dropout": 0.3, "attention_dropout": 0.3})
# What a config or a model may have otherwise than bert_config(), gpt2_config() and bart_config(),
# one thing each: (changes of a BERT, of a GPT-2, of a BART, None where there is nothing to change).
VARIANTS = {
    "plain": ({}, {}, {}),
    "norm first": ({"norm_first": True}, None, None),
    "the other GELU": ({"hidden_act": "gelu_new"}, {"activation_function": "gelu"}, None),
    "relu": ({"hidden_act": "relu"}, {"activation_function": "relu"},
             {"activation_function": "relu"}),
    "untied": ({"tie_word_embeddings": False}, {"tie_word_embeddings": False}, None),
    "dropout": (*_ALL_DROPOUTS[:2], None),
    "recomputed": ({}, {}, None),  # gradient checkpointing, see small()
    "recomputed dropout": _ALL_DROPOUTS[:3],
    "one segment": ({"type_vocab_size": 1}, None, None),
    "four times as wide inside": ({"intermediate_size": 4 * C}, {"n_inner": None}, None),
    "narrower inside": ({"intermediate_size": 5}, {"n_inner": 5}, None),
    "one head": ({"num_attention_heads": 1}, {"n_head": 1}, None),
    "heads of width one": ({"num_attention_heads": C}, {"n_head": C},
                           {"encoder_attention_heads": C, "decoder_attention_heads": 1}),
    "one layer": ({"num_hidden_layers": 1}, {"n_layer": 1},
                  {"encoder_layers": 1}),
    "no padding row": ({"pad_token_id": None}, None, None),
    "large eps": ({"layer_norm_eps": 0.1}, {"layer_norm_epsilon": 0.1}, None),
    "scaled embeddings": (None, None, {"scale_embedding": True}),
}


def variant_changes(model_class, variant):
    """The changes of a variant for a class; None where it has none. The bare BART is all of the
    other one but its head, a RoBERTa and a DistilBERT are BERTs: they have no variants."""
    if model_class is mb.BartModel or model_class.config_class in (mb.RobertaConfig,
                                                                  mb.DistilBertConfig):
        return {} if variant == "plain" else None
    return VARIANTS[variant][list(CONFIGS).index(model_class.config_class)]


def each_variant(classes):
    """Run a test for every class in every variant that it has."""
    return pytest.mark.parametrize("model_class, variant", [
        pytest.param(model_class, variant, id=f"{model_class.__name__}-{variant}")
        for model_class in classes for variant in VARIANTS
        if variant_changes(model_class, variant) is not None])


def small(model_class, seed=0, variant="plain", **changes):
    """A float64 model of the class: matrices and biases N(0, 0.5^2), scales N(1, 0.5^2)."""
    changes = {**(variant_changes(model_class, variant) or {}), **changes}
    model = model_class(CONFIGS[model_class.config_class](**changes), rng=None).double()
    model.gradient_checkpointing = variant.startswith("recomputed")
    rng = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        mean = 1.0 if name.endswith("norm.weight") else 0.0
        parameter.data = mean + 0.5 * rng.normal(size=parameter.shape)
    return model


def dropout(model_class, p):
    """The changes to a config that switch all of its dropouts on."""
    place = list(CONFIGS).index(model_class.config_class)
    return dict.fromkeys(_ALL_DROPOUTS[place], p)


def batch(model_class, seed=0, rows=B, tokens=T, variant="plain"):
    """Ids, for BERT segments, for BART the ids of the decoder."""
    rng = np.random.default_rng(seed)
    inputs = {"input_ids": rng.integers(0, PAD, (rows, tokens))}
    if model_class in BERT_CLASSES:
        segments = 1 if variant == "one segment" else 2
        inputs["token_type_ids"] = rng.integers(0, segments, (rows, tokens))
    if model_class in BART_CLASSES:
        inputs["decoder_input_ids"] = rng.integers(0, PAD, (rows, tokens))
    return inputs


def per_token(name, tensor):
    """Whether an output has its tokens in axis 1."""
    return tensor.ndim == 3 or name in ("start_logits", "end_logits")


def tensors_of(output):
    """All tensors of an output by field name, those of tuples as name.0, name.1..."""
    found = {}
    for name, value in vars(output).items():
        if isinstance(value, mb.Tensor):
            found[name] = value
        elif isinstance(value, tuple):
            found.update((f"{name}.{i}", part) for i, part in enumerate(value))
    return found


def weighted_sum(output, seed=5):
    """All tensors of an output, weighed at random, as one number."""
    rng = np.random.default_rng(seed)
    terms = [(tensor * rng.normal(size=tensor.shape)).sum()
             for tensor in tensors_of(output).values()]
    return sum(terms[1:], terms[0])


def gradients(model, loss):
    """The gradients of all parameters, None replaced by zeros."""
    model.zero_grad()
    loss.backward()
    return {name: np.zeros(parameter.shape) if parameter.grad is None else parameter.grad
            for name, parameter in model.named_parameters()}


def assert_equal_gradients(one, other, tolerance=1e-12):
    """Equal up to `tolerance` of the largest gradient of all."""
    assert one.keys() == other.keys()
    scale = max(abs(gradient).max() for gradient in one.values())
    for name in one:
        difference = abs(one[name] - other[name]).max()
        assert difference <= tolerance * scale, f"{name}: {difference} on a scale of {scale}"
