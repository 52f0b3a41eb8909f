"""From a folder to a model and its tokenizer: the folder of a run, of two, or of a model."""

from __future__ import annotations

import json
from pathlib import Path

from minibert.errors import InputError
from minibert.models.bert import (BertForMaskedLM, BertForNextSentencePrediction,
                                  BertForPreTraining,
                                  BertModel)
from minibert.models.gpt import GPT2LMHeadModel
from minibert.text.characters import load_tokenizer
from minibert.training.runs import Run

# The classes with a head for each question, the likeliest first.
MASKED_LM = (BertForPreTraining, BertForMaskedLM)
NEXT_SENTENCE = (BertForPreTraining, BertForNextSentencePrediction)
LANGUAGE_MODEL = (GPT2LMHeadModel,)
ANY_MODEL = (BertForPreTraining, BertForMaskedLM, BertForNextSentencePrediction, BertModel,
             GPT2LMHeadModel)


def find_run(path: str) -> Run:
    """The run at `path`. Errors: no folder, no run in it."""
    run = Run(path)
    if not run.path.is_dir():
        raise InputError(f"{path}: there is no such folder: expected a run, as pretrain --out "
                         f"makes them")
    if run.checkpoint("latest") is None:
        halves = [name for name in ("bert", "gpt") if Run(run.path / name).checkpoint("latest")]
        hint = f"name one of its runs: {' or '.join(str(run.path / name) for name in halves)}" \
            if halves else "expected a run, as pretrain --out makes them"
        raise InputError(f"{path}: no run is in this folder: {hint}")
    return run


def open_model(path: str, classes: tuple[type, ...], purpose: str) -> tuple:
    """(model in eval mode, tokenizer) from the best checkpoint of a run, or from a model's folder.

    Errors: no such folder, damaged files, a model that is none of `classes` (whose `purpose` says
    what they are wanted for).
    """
    seen = []
    for folder in _candidates(Path(path)):
        name = _class_name(folder)
        for model_class in classes:
            if model_class.__name__ == name:
                model = model_class.from_pretrained(folder)
                return model, load_tokenizer(folder, model.config.vocab_size)
        seen.append(name)
    if not seen:
        raise InputError(f"{path}: neither a run nor a model's folder (config.json, "
                         f"model.safetensors)")
    wanted = " or ".join([model_class.__name__ for model_class in classes])
    raise InputError(f"{path}: holds {' and '.join(seen)}: {purpose} needs {wanted}")


def _candidates(path: Path) -> list[Path]:
    """The folders with a model that `path` may stand for; for a `pretrain both` there are two."""
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder")
    if (path / "config.json").exists():
        return [path]
    runs = [Run(path), Run(path / "bert"), Run(path / "gpt")]
    return [folder for run in runs
            if (folder := run.checkpoint("best") or run.checkpoint("latest")) is not None]


def _class_name(folder: Path) -> str:
    """The class that wrote the folder."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        name = config["architectures"][0]
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: names no architecture ({error}): expected a config.json as "
                         "save_pretrained writes it") from None
    return str(name)
