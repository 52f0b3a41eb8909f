"""`embed`: texts as vectors; similar texts have similar ones, if the model was trained for it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from minibert.ancestors.model import AncestorModel
from minibert.autograd.fused.threads import parallel_for
from minibert.autograd.tensor import no_grad
from minibert.cli.arguments import add_run
from minibert.cli.folders import ENCODERS, open_ancestor, open_model, warn_of_unknown_words
from minibert.cli.pooling import Pooling, pool, read_pooling
from minibert.errors import InputError
from minibert.models.bert import BertModel
from minibert.nn.module import evaluating
from minibert.tokenizers.base import Tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("texts", nargs="+", metavar="TEXT")


def run(folder: str, texts: list[str]) -> int:
    """Print a line of numbers for each text, as np.loadtxt reads them; in comments the cosines of
    each text with all."""
    where, pooling = read_pooling(Path(folder))
    model, tokenizer = (open_ancestor(str(where), "vectors")
                        or open_model(str(where), ENCODERS, "embed"))
    if not hasattr(tokenizer, "pad_token_id"):
        raise InputError(f"{folder}: its tokenizer has no padding: embed needs a BertTokenizer or "
                         "RobertaTokenizer")
    warn_of_unknown_words(tokenizer, texts)
    if isinstance(model, AncestorModel):
        vectors = ancestor_vectors(model, tokenizer, texts)
    else:
        vectors = embed(model, tokenizer, texts, pooling=pooling)
    np.savetxt(sys.stdout, vectors, fmt="%9.6f")
    if len(vectors) > 1:
        print("# cosines")
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for text, row in zip(texts, units @ units.T):
            print("#", " ".join([f"{cosine:6.3f}" for cosine in row]), f" {text!r}")
    return 0


def ancestor_vectors(model: AncestorModel, tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """One vector per text, (N, C): the mean over its tokens, of length 1. Errors: InputError for a
    text without tokens."""
    vectors = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False)
        if not ids:
            raise InputError(f"embed: {text!r:.60} has no token")
        vectors.append(model.vectors(np.array([ids]))[0].mean(axis=0))
    return np.stack(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)


def embed(model: BertModel, tokenizer: Tokenizer, texts: list[str],
          batch_size: int = 32, pooling: Pooling = Pooling()) -> np.ndarray:
    """One vector per text, (N, C times the number of modes): the last hidden states, pooled.

    Texts of similar length share a batch, so that little is padded; what is beyond
    `pooling.longest` tokens, the tokenizer's model_max_length or the model's positions is cut off.
    """
    limits = (pooling.longest, tokenizer.model_max_length, model.config.context_length)
    longest = min(limit for limit in limits if limit is not None)
    encoded = [tokenizer(text, truncation=True, max_length=longest) for text in texts]
    order = sorted(range(len(texts)), key=[len(row["input_ids"]) for row in encoded].__getitem__)
    batches = [order[start:start + batch_size] for start in range(0, len(order), batch_size)]
    width = model.config.hidden_size * len(pooling.modes)
    vectors = np.empty((len(texts), width), np.float32)

    def fill(rows: list[int]) -> None:
        T = len(encoded[rows[-1]]["input_ids"])
        ids, mask = np.full((2, len(rows), T), [[[tokenizer.pad_token_id]], [[0]]])  # (B, T) each
        for b, i in enumerate(rows):
            n = len(encoded[i]["input_ids"])
            ids[b, :n], mask[b, :n] = encoded[i]["input_ids"], 1
        hidden = model(ids, attention_mask=mask).last_hidden_state.data  # (B, T, C)
        pooled = pool(hidden, mask, pooling.modes)
        if pooling.normalize:
            pooled = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        vectors[rows] = pooled

    with evaluating(model), no_grad():
        parallel_for(fill, batches)
    if not np.isfinite(vectors).all():
        raise InputError("embed: the model's vectors are NaN or infinite: its weights are damaged "
                         "or too large")
    return vectors
