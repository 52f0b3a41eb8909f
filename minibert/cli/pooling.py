"""Pooling: from the vectors of a text's tokens to one vector, as sentence-transformers stores it.

modules.json names the steps (a Transformer, a Pooling, a Normalize), 1_Pooling/config.json how the
tokens are pooled, sentence_bert_config.json how many of them count.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibert.atomic_files import parse_json, read_bytes, read_json
from minibert.checkpoints.folder_keys import (CONFIG_SENTENCE_TRANSFORMERS, POOLING,
                                              SENTENCE_BERT_CONFIG, check_keys)
from minibert.errors import InputError
from minibert.validate import whole_number

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
# Before sentence-transformers 5.3 each mode had a key of its own.
_KEYS = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max",
         "pooling_mode_mean_tokens": "mean",
         "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
         "pooling_mode_weightedmean_tokens": "weightedmean",
         "pooling_mode_lasttoken": "lasttoken"}


class Pooling(NamedTuple):
    """From a text to one vector: the modes, whose vectors are joined; whether the vector is
    divided by its length; the longest text in tokens (None: as long as the model reads)."""

    modes: tuple[str, ...] = ("mean",)
    normalize: bool = True
    longest: int | None = None


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
