"""The options of `pretrain`: their defaults for each corpus, complete and checked, from the command
line, from a model to go on with (--from) or from a run's state."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from minibert.atomic_files import read_json
from minibert.cli.arguments import a_name, flag_name, option_field, part_of
from minibert.cli.folders import config_of, model_folders, tokenizer_of
from minibert.cli.resume import options_from_state, stored
from minibert.data.corpora import FORMATS
from minibert.errors import InputError
from minibert.models.architectures import PRETRAINED_HERE, Architecture, architecture_of
from minibert.models.config import (INITIALIZER_RANGE, ModelConfig, config_from_options,
                                    option_fields, option_values)
from minibert.pretraining.masked_lm import MASK_PROBABILITY
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.characters import CharTokenizer
from minibert.training.data_parallel import default_workers
from minibert.training.machine import core_count
from minibert.training.settings import MOST_WORKERS, TrainingSettings, settings_from_state
from minibert.validate import check_fields, checked, flag, number, one_of, whole_number

TOKENIZERS = ("wordpiece", "chars", "bpe")  # bpe only with --from: it is not trained here
MOST_FRAMES = 1000

# ---- defaults ------------------------------------------------------------------------------------

# For every corpus and model, unless the tables below say otherwise; what is in neither has the
# default of PretrainOptions or TrainingSettings.
COMMON = {"tokenizer": "wordpiece", "vocab_size": 4000, "layers": 2, "heads": 4, "width": 64,
          "context": 48, "dropout": 0.0, "position_initializer_range": 0.02, "batch": 32,
          "steps": 2000, "lr": 1e-3, "warmup": 100, "seed": 1}

# Sizes stand under "both"; steps and rates differ by model: the two learn at different speed.
TABLES = {
    # What each of these gives is in demos/README.md: "What the toy world teaches" and "What an
    # optimizer and a masking rate bring".
    "toy": {
        "both": {"film": 24, "lr": 6e-3, "min_lr": 0.0, "schedule": "linear",
                 "betas": (0.9, 0.98), "initializer_range": 0.1,
                 "threads": 1},  # a second one hardly pays at this size
        "bert": {"optimizer": "muon", "steps": 2600, "batch": 32, "warmup": 100,
                 "mlm_probability": 0.25},
        "gpt": {"steps": 900, "batch": 16, "warmup": 50},
        # one layer on each side: not more parameters than GPT's two
        "bart": {"optimizer": "muon", "steps": 2400, "batch": 32, "warmup": 100, "layers": 1,
                 "width": 56, "film": 0},
    },
    "python-docs": {
        "both": {"width": 128, "context": 64, "lr": 2e-3, "betas": (0.9, 0.98),
                 "weight_decay": 0.1},
        "bert": {"optimizer": "muon", "lr": 4e-3, "steps": 4000},
        "bart": {"steps": 4000},
        "gpt": {"lr": 4e-3, "steps": 700},  # a small text: with more it overfits
    },
    # Characters for GPT with the recipe of nanoGPT's README for a laptop's CPU.
    "text": {
        "both": {"layers": 4, "width": 128, "context": 64, "weight_decay": 0.1,
                 "betas": (0.9, 0.99)},
        "bert": {"optimizer": "muon", "lr": 4e-3, "steps": 2000, "batch": 32},
        "bart": {"steps": 2000, "batch": 32},
        "gpt": {"steps": 2000, "batch": 12, "tokenizer": "chars"},
    },
}
# Of a model to go on with (--from): trained weights are changed by small steps.
TRAINED = {"optimizer": "adamw", "lr": 1e-3}

CORPUS = "toy"  # where neither --corpus nor --text is given

MIN_LR_SHARE = 0.1  # the rate at the end, as a share of the highest
EVALUATIONS = 5  # so many, evenly spaced
LONGEST_WARMUP = 0.1  # of the steps

# ---- all options of one training -----------------------------------------------------------------


@dataclass(frozen=True)
class PretrainOptions:
    """All options of one training. Errors: InputError that names the option.

    `config` holds the options of the model; those of its fields that depend on the vocabulary are
    set when there is a tokenizer. `context` is the length of a window in tokens: with `begun_from`
    (--from) it may be less than the model's positions. Relative paths in `text` count from the
    folder `counted_from`.
    """

    architecture: Architecture
    config: ModelConfig
    settings: TrainingSettings
    corpus: str = option_field(one_of, choices=tuple(TABLES))
    tokenizer: str = option_field(one_of, choices=TOKENIZERS)
    vocab_size: int = option_field(whole_number, at_least=1)
    context: int
    batch: int = option_field(whole_number, at_least=1)
    threads: int = option_field(whole_number, at_least=1, at_most=max(MOST_WORKERS, core_count()))
    text: tuple[str, ...] | None = None
    counted_from: str | None = checked(a_name, None, optional=True)
    format: str = option_field(one_of, "prose", choices=FORMATS)
    no_next_sentence: bool = option_field(flag, False)
    mlm_probability: float = option_field(number, MASK_PROBABILITY, above=0, at_most=1)
    dupe_factor: int | None = option_field(whole_number, None, at_least=1)
    gradient_checkpointing: bool = option_field(flag, False)
    film: int = option_field(whole_number, 0, at_most=MOST_FRAMES)  # frames
    begun_from: str | None = None

    def __post_init__(self):
        check_fields(self)
        whole_number("--context", self.context, 1, self.config.max_position_embeddings)
        if (self.corpus == "text") != bool(self.text) or not all(
                [isinstance(name, str) for name in self.text or ()]):
            raise InputError(f"--text = {self.text!r:.60}: expected the names of files or folders, "
                             "for the corpus 'text' alone")

    def about(self) -> dict:
        """The part of a run's state besides the settings: {name: value}."""
        return {"model": self.architecture.name, **option_values(self.config),
                **stored(self, "architecture", "config", "settings")}


