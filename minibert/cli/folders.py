"""Folders of runs and of models: from the name of one to a model and its tokenizer."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from minibert.ancestors.folders import ancestor_class
from minibert.ancestors.model import AncestorConfig, AncestorModel
from minibert.atomic_files import read_json
from minibert.checkpoints.hugging_face import load_folder
from minibert.errors import InputError
from minibert.models.architectures import (BART, BERT, DISTILBERT, GPT, ROBERTA, Architecture,
                                           architecture_of, class_name)
from minibert.models.bert import BertForPreTraining
from minibert.models.bert_tasks import BertForMaskedLM, BertForNextSentencePrediction
from minibert.models.config import ModelConfig, config_from_dict, option_values
from minibert.models.pretrained_model import PretrainedModel
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.characters import CharTokenizer, load_tokenizer
from minibert.training.run_folder import Run

# The classes with the head for each purpose, the preferred one first.
MASKED_LM = (BertForPreTraining, BertForMaskedLM, ROBERTA.pretraining, DISTILBERT.pretraining)
NEXT_SENTENCE = (BertForPreTraining, BertForNextSentencePrediction)
LANGUAGE_MODEL = (GPT.pretraining,)
GENERATORS = (GPT.pretraining, BART.pretraining)
ENCODERS = (BERT.bare, ROBERTA.bare, DISTILBERT.bare)
QUESTIONS = {"score": "next_word", "fill-mask": "gap", "embed": "vectors"}  # to older models
ANY_MODEL = (BERT.pretraining, *BERT.other_pretraining, GPT.pretraining, ROBERTA.pretraining,
             DISTILBERT.pretraining, *ENCODERS)


def find_run(name: str) -> Run:
    """The run in the folder `name`. Errors: InputError, no folder, no run in it."""
    run = Run(name)
    if not run.path.is_dir():
        raise InputError(f"{name}: there is no such folder: expected a run, as pretrain --out "
                         "makes them")
    if run.checkpoint("latest") is None:
        halves = [half for half in ("bert", "gpt") if Run(run.path / half).checkpoint("latest")]
        hint = "expected a run, as pretrain --out makes them"
        if halves:
            hint = f"name one of its runs: {' or '.join(str(run.path / half) for half in halves)}"
        raise InputError(f"{name}: no run is in this folder: {hint}")
    return run


def find_run_or_model(name: str) -> Run | Path:
    """The run in the folder `name`, or the folder itself if it holds a model (a checkpoint of a
    run, or what Hugging Face's classes wrote). Errors: InputError where there is neither."""
    return Path(name) if (Path(name) / "config.json").exists() else find_run(name)


def open_model(name: str, classes: tuple[type[PretrainedModel], ...], purpose: str
               ) -> tuple[PretrainedModel | AncestorModel, Tokenizer]:
    """(model in eval mode, tokenizer) from the best checkpoint of a run, or from a model's folder.

    The class that wrote the folder is taken if it is one of `classes`, else the first of them whose
    weights are all there (a bare BERT needs no pooler). An older model (ancestors/) is opened for
    the commands in QUESTIONS. Errors: InputError, no such folder, damaged files, a model without
    the weights that `purpose` needs or without an answer to its question.
    """
    found, question = [], QUESTIONS.get(purpose)
    for folder in model_folders(name):
        values = read_json(folder / "config.json")
        ancestor = ancestor_class(values)
        if ancestor is not None and question is None:
            commands = [command for command, asked in QUESTIONS.items()
                        if asked not in ancestor.unanswered]
            raise InputError(f"{name}: holds {kind_of(values)}, which is no Transformer: {purpose} "
                             f"has nothing to read in it; there are {', '.join(commands)} and info")
        if ancestor is not None:
            model = ancestor.from_pretrained(folder)
            if question in model.unanswered:
                raise InputError(f"{name}: {model.no_answer(question)}")
            return model, _tokenizer_for(folder, model.config)
        try:
            config_class = architecture_of(values).config_class
        except InputError:  # named below
            config_class = None
        fitting = [one for one in classes if one.config_class is config_class]
        for model_class in sorted(fitting, key=lambda one: one.__name__ != class_name(values)):
            model, info = model_class.from_pretrained(folder, output_loading_info=True)
            if all([weight.startswith("pooler.") for weight in info["missing_keys"]]):
                return model, _tokenizer_for(folder, model.config)
        found.append(kind_of(values))
    wanted = " or ".join([model_class.__name__ for model_class in classes])
    cure = "; generate and info read it" if found == [BART.pretraining.__name__] else ""
    raise InputError(f"{name}: holds {' and '.join(found)}: {purpose} needs the weights of "
                     f"{wanted}{cure}")


def model_folders(name: str) -> list[Path]:
    """The folders with a model that `name` may stand for; for a `pretrain both` there are two.
    Errors: InputError, there is none."""
    folder = Path(name)
    if not folder.is_dir():
        raise InputError(f"{name}: there is no such folder: expected that of a run or of a model")
    if (folder / "config.json").exists():
        return [folder]
    runs = [Run(folder), Run(folder / "bert"), Run(folder / "gpt")]
    found = [checkpoint for run in runs
             if (checkpoint := run.checkpoint("best") or run.checkpoint("latest")) is not None]
    if not found:
        raise InputError(f"{name}: neither a run nor a model's folder (config.json, "
                         "model.safetensors)")
    return found


def kind_of(values: Mapping) -> str:
    """The class that wrote a config.json or, where it does not say, the kind of model."""
    return class_name(values) or f"a model of type {values.get('model_type')!r:.60}"


def config_of(folder: str | Path) -> tuple[Architecture, ModelConfig]:
    """The architecture and the config of a model's folder, whatever its heads. Errors: InputError
    that names the file."""
    values, _ = load_folder(folder)
    try:
        architecture = architecture_of(values)
        return architecture, config_from_dict(architecture.config_class, values)
    except InputError as error:
        raise InputError(f"{Path(folder) / 'config.json'}: {error}") from None


def _tokenizer_for(folder: str | Path, config: ModelConfig | AncestorConfig) -> Tokenizer:
    """The tokenizer of a model's folder; without segments where the model has one or none."""
    tokenizer = load_tokenizer(folder, config.vocab_size)
    tokenizer.has_segments &= getattr(config, "type_vocab_size", 2) > 1
    return tokenizer


def tokenizer_of(folder: str | Path, config: ModelConfig) -> Tokenizer:
    """The tokenizer of a model's folder, as it is when a model trains: characters that it does not
    have are unknown, not an error."""
    tokenizer = _tokenizer_for(folder, config)
    if isinstance(tokenizer, CharTokenizer):
        tokenizer.errors = "replace"
    return tokenizer


def warn_of_unknown_words(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Warn, in one line, about the words that are read as the unknown token."""
    words = []
    for text in texts:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        words += [text[start:end] for i, (start, end) in zip(encoded["input_ids"],
                                                             encoded["offset_mapping"])
                  if i == getattr(tokenizer, "unk_token_id", None)]
    words = [word for word in dict.fromkeys(words) if word != tokenizer.unk_token]
    if words:
        warnings.warn(f"not in the vocabulary and read as {tokenizer.unk_token}: "
                      f"{', '.join(words):.200}")


def description(folder: Path) -> dict[str, object]:
    """The architecture, sizes and labels of a model's folder, under the names of the options."""
    ancestor = ancestor_class(read_json(folder / "config.json"))
    if ancestor is not None:
        model = ancestor.from_pretrained(folder)
        return {"model": model.config.model_type, "class": ancestor.__name__,
                **asdict(model.config), "weights": f"{model.parameter_count():,}"}
    architecture, config = config_of(folder)
    values, file = load_folder(folder)
    found = {"model": architecture.name, "class": kind_of(values), **option_values(config),
             "context": config.context_length, "vocab_size": config.vocab_size,
             "weights": f"{sum([math.prod(file.shape(name)) for name in file]):,}"}
    if config.id2label != type(config)().id2label:
        found["labels"] = list(config.id2label.values())
    return found
