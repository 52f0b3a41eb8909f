"""`gradcheck`: the gradients of all ops and of small models against numerical derivatives."""

import argparse
from collections.abc import Callable

import numpy as np

from minibert.autograd.checks.gradcheck import GradcheckError, gradcheck_parameters
from minibert.autograd.checks.gradcheck_cases import check_all
from minibert.autograd.tensor import Tensor
from minibert.models.bert import BertForPreTraining
from minibert.models.config import BertConfig, GPT2Config
from minibert.models.gpt import GPT2LMHeadModel
from minibert.models.pretrained_model import PretrainedModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", choices=("complex", "central"), default="complex",
                        help="how the reference derivative is taken (complex)")


def run(method: str) -> int:
    """Print the relative error of each gradient; exit status 1 if one is wrong."""
    faults = 0
    print(f"{'':30}  {'implementation':<9}  relative error")
    for result in check_all(method):
        faults += result.fault is not None
        verdict = f"{result.error:.1e}" if result.fault is None else f"WRONG: {result.fault}"
        print(f"{result.name:<30}  {result.implementation:<9}  {verdict}")
    for name, loss, model in small_models():
        try:
            report = gradcheck_parameters(loss, dict(model.named_parameters()), method)
            verdict = f"{report.relative_error:.1e}"
        except GradcheckError as error:
            faults, verdict = faults + 1, f"WRONG: {error}"
        print(f"{name:<30}  {'model':<9}  {verdict}")
    print("all gradients are right" if not faults else f"{faults} gradients are wrong")
    return 1 if faults else 0


def small_models() -> list[tuple[str, Callable[[], Tensor], PretrainedModel]]:
    """(name, loss function, model) of a BERT and a GPT with weights of size 0.5, in float64."""
    rng = np.random.default_rng(0)
    ids = rng.integers(13, size=(2, 5))
    bert = BertForPreTraining(BertConfig(
        vocab_size=13, hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=20, max_position_embeddings=6, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=None))  # the embedding of padding has no gradient, whatever its derivative
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=13, n_positions=6, n_embd=12, n_layer=2, n_head=3,
                                     n_inner=20, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
    for model in (bert, gpt):
        model.double()
        for parameter in model.parameters():
            parameter.data = rng.normal(scale=0.5, size=parameter.shape)
    mask, types = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]), np.array([[0, 0, 1, 1, 1]] * 2)

    def bert_loss():
        return bert(ids, mask, types, labels=ids, next_sentence_label=np.array([0, 1])).loss

    def gpt_loss():
        return gpt(ids, labels=ids).loss

    return [("BertForPreTraining", bert_loss, bert), ("GPT2LMHeadModel", gpt_loss, gpt)]
