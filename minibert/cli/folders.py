"""From a folder to a model and its tokenizer: the folder of a run, of two, or of a model."""

from __future__ import annotations

from pathlib import Path

from minibert.atomic_files import read_json
from minibert.errors import InputError
from minibert.models.bert import (BertForMaskedLM, BertForNextSentencePrediction,
                                  BertForPreTraining, BertModel)
from minibert.models.gpt import GPT2LMHeadModel
from minibert.tokenizers.characters import load_tokenizer
from minibert.training.run_folder import Run

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
                         "makes them")
    if run.checkpoint("latest") is None:
        halves = [name for name in ("bert", "gpt") if Run(run.path / name).checkpoint("latest")]
        hint = "expected a run, as pretrain --out makes them"
        if halves:
            hint = f"name one of its runs: {' or '.join(str(run.path / name) for name in halves)}"
        raise InputError(f"{path}: no run is in this folder: {hint}")
    return run


def open_model(path: str, classes: tuple[type, ...], purpose: str) -> tuple:
    """(model in eval mode, tokenizer) from the best checkpoint of a run, or from a model's folder,
    also one that Hugging Face's classes wrote.

    The class that wrote the folder is taken if it is one of `classes`, else the first of them whose
    weights are all there (a bare BERT does without its pooler). Errors: no such folder, damaged
    files, a model without the weights that `purpose` needs.
    """
    seen = []
    for folder in model_folders(path):
        config = read_json(folder / "config.json")
        for model_class in _fitting(config, classes):
            model, info = model_class.from_pretrained(folder, output_loading_info=True)
            if all([name.startswith("pooler.") for name in info["missing_keys"]]):
                return model, load_tokenizer(folder, model.config.vocab_size)
        seen.append(_class_name(config))
    wanted = " or ".join([model_class.__name__ for model_class in classes])
    raise InputError(f"{path}: holds {' and '.join(seen)}: {purpose} needs the weights of {wanted}")


def model_folders(path: str) -> list[Path]:
    """The folders with a model that `path` may stand for; for a `pretrain both` there are two.
    Errors: there is none."""
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{path}: there is no such folder: expected that of a run or of a model")
    if (folder / "config.json").exists():
        return [folder]
    runs = [Run(folder), Run(folder / "bert"), Run(folder / "gpt")]
    found = [checkpoint for run in runs
             if (checkpoint := run.checkpoint("best") or run.checkpoint("latest")) is not None]
    if not found:
        raise InputError(f"{path}: neither a run nor a model's folder (config.json, "
                         "model.safetensors)")
    return found


def _fitting(config: dict, classes: tuple[type, ...]) -> list[type]:
    """Those of `classes` that are of the folder's kind, the one that wrote it first."""
    fitting = [model_class for model_class in classes
               if str(config.get("model_type")).split("_")[0] == model_class.config_class.family]
    name = _class_name(config)
    return ([model_class for model_class in fitting if model_class.__name__ == name]
            + [model_class for model_class in fitting if model_class.__name__ != name])


def _class_name(config: dict) -> str:
    """The class that wrote the folder; the kind of model where it does not say."""
    names = config.get("architectures")
    if isinstance(names, list) and names and isinstance(names[0], str):
        return names[0]
    return f"a model of type {config.get('model_type')!r:.60}"
