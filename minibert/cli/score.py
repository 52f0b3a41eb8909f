"""`score`: the log-probability of a text under a GPT or an older language model."""

import argparse
import math

import numpy as np

from minibert.ancestors.model import AncestorModel
from minibert.cli.arguments import add_run
from minibert.cli.folders import LANGUAGE_MODEL, open_model, warn_of_unknown_words
from minibert.errors import InputError
from minibert.generation.scoring import score
from minibert.models.pretrained_model import PretrainedModel
from minibert.tokenizers.base import Tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("text")


def run(folder: str, text: str) -> int:
    """Print each token with its log-probability (nats), then the sum and the perplexity."""
    model, tokenizer = open_model(folder, LANGUAGE_MODEL, "score")
    warn_of_unknown_words(tokenizer, [text])
    tokens = scored(model, tokenizer, text)
    for token, log_p in tokens:
        print(f"{log_p:9.4f}  {math.exp(log_p):7.2%}  {token!r}")
    total = sum([log_p for _, log_p in tokens])
    perplexity = math.exp(-total / len(tokens))
    print(f"{total:9.4f}  in all, {len(tokens)} tokens; perplexity {perplexity:.3f}")
    return 0


def scored(model: PretrainedModel | AncestorModel, tokenizer: Tokenizer, text: str
           ) -> list[tuple[str, float]]:
    """Each token of `text` with its log-probability (nats) given all tokens before it, of which
    the first is the separator. Errors: InputError for a text without tokens."""
    ids = [tokenizer.sep_token_id] + tokenizer.encode(text, add_special_tokens=False)
    if len(ids) == 1:
        raise InputError("the text is empty: there is nothing to score")
    if isinstance(model, AncestorModel):
        log_p = model.next_word(np.array([ids[:-1]]))[0]  # (T - 1, V)
        log_p = log_p[np.arange(len(log_p)), ids[1:]]
    else:
        log_p = score(model, np.array(ids))
    return list(zip(tokenizer.convert_ids_to_tokens(ids[1:]), log_p.tolist()))
