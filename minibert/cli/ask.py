"""Questions to a trained model: gaps, pairs, continuations, probabilities, and how it computes."""

from __future__ import annotations

import math
import os

import numpy as np

from minibert.autograd.tensor import no_grad
from minibert.autograd.trace import trace
from minibert.cli.folders import ANY_MODEL, LANGUAGE_MODEL, MASKED_LM, NEXT_SENTENCE, open_model
from minibert.errors import InputError
from minibert.generation.sampling import probabilities
from minibert.generation.scoring import score
from minibert.generation.streaming import TextStreamer
from minibert.models.gpt import GPT2LMHeadModel
from minibert.nn.module import evaluating

# The options of the command that are options of `generate`.
GENERATION = ("temperature", "top_k", "top_p", "repetition_penalty", "num_beams", "length_penalty")


def fill_mask(model, tokenizer, text: str, top: int = 5) -> list[list[tuple[str, float]]]:
    """The `top` likeliest tokens at each [MASK] of `text`, with their probabilities."""
    encoded = tokenizer(text)
    if tokenizer.mask_token_id not in encoded["input_ids"]:
        raise InputError(f"the text has no gap: write {tokenizer.mask_token} where a word is to be "
                         "filled in")
    if not 1 <= top <= tokenizer.vocab_size:
        raise InputError(f"--top is {top}: expected a number from 1 to {tokenizer.vocab_size}")
    return fill_gaps(model, tokenizer, np.array([encoded["input_ids"]]),
                     np.array([encoded["token_type_ids"]]), top)


def fill_gaps(model, tokenizer, ids: np.ndarray, types: np.ndarray, top: int
              ) -> list[list[tuple[str, float]]]:
    """The same for ids and segments (1, T)."""
    with evaluating(model), no_grad():
        outputs = model(ids, token_type_ids=types)
    logits = getattr(outputs, "prediction_logits", None)
    logits = outputs.logits if logits is None else logits
    filled = []
    # Models may know more tokens than their tokenizer: vocabularies are rounded up.
    logits = logits.data[0, ids[0] == tokenizer.mask_token_id, :len(tokenizer)]
    for p in probabilities(logits):
        best = np.argsort(-p, kind="stable")[:top]
        filled.append([(tokenizer.convert_ids_to_tokens(int(i)), float(p[i])) for i in best])
    return filled


def next_sentence_probability(model, tokenizer, first: str, second: str) -> float:
    """How probable the model finds that `second` follows `first`."""
    encoded = tokenizer(first, second)
    with evaluating(model), no_grad():
        outputs = model(np.array([encoded["input_ids"]]),
                        token_type_ids=np.array([encoded["token_type_ids"]]))
    logits = getattr(outputs, "seq_relationship_logits", None)
    logits = outputs.logits if logits is None else logits
    return float(probabilities(logits.data)[0, 0])


def continued(model, tokenizer, prompt: str, tokens: int, streamed: bool = False, **options) -> str:
    """`prompt` and what the model says next, up to the end of the document, or `tokens` tokens.

    `options` are those of `generate`; without `num_beams` the text is drawn from all that is
    likely. It begins as a document does; beyond the positions the window slides. `streamed`: it is
    printed while it is written.
    """
    separator = tokenizer.sep_token_id
    ids = [separator] + tokenizer.encode(prompt, add_special_tokens=False)
    if options.get("num_beams", 1) == 1:
        options = {"do_sample": True, "top_k": 0} | options
    # Models may know more tokens than their tokenizer: vocabularies are rounded up.
    unused = [*tokenizer.all_special_ids, *range(len(tokenizer), model.config.vocab_size)]
    out = model.generate(
        np.array([ids]), max_new_tokens=tokens, eos_token_id=separator, sliding_window=True,
        suppress_tokens=[i for i in unused if i != separator],
        streamer=DocumentStreamer(tokenizer) if streamed else None, **options)[0]
    return tokenizer.decode([int(i) for i in out if i != separator])


class DocumentStreamer(TextStreamer):
    """Shows a document without the separators around it."""

    def put(self, ids: np.ndarray) -> None:
        super().put(np.asarray(ids)[np.asarray(ids) != self.tokenizer.sep_token_id])


