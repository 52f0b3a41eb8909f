"""`embed`: texts as vectors; similar texts have similar ones, if the model was trained for it.

The vectors of a text's tokens are pooled to one as sentence-transformers stores it: modules.json
names the steps (a Transformer, a Pooling, a Normalize), 1_Pooling/config.json how the tokens are
pooled, sentence_bert_config.json how many of them count.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibert.ancestors.model import AncestorModel
from minibert.atomic_files import parse_json, read_bytes, read_json
from minibert.autograd.fused.threads import parallel_for
from minibert.autograd.tensor import no_grad
from minibert.checkpoints.folder_keys import (CONFIG_SENTENCE_TRANSFORMERS, POOLING,
                                              SENTENCE_BERT_CONFIG, check_keys)
from minibert.cli.arguments import add_run
from minibert.cli.folders import ENCODERS, open_model, warn_of_unknown_words
from minibert.errors import InputError
from minibert.models.bert import BertModel
from minibert.nn.module import evaluating
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number

# The modes by the keys that they had before sentence-transformers 5.3.
_KEYS = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max",
         "pooling_mode_mean_tokens": "mean",
         "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
         "pooling_mode_weightedmean_tokens": "weightedmean",
         "pooling_mode_lasttoken": "lasttoken"}
MODES = tuple(_KEYS.values())


class Pooling(NamedTuple):
    """From a text to one vector: the modes, whose vectors are joined; whether the vector is
    divided by its length; the longest text in tokens (None: as long as the model reads)."""

    modes: tuple[str, ...] = ("mean",)
    normalize: bool = True
    longest: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("texts", nargs="+", metavar="TEXT")


def run(folder: str, texts: list[str]) -> int:
    """Print a line of numbers for each text, as np.loadtxt reads them; in comments the cosines of
    each text with all."""
    where, pooling = read_pooling(Path(folder))
    model, tokenizer = open_model(str(where), ENCODERS, "embed")
    if not isinstance(model, AncestorModel) and not hasattr(tokenizer, "pad_token_id"):
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


def read_pooling(folder: Path) -> tuple[Path, Pooling]:
    """(the folder of the model, its pooling); the mean of all tokens where there is no
    modules.json. Errors: InputError for steps and settings that are not supported."""
    path = folder / "modules.json"
    if not path.exists():
        return folder, Pooling()
    steps = parse_json(b'{"modules": ' + read_bytes(path) + b"}", str(path))["modules"]
    try:
        names = [str(step["type"]).rpartition(".")[2] for step in steps]
        folders = [folder / step["path"] for step in steps]
    except (TypeError, KeyError):
        raise InputError(f"{path}: expected a list of objects with type and path") from None
    if names not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise InputError(f"{path}: the modules {', '.join(names)!r:.100} are not supported: "
                         "expected Transformer, Pooling and perhaps Normalize")
    path = folder / "config_sentence_transformers.json"
    if path.exists():
        check_keys(path, read_json(path), CONFIG_SENTENCE_TRANSFORMERS)
    longest = None
    path = folders[0] / "sentence_bert_config.json"
    if path.exists():
        values = read_json(path)
        check_keys(path, values, SENTENCE_BERT_CONFIG)
        longest = values.get("max_seq_length")
        if longest is not None:
            longest = whole_number(f"{path}: max_seq_length", longest, 1)
    path = folders[1] / "config.json"
    values = read_json(path)
    check_keys(path, values, POOLING)
    modes = values.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _KEYS.items() if values.get(key)] or ["mean"]
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or not set(modes) <= set(MODES):
        raise InputError(f"{path}: pooling_mode is {modes!r:.100}: expected some of "
                         f"{', '.join(MODES)}")
    return folders[0], Pooling(modes, len(names) == 3, longest)


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


def pool(hidden: np.ndarray, mask: np.ndarray, modes: tuple[str, ...]) -> np.ndarray:
    """hidden (B, T, C), mask (B, T), 1 at tokens, padding on the right -> (B, C * len(modes)).

    mean is Reimers and Gurevych 2019, "Sentence-BERT", section 3; weightedmean (Muennighoff 2022,
    "SGPT", equation 2) weighs token t by its position.
    """
    n = mask.sum(axis=1, keepdims=True)  # (B, 1)
    position = mask * np.arange(1, mask.shape[1] + 1)  # (B, T)
    weights = {"cls": position == 1, "lasttoken": position == n, "mean": mask / n,
               "mean_sqrt_len_tokens": mask / np.sqrt(n),
               "weightedmean": position / position.sum(axis=1, keepdims=True)}
    vectors = []
    for mode in modes:
        if mode == "max":
            vectors.append(np.where(mask[:, :, None] == 1, hidden, -np.inf).max(axis=1))
        else:
            vectors.append(np.matmul(weights[mode].astype(hidden.dtype)[:, None], hidden)[:, 0])
    return np.concatenate(vectors, axis=1)
