"""The options of `pretrain`: complete and checked, from the command line or from a run's state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from minibert.cli.arguments import flag_name
from minibert.cli.defaults import (COMMON, CORPUS, EVALUATIONS, LONGEST_WARMUP, MIN_LR_SHARE,
                                   TABLES, TRAINED)
from minibert.cli.resume import options_from_state, stored
from minibert.data.corpora import FORMATS
from minibert.errors import InputError
from minibert.models.architectures import PRETRAINED_HERE, Architecture
from minibert.models.config import (INITIALIZER_RANGE, ModelConfig, config_from_options,
                                    option_fields, option_values)
from minibert.pretraining.masked_lm import MASK_PROBABILITY
from minibert.training.data_parallel import default_workers
from minibert.training.machine import core_count
from minibert.training.settings import MOST_WORKERS, TrainingSettings, settings_from_state
from minibert.validate import flag, number, one_of, whole_number

SETTINGS = tuple(field.name for field in fields(TrainingSettings))
TOKENIZERS = ("wordpiece", "chars", "bpe")  # bpe only with --from: it is not trained here
MOST_FRAMES = 1000


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
    corpus: str
    tokenizer: str
    vocab_size: int
    context: int
    batch: int
    threads: int
    text: tuple[str, ...] | None = None
    counted_from: str | None = None
    format: str = "prose"
    no_next_sentence: bool = False
    mlm_probability: float = MASK_PROBABILITY
    dupe_factor: int | None = None
    gradient_checkpointing: bool = False
    film: int = 0  # frames
    begun_from: str | None = None

    def __post_init__(self):
        one_of("--corpus", self.corpus, tuple(TABLES))
        one_of("--format", self.format, FORMATS)
        one_of("--tokenizer", self.tokenizer, TOKENIZERS)
        for name in ("vocab_size", "batch"):
            whole_number(flag_name(name), getattr(self, name), 1)
        whole_number("--film", self.film, at_most=MOST_FRAMES)
        whole_number("--threads", self.threads, 1, max(MOST_WORKERS, core_count()))
        whole_number("--context", self.context, 1, self.config.max_position_embeddings)
        number("--mlm-probability", self.mlm_probability, above=0, at_most=1)
        if self.dupe_factor is not None:
            whole_number("--dupe-factor", self.dupe_factor, 1)
        for name in ("no_next_sentence", "gradient_checkpointing"):
            flag(flag_name(name), getattr(self, name))
        if (self.corpus == "text") != bool(self.text) or not all(
                [isinstance(name, str) for name in self.text or ()]):
            raise InputError(f"--text = {self.text!r:.60}: expected the names of files or folders, "
                             "for the corpus 'text' alone")

    def about(self) -> dict:
        """The part of a run's state besides the settings: {name: value}."""
        return {"model": self.architecture.name, **option_values(self.config),
                **stored(self, "architecture", "config", "settings")}


def architecture_named(model: str) -> Architecture:
    """The architecture of `pretrain bert`, `pretrain gpt` or `pretrain bart`."""
    return next(one for one in PRETRAINED_HERE if one.name == model)


def resolved(model: str, given: Mapping[str, object], config: ModelConfig | None = None
             ) -> PretrainOptions:
    """All options of a new training of `model`: those in `given`, by the names of the command
    line, and the tables of defaults.py for the rest. `config`: that of a model to go on with, whose
    sizes count.

    What depends on another option follows it: the final rate the highest one, warmup and
    evaluations the number of steps, workers the size and the threads; and the first weights the
    width: with 1/sqrt(width) a linear layer neither enlarges nor shrinks its input, and a small
    model learns much faster than from the published 0.02 (demos/README.md: "What the toy world
    teaches").
    """
    corpus = given.get("corpus", CORPUS)
    values = {**COMMON, **TABLES[corpus]["both"], **TABLES[corpus][model],
              **({} if config is None else TRAINED), **given}
    architecture = architecture_named(model)
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
    for name in ("batch", "threads", "context"):
        whole_number(flag_name(name), values[name], 1)
    values.setdefault("workers", default_workers(values["batch"], values["context"],
                                                 config.hidden_size, values["threads"]))
    settings = TrainingSettings(**{name: values[name] for name in SETTINGS if name in values})
    text = values.get("text")
    return PretrainOptions(
        architecture, config, settings, corpus, values["tokenizer"], values["vocab_size"],
        values["context"], values["batch"], values["threads"], text,
        os.getcwd() if text else None, values["format"], values["no_next_sentence"],
        values["mlm_probability"], values.get("dupe_factor"), values["gradient_checkpointing"],
        values["film"], values.get("from"))


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
    for name, value in option_values(config).items():
        if about.get(name, value) != value and name not in MAY_DIFFER:
            raise InputError(f"{file}: {name} is {about[name]!r:.60}, but the model beside it has "
                             f"{value}: the file is damaged")
    return options_from_state(PretrainOptions, about, file, architecture=architecture,
                              config=config, settings=settings_from_state(state, file))


def stored_words(options: PretrainOptions) -> dict[str, object]:
    """{name: value} of all options by the names of the command line."""
    return options.about() | asdict(options.settings)
