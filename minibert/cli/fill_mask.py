"""`fill-mask`: the likeliest words at each [MASK] of a text."""

import argparse

import numpy as np

from minibert.ancestors.model import AncestorModel
from minibert.autograd.tensor import no_grad
from minibert.cli.arguments import add_run
from minibert.cli.folders import MASKED_LM, open_model, warn_of_unknown_words
from minibert.errors import InputError
from minibert.generation.decoding import checked_logits
from minibert.generation.sampling import probabilities
from minibert.models.pretrained_model import PretrainedModel
from minibert.nn.module import evaluating
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("text", help='such as "the [MASK] sleeps ."')
    parser.add_argument("--top", type=int, default=5, help="number of words to show (5)")


def run(folder: str, text: str, top: int) -> int:
    """Print the candidates of each gap with their probabilities."""
    model, tokenizer = open_model(folder, MASKED_LM, "fill-mask")
    if not hasattr(tokenizer, "mask_token_id"):
        raise InputError(f"{folder}: its tokenizer has no [MASK]")
    warn_of_unknown_words(tokenizer, [text])
    for number, candidates in enumerate(fill_mask(model, tokenizer, text, top), 1):
        print(f"gap {number}")
        for token, p in candidates:
            print(f"  {p:6.1%}  {token}")
    return 0


def fill_mask(model: PretrainedModel | AncestorModel, tokenizer: Tokenizer, text: str,
              top: int = 5) -> list[list[tuple[str, float]]]:
    """The `top` likeliest tokens at each [MASK] of `text`, with their probabilities. Errors:
    InputError for a text without [MASK], and for a `top` beyond the vocabulary."""
    encoded = tokenizer(text)
    if tokenizer.mask_token_id not in encoded["input_ids"]:
        raise InputError(f"the text has no gap: write {tokenizer.mask_token} where a word is to be "
                         "filled in")
    whole_number("--top", top, 1, tokenizer.vocab_size)
    if isinstance(model, AncestorModel):
        ids = np.array(encoded["input_ids"])
        ids[0] = tokenizer.sep_token_id  # a document of the stream
        gaps = np.flatnonzero(ids == tokenizer.mask_token_id)
        return _likeliest(tokenizer, np.exp(model.gap(np.tile(ids, (len(gaps), 1)), gaps)), top)
    types = np.array([encoded["token_type_ids"]]) if tokenizer.has_segments else None
    return fill_gaps(model, tokenizer, np.array([encoded["input_ids"]]), types, top)


def fill_gaps(model: PretrainedModel, tokenizer: Tokenizer, ids: np.ndarray,
              types: np.ndarray | None, top: int) -> list[list[tuple[str, float]]]:
    """The same as fill_mask for token ids and segment ids (None without segments), both (1, T).
    Errors: InputError for logits that are not finite."""
    with evaluating(model), no_grad():
        outputs = model(ids, token_type_ids=types)
    logits = getattr(outputs, "prediction_logits", None)
    logits = outputs.logits if logits is None else logits
    # A model may have more rows than its tokenizer has tokens: vocabularies are rounded up.
    logits = logits.data[0, ids[0] == tokenizer.mask_token_id, :len(tokenizer)]
    return _likeliest(tokenizer, probabilities(checked_logits("fill-mask", logits)), top)


def _likeliest(tokenizer: Tokenizer, distributions: np.ndarray, top: int
               ) -> list[list[tuple[str, float]]]:
    filled = []
    for p in distributions:
        best = np.argsort(-p, kind="stable")[:top]
        filled.append([(tokenizer.convert_ids_to_tokens(int(i)), float(p[i])) for i in best])
    return filled
