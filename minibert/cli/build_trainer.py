"""From options to a trainer: the text, the tokenizer, the objective, the model."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np

from minibert.cli.ask import continued, fill_gaps
from minibert.cli.from_pretrained import opened
from minibert.data.corpora import (Corpus, files_corpus, python_docs_corpus, toy_corpus,
                                   train_tokenizer)
from minibert.errors import InputError
from minibert.models.bert import BertForPreTraining
from minibert.models.config import BertConfig, GPT2Config
from minibert.models.gpt import GPT2LMHeadModel
from minibert.pretraining.bert_objective import PretrainingObjective
from minibert.pretraining.gpt_objective import NextTokenObjective
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.characters import CharTokenizer
from minibert.training.trainer import Trainer, TrainingSettings

TOY_PAIRS_OF_A_DOCUMENT = 5  # on average, of the held-out ones: 5,000 in all
SAMPLE_TOKENS, SAMPLE_CHARACTERS = 30, 90
SAMPLE_REACH = 6


def read_corpus(options: dict) -> Corpus:
    """The text that `corpus`, or `text` and `format`, name."""
    if options["corpus"] == "text":
        return files_corpus(options["text"], options["format"])
    return toy_corpus() if options["corpus"] == "toy" else python_docs_corpus()


def fingerprint(corpus: Corpus) -> str:
    """A short digest of all text, to tell at a resume whether it is still the same."""
    digest = hashlib.sha256()
    for text in [*corpus.train_texts, *corpus.held_out_texts]:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]


def make_trainer(which: str, options: dict, corpus: Corpus, report, begun: Path | None = None
                 ) -> Trainer:
    """A trainer for a "bert" or "gpt", new or, with the tokenizer, from the folder `begun`; no
    folder is touched. Errors: whatever does not fit."""
    model = None
    if begun is None:
        tokenizer = train_tokenizer(corpus, options["tokenizer"], which, options["vocab_size"])
    else:
        model, tokenizer = opened(begun, which)
    settings = TrainingSettings(**{field.name: options[field.name]
                                   for field in fields(TrainingSettings)
                                   if field.name in options})
    about = {"model": which, **{name: value for name, value in options.items()
                                if name not in {field.name for field in fields(TrainingSettings)}},
             "text_digest": fingerprint(corpus)}
    if which == "bert":
        objective = _bert_objective(options, corpus, tokenizer)
        model = model or _new_bert(options, tokenizer)
        samples = FilledGap(objective, tokenizer)
    else:
        objective = NextTokenObjective(tokenizer, corpus.train_texts, corpus.held_out_texts,
                                       options["context"], options["batch"], options["seed"])
        model = model or _new_gpt(options, tokenizer)
        samples = GeneratedLine(tokenizer, options["seed"])
    return Trainer(model, objective, settings, tokenizer=tokenizer, about=about, report=report,
                   samples=samples)


def _bert_objective(options: dict, corpus: Corpus, tokenizer: Tokenizer) -> PretrainingObjective:
    return PretrainingObjective(
        tokenizer, corpus.train_documents, corpus.held_out_documents, options["context"],
        options["batch"], options["seed"], next_sentence=not options["no_next_sentence"],
        sentences_per_segment=corpus.sentences_per_segment,
        n_held_out=(TOY_PAIRS_OF_A_DOCUMENT * len(corpus.held_out_documents)
                    if options["corpus"] == "toy" else None))


def _new_bert(options: dict, tokenizer: Tokenizer) -> BertForPreTraining:
    return BertForPreTraining(BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=options["width"],
        num_hidden_layers=options["layers"], num_attention_heads=options["heads"],
        intermediate_size=4 * options["width"], hidden_dropout_prob=options["dropout"],
        attention_probs_dropout_prob=options["dropout"], max_position_embeddings=options["context"],
        initializer_range=options["initializer_range"], pad_token_id=tokenizer.pad_token_id,
        norm_first=options["norm_first"],
        position_initializer_range=options["position_initializer_range"]), options["seed"])


def _new_gpt(options: dict, tokenizer: Tokenizer) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=tokenizer.vocab_size, n_positions=options["context"], n_embd=options["width"],
        n_layer=options["layers"], n_head=options["heads"], resid_pdrop=options["dropout"],
        embd_pdrop=options["dropout"], attn_pdrop=options["dropout"],
        initializer_range=options["initializer_range"], bos_token_id=tokenizer.sep_token_id,
        eos_token_id=tokenizer.sep_token_id), options["seed"])


class FilledGap:
    """A sample of a BERT while it learns: the middle word of a held-out example, guessed."""

    def __init__(self, objective: PretrainingObjective, tokenizer: Tokenizer):
        batch = next(objective.held_out_batches())
        length = int(batch.attention_mask[0].sum())
        self.tokenizer = tokenizer
        self.ids = batch.original_ids[:1, :length].copy()  # (1, T)
        self.types = batch.token_type_ids[:1, :length]  # (1, T)
        around = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}  # the words, if unknown
        words = np.flatnonzero(~np.isin(self.ids[0], list(around)))
        self.place = words[len(words) // 2]
        self.answer = tokenizer.convert_ids_to_tokens(int(self.ids[0, self.place]))
        self.ids[0, self.place] = tokenizer.mask_token_id

    def text(self, reach: int | None = None) -> str:
        """The example with its gap, or only `reach` tokens on both sides of it."""
        tokens = self.tokenizer.convert_ids_to_tokens(self.ids[0].tolist())
        start = 0 if reach is None else max(0, self.place - reach)
        return " ".join(tokens[start:None if reach is None else self.place + reach + 1])

    def guesses(self, model, top: int) -> list[tuple[str, float]]:
        """What the model would fill in, and how probable it finds each. (The text may have a mask
        of its own: those before ours do not count.)"""
        masks = (self.ids[0, :self.place] == self.tokenizer.mask_token_id).sum()
        return fill_gaps(model, self.tokenizer, self.ids, self.types, top)[masks]

    def __call__(self, model) -> list[str]:
        guesses = ", ".join([f"{token} {p:.0%}" for token, p in self.guesses(model, 3)])
        return [f"{self.text(SAMPLE_REACH)}  -> {guesses} (it was {self.answer})"]


class GeneratedLine:
    """A sample of a GPT while it learns: the beginning of a document that it makes up."""

    def __init__(self, tokenizer: Tokenizer, seed: int):
        self.tokenizer, self.seed = tokenizer, seed

    def __call__(self, model) -> list[str]:
        tokens = SAMPLE_CHARACTERS if isinstance(self.tokenizer, CharTokenizer) else SAMPLE_TOKENS
        return [repr(continued(model, self.tokenizer, "", tokens, rng=self.seed))]


def check_same_text(path, stored: dict, corpus: Corpus) -> None:
    """A run goes on with the text that it began with."""
    if stored["text_digest"] != fingerprint(corpus):
        raise InputError(f"{path}: the text is no longer the one that this run was begun with "
                         f"(digest {fingerprint(corpus)}, then {stored['text_digest']}): begin a "
                         "new run")