def resolved(model: str, given: Mapping[str, object], config: ModelConfig | None = None
             ) -> PretrainOptions:
    """All options of a new training of `model`: those in `given`, by the names of the command
    line, and the tables above for the rest. `config`: that of a model to go on with, whose sizes
    count.

    What depends on another option follows it: the final rate the highest one, warmup and
    evaluations the number of steps, workers the size and the threads; and the first weights the
    width: with 1/sqrt(width) a linear layer neither enlarges nor shrinks its input, and a small
    model learns much faster than from the published 0.02 (demos/README.md: "What the toy world
    teaches").
    """
    corpus = given.get("corpus", CORPUS)
    values = {**COMMON, **TABLES[corpus]["both"], **TABLES[corpus][model],
              **({} if config is None else TRAINED), **given}
    architecture = next(one for one in PRETRAINED_HERE if one.name == model)
    if config is None:
        config = config_from_options(architecture.config_class, values)
        inner = {"bert": ("intermediate_size",), "bart": ("encoder_ffn_dim", "decoder_ffn_dim")}
        config = replace(config, **dict.fromkeys(inner.get(model, ()), 4 * config.hidden_size))
        if "initializer_range" not in values:
            [spread] = option_fields(type(config))[INITIALIZER_RANGE]
            config = replace(config, **{spread.name: config.hidden_size ** -0.5})
    else:
        values["context"] = min(values["context"], config.max_position_embeddings)
    steps = whole_number("--steps", values["steps"], 1)
    values.setdefault("threads", core_count())
    values.setdefault("min_lr", values["lr"] * MIN_LR_SHARE)
    if "warmup" not in given:
        values["warmup"] = min(values["warmup"], int(steps * LONGEST_WARMUP))
    values.setdefault("eval_every", -(-steps // EVALUATIONS))
    values.setdefault("workers", default_workers(values["batch"], values["context"],
                                                 config.hidden_size, values["threads"]))
    values |= {"architecture": architecture, "config": config, "corpus": corpus,
               "settings": TrainingSettings(**part_of(values, TrainingSettings)),
               "counted_from": os.getcwd() if values.get("text") else None,
               "begun_from": values.get("from")}
    return PretrainOptions(**part_of(values, PretrainOptions))


def resolved_from(model: str, given: Mapping[str, object]) -> PretrainOptions:
    """The options of a training that goes on with the `model` in the folder given["from"]: sizes
    and tokenizer are the folder's.

    Errors: InputError, no such model there, an option in `given` that contradicts it, a context of
    more tokens than the model has positions.
    """
    folder = folder_of(given["from"], model)
    _, config = config_of(folder)
    tokenizer = tokenizer_of(folder, config)
    kind = ("chars" if isinstance(tokenizer, CharTokenizer) else
            "bpe" if isinstance(tokenizer, GPT2Tokenizer) else "wordpiece")
    settled = {**option_values(config), "vocab_size": tokenizer.vocab_size, "tokenizer": kind}
    positions = settled.pop("context")
    for name, value in settled.items():
        if given.get(name, value) != value:
            raise InputError(f"{flag_name(name)} is {given[name]}, but the model in {folder} has "
                             f"{value}: leave the option out")
    if given.get("context", 1) > positions:
        raise InputError(f"--context is {given['context']}, but the model in {folder} has "
                         f"{positions} positions: expected at most as many")
    return resolved(model, {**given, **settled}, config)


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


def check_combination(model: str, given: Mapping[str, object]) -> None:
    """Refuse an option that would be ignored. Errors: InputError."""
    if model == "both" and "from" in given:
        raise InputError("--from goes on with one model: pretrain bert, gpt or bart")
    corpus = given.get("corpus", CORPUS)
    if corpus != "text" and "format" in given:
        raise InputError("--format is the layout of --text: give --text, too")
    if "vocab_size" in given and (corpus == "toy" or given.get("tokenizer") == "chars"):
        raise InputError("--vocab-size: only a WordPiece tokenizer that is trained here has a size "
                         "to choose; the toy world's words and a text's characters have a number "
                         "of their own")
    for name, other in options_of_others(model).items():
        if name in given:
            raise InputError(f"{flag_name(name)} is about {other.upper()}: train {other} or both")


def options_of_others(model: str) -> dict[str, str]:
    """{name: other model} of the options that `model` does not have, which another one has."""
    of_training = {"bert": {"no_next_sentence", "mlm_probability", "dupe_factor", "film"},
                   "gpt": {"film"}, "bart": {"mlm_probability"}}
    options = {one.name: {option.name for option in option_fields(one.config_class)}
               | of_training[one.name] for one in PRETRAINED_HERE}
    own = set().union(*options.values()) if model == "both" else options[model]
    return {name: other for other, names in reversed(options.items()) for name in names - own}


# Of a run with --from: a window may be shorter than the model's positions; nothing is drawn.
MAY_DIFFER = ("context", "position_initializer_range")


def from_state(state: Mapping, config: ModelConfig, architecture: Architecture, file: Path
               ) -> PretrainOptions:
    """The options that a run was begun with, from its state.json, the path of which is `file`, and
    the config of its model. Errors: InputError that names the file: a field is missing or wrong, a
    size is not the model's."""
    about = state["about"]
    for name, value in {"model": architecture.name, **option_values(config)}.items():
        if about.get(name, value) != value and name not in MAY_DIFFER:
            raise InputError(f"{file}: {name} is {about[name]!r:.60}, but the model beside it has "
                             f"{value}: the file is damaged")
    return options_from_state(PretrainOptions, about, file, architecture=architecture,
                              config=config, settings=settings_from_state(state, file))
