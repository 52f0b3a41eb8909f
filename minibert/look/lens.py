"""The stream read by the model's own head: the logit lens, and direct logit attribution.

A raw lens: the head was trained on the last layer's vectors, so the early rows understate what is
in the vectors (Belrose et al. 2023, "Eliciting Latent Predictions", section 2).
"""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.tensor import Tensor, no_grad
from minibert.errors import InputError
from minibert.models.activations import ActivationCache
from minibert.models.bert import BertForPreTraining
from minibert.models.bert_tasks import BertForMaskedLM
from minibert.models.gpt import GPT2LMHeadModel
from minibert.models.pretrained_model import PretrainedModel
from minibert.nn.module import evaluating


def logit_lens(model: PretrainedModel, cache: ActivationCache, row: int = 0) -> np.ndarray:
    """The logits (2 L + 1, T, V) of the stream before block 0, after each attention and after each
    MLP, of one row of the batch that `cache` is of (nostalgebraist 2020, "interpreting GPT: the
    logit lens").

    A GPT's rows pass the last layer norm (each with its own mean and variance) and the word
    vectors; a BERT's, taken after each layer norm, pass the MLM head. The last row is the model's
    logits, bit for bit. Errors: InputError for a model without such a head, and for a cache without
    the streams.
    """
    if not isinstance(model, (GPT2LMHeadModel, BertForPreTraining, BertForMaskedLM)):
        raise InputError(f"logit_lens: {type(model).__name__} has no head that gives the logits of "
                         "words: use GPT2LMHeadModel, BertForMaskedLM or BertForPreTraining")
    with F.reference(), no_grad(), evaluating(model):
        rows = [_words(model, Tensor(cache[name])) for name in streams(model)]
    return np.stack([logits.data[row] for logits in rows])


def streams(model: PretrainedModel) -> list[tuple[str, int]]:
    """The names of the 2 L + 1 places at which the lens reads; where layer norm follows the
    addition, after it."""
    after = ("resid_mid", "resid_post") if model.config.block_config.norm_first \
        else ("ln1.normalized", "normalized_resid_post")
    layers = range(model.config.num_hidden_layers)
    return [("resid_pre", 0), *[(name, layer) for layer in layers for name in after]]


def _words(model: PretrainedModel, x: Tensor) -> Tensor:
    """The head of the model: (B, T, C) -> (B, T, V)."""
    is_gpt = isinstance(model, GPT2LMHeadModel)
    stack = (model.transformer if is_gpt else model.bert).stack
    x = x if stack.final_norm is None else stack.final_norm(x)
    return F.linear(x, model.lm_head) if is_gpt else model.mlm_head(x)


def direct_logit_attribution(model: PretrainedModel, cache: ActivationCache,
                             target: tuple[int, ...], row: int = 0) -> dict[str, float]:
    """The part of each addition to a GPT's stream in one logit: name -> number; they add up to
    the logit (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits").

    `target` is (position, id), or (position, id, instead) for the difference of two logits. The
    last layer norm is linear once its scale is frozen at the value that it had: with u the word's
    vector, a vector v contributes ((v - mean(v)) / scale * weight) . u. The parts are "embed",
    "pos_embed", "L0H0" (a head's result), "L0 bias" (of W_O), "L0 MLP" and "ln_final bias". Errors:
    InputError for other models: a BERT's norms and its MLM head make it no sum.
    """
    if not isinstance(model, GPT2LMHeadModel):
        raise InputError(f"direct_logit_attribution: in a {type(model).__name__} the logit is no "
                         "sum of what the layers add (a norm follows each addition): use ablate")
    position, word, *instead = target
    stack, words = model.transformer.stack, model.lm_head.data
    u = words[word] - (words[instead[0]] if instead else 0)  # (C,)
    norm = stack.final_norm
    direction = norm.weight.data * u / cache["ln_final.hook_scale"][row, position]  # (C,)
    direction = direction - direction.mean()  # (v - mean(v)) . d = v . (d - mean(d))
    parts = {"embed": cache["embed"][row, position],
             "pos_embed": cache["pos_embed"][row if len(cache["pos_embed"]) > 1 else 0, position]}
    for layer, block in enumerate(stack.blocks):
        for head, result in enumerate(cache["result", layer][row, position]):
            parts[f"L{layer}H{head}"] = result
        parts[f"L{layer} bias"] = block.attention.output.bias.data
        parts[f"L{layer} MLP"] = cache["mlp_out", layer][row, position]
    contributions = {name: float(vector @ direction) for name, vector in parts.items()}
    return contributions | {"ln_final bias": float(norm.bias.data @ u)}
