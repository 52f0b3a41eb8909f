"""Small models for demos that are given no folder: made from the toy world in some seconds."""

from __future__ import annotations

from pathlib import Path

import minibert as mb
from minibert.commands.defaults import resolved
from minibert.objectives.next_token import NextTokenObjective
from minibert.objectives.pretraining import PretrainingObjective
from minibert.text.corpora import toy_corpus
from minibert.training.machine import keep_freed_memory, set_blas_threads
from minibert.training.report import Report

CONTEXT = 48


def settings(which: str, steps: int) -> mb.TrainingSettings:
    """The recipe of `pretrain` on the toy world, with fewer steps."""
    recipe = resolved({"steps": steps, "threads": 1}, "toy", which)
    return mb.TrainingSettings(steps=steps, lr=recipe["lr"], warmup=steps // 20,
                               schedule=recipe["schedule"], betas=recipe["betas"], eval_every=0,
                               seed=1)


def train(model, objective, which: str, steps: int) -> None:
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread is in the way
    print(f"a small {which.upper()} learns the toy world for {steps} steps")
    mb.Trainer(model, objective, settings(which, steps), report=Report()).run()
    print()


def make_bert_folder(folder: Path, steps: int, more_text: str) -> None:
    """A bare BERT with WordPiece, and whatever characters `more_text` has."""
    corpus = toy_corpus(n_documents=2000, n_held_out=50)
    tokenizer = mb.BertTokenizer.train([*corpus.train_texts, more_text, more_text], 400)
    objective = PretrainingObjective(tokenizer, corpus.train_documents, corpus.held_out_documents,
                                     CONTEXT, 16, seed=1, n_held_out=100,
                                     sentences_per_segment=corpus.sentences_per_segment)
    model = mb.BertForPreTraining(mb.BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=256, max_position_embeddings=CONTEXT, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, initializer_range=0.1), rng=1)
    train(model, objective, "bert", steps)
    model.bert.save_pretrained(folder)  # without the heads that it learned with
    tokenizer.save_pretrained(folder)


def make_gpt2_folder(folder: Path, steps: int) -> None:
    """A GPT-2 with byte-level BPE, to which no text is unknown."""
    corpus = toy_corpus(n_documents=2000, n_held_out=50)
    tokenizer = mb.GPT2Tokenizer.train(corpus.train_texts, 400)
    objective = NextTokenObjective(tokenizer, corpus.train_texts, corpus.held_out_texts, CONTEXT,
                                   16, seed=1)
    end = tokenizer.eos_token_id
    model = mb.GPT2LMHeadModel(mb.GPT2Config(
        vocab_size=len(tokenizer), n_embd=64, n_layer=2, n_head=4, n_positions=CONTEXT,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=end, eos_token_id=end), rng=1)
    train(model, objective, "gpt", steps)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