def scored(model, tokenizer, text: str) -> list[tuple[str, float]]:
    """Each token of `text` with its log-probability given all that stands before it."""
    ids = [tokenizer.sep_token_id] + tokenizer.encode(text, add_special_tokens=False)
    if len(ids) == 1:
        raise InputError("the text is empty: there is nothing to score")
    return list(zip(tokenizer.convert_ids_to_tokens(ids[1:]), score(model, np.array(ids)).tolist()))


# ---- the commands --------------------------------------------------------------------------------


def run_fill_mask(options) -> int:
    """`fill-mask RUN TEXT`"""
    model, tokenizer = open_model(options.run, MASKED_LM, "fill-mask")
    if not hasattr(tokenizer, "mask_token_id"):
        raise InputError(f"{options.run}: its tokenizer has no [MASK]")
    for number, candidates in enumerate(fill_mask(model, tokenizer, options.text, options.top), 1):
        print(f"gap {number}")
        for token, p in candidates:
            print(f"  {p:6.1%}  {token}")
    return 0


def run_next_sentence(options) -> int:
    """`next-sentence RUN A B`"""
    for name, text in (("A", options.first), ("B", options.second)):
        if not text.strip():
            raise InputError(f"{name} is empty: next-sentence needs two texts")
    model, tokenizer = open_model(options.run, NEXT_SENTENCE, "next-sentence")
    p = next_sentence_probability(model, tokenizer, options.first, options.second)
    judged = "probably the next sentence" if p >= 0.5 else "probably not"
    print(f"B follows A with probability {p:.1%}: {judged}")
    return 0


def run_generate(options) -> int:
    """`generate RUN`: what is drawn is shown token by token."""
    model, tokenizer = open_model(options.run, LANGUAGE_MODEL, "generate")
    if options.seed < 0:
        raise InputError(f"--seed is {options.seed}: expected at least 0")
    if options.tokens < 1:
        raise InputError(f"--tokens is {options.tokens}: expected at least 1")
    given = {name: getattr(options, name) for name in GENERATION
             if getattr(options, name) is not None}
    beams = given.get("num_beams", 1) != 1
    for name in ("temperature", "top_k", "top_p") if beams else ("length_penalty",):
        if name in given:
            why = ("--num-beams searches for the likeliest text and draws nothing: leave one out"
                   if beams else "only --num-beams above 1 asks for it: give that, too")
            raise InputError(f"--{name.replace('_', '-')}: {why}")
    text = continued(model, tokenizer, options.prompt, options.tokens, streamed=not beams,
                     rng=options.seed, **given)
    if beams:
        print(text)
    return 0


def run_score(options) -> int:
    """`score RUN TEXT`"""
    model, tokenizer = open_model(options.run, LANGUAGE_MODEL, "score")
    tokens = scored(model, tokenizer, options.text)
    for token, log_p in tokens:
        print(f"{log_p:9.4f}  {math.exp(log_p):7.2%}  {token!r}")
    total = sum([log_p for _, log_p in tokens])
    perplexity = math.exp(-total / len(tokens))
    print(f"{total:9.4f}  in all, {len(tokens)} tokens; perplexity {perplexity:.3f}")
    return 0


def run_trace(options) -> int:
    """`trace RUN TEXT`: the forward of the text, and the way back from the sum of the output."""
    if options.write and os.path.exists(options.write):
        raise InputError(f"{options.write} exists already and is not touched: give another --write")
    model, tokenizer = open_model(options.run, ANY_MODEL, "trace")
    if isinstance(model, GPT2LMHeadModel):
        ids = [tokenizer.sep_token_id] + tokenizer.encode(options.text, add_special_tokens=False)
    else:
        ids = tokenizer.encode(options.text)
    with trace() as records:
        outputs = model(np.array([ids]))
        output = next(value for value in vars(outputs).values() if value is not None)
        output.backward(np.ones(output.shape, output.dtype))
    print(records)
    if options.write:
        records.write(options.write)
    return 0
