"""Small models with random weights of honest size, for the tests of this room."""

import numpy as np

import minibert as mb

V, C, B, T = 17, 12, 3, 7  # three heads of width 4

# All that read (B, T) ids. BertForMultipleChoice reads more: see test_task_heads.py.
BERT_CLASSES = [mb.BertModel, mb.BertForPreTraining, mb.BertForMaskedLM,
                mb.BertForNextSentencePrediction, mb.BertForSequenceClassification,
                mb.BertForTokenClassification, mb.BertForQuestionAnswering]
GPT2_CLASSES = [mb.GPT2Model, mb.GPT2LMHeadModel, mb.GPT2ForSequenceClassification]
CLASSES = BERT_CLASSES + GPT2_CLASSES
PAD = V - 1  # GPT-2's: no batch has it


def bert_config(**changes):
    return mb.BertConfig(**(dict(
        vocab_size=V, hidden_size=C, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=10, max_position_embeddings=9, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, layer_norm_eps=1e-5) | changes))


def gpt2_config(**changes):
    return mb.GPT2Config(**(dict(
        vocab_size=V, n_embd=C, n_layer=2, n_head=3, n_positions=9, n_inner=10, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, pad_token_id=PAD)
        | changes))


def small(model_class, seed=0, **changes):
    """A float64 model of the class: matrices and biases N(0, 0.5^2), scales N(1, 0.5^2)."""
    is_bert = issubclass(model_class.config_class, mb.BertConfig)
    model = model_class((bert_config if is_bert else gpt2_config)(**changes), rng=None).double()
    rng = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        mean = 1.0 if name.endswith("norm.weight") else 0.0
        parameter.data = mean + 0.5 * rng.normal(size=parameter.shape)
    return model


def dropout(model_class, p):
    """The changes to a config that switch all of its dropouts on."""
    if model_class in BERT_CLASSES:
        return {"hidden_dropout_prob": p, "attention_probs_dropout_prob": p}
    return {"resid_pdrop": p, "embd_pdrop": p, "attn_pdrop": p}


def batch(model_class, seed=0, rows=B, tokens=T):
    """Ids, and for BERT segments."""
    rng = np.random.default_rng(seed)
    inputs = {"input_ids": rng.integers(0, PAD, (rows, tokens))}
    if model_class in BERT_CLASSES:
        inputs["token_type_ids"] = rng.integers(0, 2, (rows, tokens))
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
