"""`generate`: the continuation of a text by a GPT, the answer to a text by an encoder-decoder."""

import argparse

import numpy as np

from minibert.cli.arguments import add_run, flag_name, given
from minibert.cli.folders import GENERATORS, open_model
from minibert.errors import InputError
from minibert.generation.streaming import TextStreamer
from minibert.models.bart import BartForConditionalGeneration
from minibert.models.pretrained_model import PretrainedModel
from minibert.pretraining.span_corruption import SENTINEL
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number

SAMPLING = ("temperature", "top_k", "top_p")  # options of `generate` without beams
BEAMS = ("length_penalty",)  # only with beams


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--prompt", default="", help="the beginning (none: a new document), or the "
                                                     "text that an encoder-decoder answers")
    parser.add_argument("--tokens", type=int, default=100, help="largest number of new ones (100)")
    add_search_arguments(parser)


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `GPT2LMHeadModel.generate` on the command line."""
    parser.add_argument("--temperature", type=float, help="0 takes the likeliest token (1)")
    parser.add_argument("--top-k", type=int, help="draw from the k likeliest tokens (0: all)")
    parser.add_argument("--top-p", type=float,
                        help="draw from the likeliest tokens that make up p (1)")
    parser.add_argument("--repetition-penalty", type=float,
                        help="above 1: tokens that occurred are less likely (1)")
    parser.add_argument("--num-beams", type=int, help="beam search with so many beams (1)")
    parser.add_argument("--length-penalty", type=float,
                        help="with beams: above 0 for longer texts, below for shorter (1)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (0)")


def checked_search(seed: int, search: dict) -> dict:
    """The options of add_search_arguments that were given. Errors: InputError, a seed below 0, one
    that has no effect beside the others."""
    whole_number("--seed", seed)
    search = given(search)
    beams = search.get("num_beams", 1) != 1
    for name in SAMPLING if beams else BEAMS:
        if name in search:
            why = ("--num-beams searches for the likeliest text and draws nothing: leave one out"
                   if beams else "only --num-beams above 1 uses it: give that, too")
            raise InputError(f"{flag_name(name)}: {why}")
    return search


def run(folder: str, prompt: str, tokens: int, seed: int, **search: float | None) -> int:
    """Print the text; what is drawn appears token by token. `search` are the other options, those
    of `GPT2LMHeadModel.generate`; None: not given."""
    whole_number("--tokens", tokens, 1)
    search = checked_search(seed, search)
    beams = search.get("num_beams", 1) != 1
    model, tokenizer = open_model(folder, GENERATORS, "generate")
    text = continued(model, tokenizer, prompt, tokens, streamed=not beams, rng=seed, **search)
    if beams:
        print(text)
    return 0


def continued(model: PretrainedModel, tokenizer: Tokenizer, prompt: str, tokens: int,
              streamed: bool = False, **options) -> str:
    """`prompt` and its continuation by a GPT, or the text that an encoder-decoder answers to it: up
    to the separator or `tokens` new tokens.

    `options` are those of `GPT2LMHeadModel.generate`; without `num_beams` the text is sampled
    from all tokens. A GPT reads the separator that begins a document before the prompt; beyond its
    positions the window slides. Sentinels (<extra_id_0>) are a part of an answer. `streamed`: the
    text is printed while it is generated. Errors: InputError, an encoder-decoder without a prompt.
    """
    separator = tokenizer.sep_token_id
    options = document_options(model, tokenizer, options)
    if isinstance(model, BartForConditionalGeneration):
        if not prompt:
            raise InputError("--prompt: an encoder-decoder answers a text: give one")
        ids = tokenizer.encode(prompt)
        sentinels = [i for token, i in tokenizer.vocab.items() if token.startswith(SENTINEL)]
        options["suppress_tokens"] = [i for i in options["suppress_tokens"] if i not in sentinels]
        options["forced_eos_token_id"] = separator
    else:
        ids = [separator] + tokenizer.encode(prompt, add_special_tokens=False)
    out = model.generate(np.array([ids]), max_new_tokens=tokens, sliding_window=True,
                         streamer=DocumentStreamer(tokenizer) if streamed else None, **options)[0]
    return tokenizer.decode([int(i) for i in out if i != separator])


def document_options(model: PretrainedModel, tokenizer: Tokenizer, options: dict) -> dict:
    """`options` of `generate` for one document: it ends with the separator and has no other special
    token; without `num_beams` it is sampled from all tokens."""
    separator = tokenizer.sep_token_id
    if options.get("num_beams", 1) == 1:
        options = {"do_sample": True, "top_k": 0} | options
    # A model may have more rows than its tokenizer has tokens: vocabularies are rounded up.
    unused = [*tokenizer.all_special_ids, *range(len(tokenizer), model.config.vocab_size)]
    return {"eos_token_id": separator, "suppress_tokens": [i for i in unused if i != separator],
            **options}


class DocumentStreamer(TextStreamer):
    """Prints a document without the separators around it."""

    def put(self, ids: np.ndarray) -> None:
        super().put(np.asarray(ids)[np.asarray(ids) != self.tokenizer.sep_token_id])
