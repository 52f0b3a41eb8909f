"""`pretrain --from`: pre-training that goes on with a stored model and its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from minibert.atomic_files import read_json
from minibert.cli.arguments import flag_name
from minibert.cli.folders import config_of, model_folders, tokenizer_of
from minibert.cli.pretrain_options import PretrainOptions, resolved
from minibert.errors import InputError
from minibert.models.architectures import Architecture, architecture_of
from minibert.models.config import option_values
from minibert.models.pretrained_model import PretrainedModel
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.characters import CharTokenizer


def resolved_from(model: str, given: Mapping[str, object]) -> PretrainOptions:
    """The options of a training that goes on with the `model` in the folder given["from"]: sizes
    and tokenizer are the folder's.

    Errors: InputError, no such model there, an option in `given` that contradicts it, a context of
    more tokens than the model has positions.
    """
    folder = folder_of(given["from"], model)
    _, config = config_of(folder)
    tokenizer = tokenizer_of(folder, config)
    settled = option_values(config) | {"vocab_size": tokenizer.vocab_size,
                                       "tokenizer": _kind(tokenizer)}
    positions = settled.pop("context")
    for name, value in settled.items():
        if given.get(name, value) != value:
            raise InputError(f"{flag_name(name)} is {given[name]}, but the model in {folder} has "
                             f"{value}: leave the option out")
    if given.get("context", 1) > positions:
        raise InputError(f"--context is {given['context']}, but the model in {folder} has "
                         f"{positions} positions: expected at most as many")
    return resolved(model, {**given, **settled}, config)


def _kind(tokenizer: Tokenizer) -> str:
    if isinstance(tokenizer, CharTokenizer):
        return "chars"
    return "bpe" if isinstance(tokenizer, GPT2Tokenizer) else "wordpiece"


def folder_of(name: str, model: str) -> Path:
    """The folder of the `model` that `name` (a run, or a model's folder) holds. Errors:
    InputError, another model."""
    found = []
    for folder in model_folders(name):
        values = read_json(folder / "config.json")
        try:
            if architecture_of(values).name == model:
                return folder
        except InputError:  # named below
            pass
        found.append(f"a model of type {values.get('model_type')!r:.60}")
    raise InputError(f"{name}: holds {' and '.join(found)}: pretrain {model} --from needs a "
                     f"{model.upper()}")


def opened(folder: Path, architecture: Architecture) -> tuple[PretrainedModel, Tokenizer]:
    """The model of a folder in float32, with the heads that pre-training needs (a warning names
    those that are new), and its tokenizer."""
    model = architecture.pretraining.from_pretrained(folder).float()
    return model, tokenizer_of(folder, model.config)
