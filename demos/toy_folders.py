"""Trains small models on the toy world, for demos that are called without a folder."""

from __future__ import annotations

from pathlib import Path

import minibert as mb
from minibert.autograd.fused.threads import set_blas_threads
from minibert.cli.build_trainer import make_trainer
from minibert.cli.pretrain_options import resolved
from minibert.data.corpora import Corpus, toy_corpus
from minibert.training.machine import keep_freed_memory
from minibert.training.report import Report, SilentReport
from minibert.training.trainer import Trainer

CONTEXT = 48


def make_bert_folder(folder: Path, steps: int, more_text: str) -> None:
    """Saves a BertModel with WordPiece whose alphabet includes `more_text`'s characters."""
    corpus = toy_corpus(n_documents=2000, n_held_out=50)
    tokenizer = mb.BertTokenizer.train([*corpus.train_texts, more_text, more_text], 400)
    model = mb.BertForPreTraining(mb.BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=256, max_position_embeddings=CONTEXT, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, initializer_range=0.1), rng=1)
    model = trained(model, tokenizer, folder, "bert", steps, corpus)
    model.bert.save_pretrained(folder)  # without the pre-training heads


def make_gpt2_folder(folder: Path, steps: int) -> None:
    """Saves a GPT-2 with byte-level BPE, which encodes any text."""
    corpus = toy_corpus(n_documents=2000, n_held_out=50)
    tokenizer = mb.GPT2Tokenizer.train(corpus.train_texts, 400)
    end = tokenizer.eos_token_id
    model = mb.GPT2LMHeadModel(mb.GPT2Config(
        vocab_size=len(tokenizer), n_embd=64, n_layer=2, n_head=4, n_positions=CONTEXT,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=end, eos_token_id=end), rng=1)
    trained(model, tokenizer, folder, "gpt", steps, corpus).save_pretrained(folder)


def toy_trainer(which: str, steps: int) -> Trainer:
    """Returns the trainer of the BERT or GPT that `pretrain` makes (2 layers, 4 heads, width 64, a
    token for each word), after `steps`; its model is in eval mode."""
    keep_freed_memory()
    set_blas_threads(1)
    print(f"training a {which.upper()} on the toy world: {steps} steps")
    corpus = toy_corpus(n_documents=1000, n_held_out=20)
    recipe = resolved(which, {"corpus": "toy", "steps": steps, "eval_every": 0})
    trainer = make_trainer(recipe, corpus, SilentReport())
    trainer.run()
    trainer.model.eval()
    return trainer


def trained(model, tokenizer, folder: Path, which: str, steps: int, corpus: Corpus):
    """Returns the model after `steps` of `pretrain --from folder`; saves the tokenizer there."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time
    print(f"training a small {which.upper()} on the toy world: {steps} steps")
    recipe = resolved(which, {"corpus": "toy", "context": CONTEXT, "steps": steps, "eval_every": 0})
    trainer = make_trainer(recipe, corpus, Report(), begun=folder)
    trainer.run()
    print()
    return trainer.model
