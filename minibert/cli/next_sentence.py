"""`next-sentence`: whether the second of two texts follows the first."""

import argparse

import numpy as np

from minibert.autograd.tensor import no_grad
from minibert.cli.arguments import add_run
from minibert.cli.folders import NEXT_SENTENCE, open_model
from minibert.errors import InputError
from minibert.generation.decoding import checked_logits
from minibert.generation.sampling import probabilities
from minibert.models.pretrained_model import PretrainedModel
from minibert.nn.module import evaluating
from minibert.tokenizers.base import Tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("first", metavar="A")
    parser.add_argument("second", metavar="B")


def run(folder: str, first: str, second: str) -> int:
    """Print the probability that B follows A."""
    for name, text in (("A", first), ("B", second)):
        if not text.strip():
            raise InputError(f"{name} is empty: next-sentence needs two texts")
    model, tokenizer = open_model(folder, NEXT_SENTENCE, "next-sentence")
    p = next_sentence_probability(model, tokenizer, first, second)
    judged = "probably the next sentence" if p >= 0.5 else "probably not"
    print(f"B follows A with probability {p:.1%}: {judged}")
    return 0


def next_sentence_probability(model: PretrainedModel, tokenizer: Tokenizer, first: str,
                              second: str) -> float:
    """The probability, according to the model, that `second` follows `first`. Errors: InputError
    for logits that are not finite."""
    encoded = tokenizer(first, second)
    with evaluating(model), no_grad():
        outputs = model(np.array([encoded["input_ids"]]),
                        token_type_ids=np.array([encoded["token_type_ids"]]))
    logits = getattr(outputs, "seq_relationship_logits", None)
    logits = outputs.logits if logits is None else logits
    return float(probabilities(checked_logits("next-sentence", logits.data))[0, 0])
