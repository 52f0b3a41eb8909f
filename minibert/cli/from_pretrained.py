"""`pretrain --from`: going on with a model and a tokenizer that are there already."""

from __future__ import annotations

from pathlib import Path

from minibert.atomic_files import read_json
from minibert.cli.folders import model_folders
from minibert.errors import InputError
from minibert.models.bert import BertForPreTraining
from minibert.models.config import config_from_dict
from minibert.models.gpt import GPT2LMHeadModel
from minibert.models.pretrained_model import PretrainedModel
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.characters import CharTokenizer, load_tokenizer

CLASSES = {"bert": BertForPreTraining, "gpt": GPT2LMHeadModel}


def settled_by(path: str, which: str, given: dict) -> dict:
    """The options of `pretrain` that the folder at `path` settles: its sizes and its tokenizer.

    Errors: no such model there, an option in `given` that says something else, a context of more
    tokens than the model has positions.
    """
    folder = folder_of(path, which)
    config = config_from_dict(CLASSES[which].config_class, read_json(folder / "config.json"))
    tokenizer = load_tokenizer(folder, config.vocab_size)
    settled = {"layers": config.num_hidden_layers, "heads": config.num_attention_heads,
               "width": config.hidden_size, "vocab_size": tokenizer.vocab_size,
               "tokenizer": _kind(tokenizer), "initializer_range": config.initializer_range}
    if which == "bert":
        settled |= {"dropout": config.hidden_dropout_prob, "norm_first": config.norm_first}
    else:
        settled["dropout"] = config.resid_pdrop
    for name, value in settled.items():
        if given.get(name, value) != value:
            raise InputError(f"--{name.replace('_', '-')} is {given[name]}, but the model in "
                             f"{folder} has {value}: leave the option out")
    positions = config.max_position_embeddings
    if given.get("context", 1) > positions:
        raise InputError(f"--context is {given['context']}, but the model in {folder} has "
                         f"{positions} positions: ask for fewer tokens")
    return settled | {"positions": positions}


def _kind(tokenizer: Tokenizer) -> str:
    if isinstance(tokenizer, CharTokenizer):
        return "chars"
    return "bpe" if isinstance(tokenizer, GPT2Tokenizer) else "wordpiece"


def folder_of(path: str, which: str) -> Path:
    """The folder of the "bert" or "gpt" that `path` (a run, or a model's folder) holds."""
    seen = []
    for folder in model_folders(path):
        kind = read_json(folder / "config.json").get("model_type")
        if str(kind).split("_")[0] == CLASSES[which].config_class.family:
            return folder
        seen.append(f"a model of type {kind!r:.60}")
    raise InputError(f"{path}: holds {' and '.join(seen)}: pretrain {which} --from needs a "
                     f"{which.upper()}")


def opened(folder: Path, which: str) -> tuple[PretrainedModel, Tokenizer]:
    """The model, with the heads that training needs (a warning names those that are new), and its
    tokenizer."""
    model = CLASSES[which].from_pretrained(folder).float()
    tokenizer = load_tokenizer(folder, model.config.vocab_size)
    if isinstance(tokenizer, CharTokenizer):
        tokenizer.errors = "replace"  # as when it was trained: what is new is unknown
    return model, tokenizer
