"""What a model is built from, under Hugging Face's names and with its defaults.

A config does not change once it is made: `dataclasses.replace(config, n_layer=2)` makes another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import ClassVar

from minibert.errors import InputError
from minibert.models.labels import LabelFields
from minibert.nn.layers import ACTIVATIONS

# Switches of Hugging Face's configurations that change what a model computes, and the only value
# that is built here. All other unknown fields of a config.json are about saving and generating.
_ONLY = {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute",
         "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False}

_MAY_BE_NONE = ("classifier_dropout", "position_initializer_range")  # another field stands for them


def config_from_dict(config_class: type, values: Mapping, changes: Mapping | None = None
                     ) -> BertConfig | GPT2Config:
    """The config that a config.json describes; an InputError where it asks for what is not here.

    `changes` are fields of the config that take the place of the file's. New labels take the place
    of all that the file says of labels.
    """
    if values["model_type"] not in config_class.model_types:
        raise InputError(f"a model of type {values['model_type']!r:.60} is none for "
                         f"{config_class.__name__}")
    for name, only in _ONLY.items():
        if values.get(name, only) != only:
            raise InputError(f"{name} = {values[name]!r:.60} is not supported, only {only!r}")
    known = {field.name for field in fields(config_class)}
    values = {name: value for name, value in values.items() if name in known}
    changes = changes or {}
    for name in changes:
        if name not in known:
            raise InputError(f"there is no field {name} of {config_class.__name__}")
    if "num_labels" in changes or "id2label" in changes:
        values |= {"num_labels": None, "id2label": None, "problem_type": None}
    return config_class(**values | changes)


def _check(config: object, sizes: str, probabilities: str, activation: str) -> None:
    """Sizes are positive, probabilities (and the eps) in [0, 1), the activation is known and the
    heads fit. `sizes` and `probabilities` are names of fields."""
    what = type(config).__name__
    for name in sizes.split():
        value = getattr(config, name)
        if type(value) is not int or value < 1:
            raise InputError(f"{what}: {name} = {value!r:.60}: expected a whole number from 1")
    for name in (*probabilities.split(), "initializer_range", "position_initializer_range"):
        value = getattr(config, name, None)
        most = math.inf if name.endswith("initializer_range") else 1
        if value is None and name in _MAY_BE_NONE:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < most:
            raise InputError(f"{what}: {name} = {value!r:.60}: expected a number from 0, below "
                             f"{most}")
    for name in ("tie_word_embeddings", "norm_first"):
        if not isinstance(getattr(config, name, False), bool):
            raise InputError(f"{what}: {name} = {getattr(config, name)!r:.60}: "
                             "expected true or false")
    if config.pad_token_id is not None and type(config.pad_token_id) is not int:
        raise InputError(f"{what}: pad_token_id = {config.pad_token_id!r:.60}: expected the id of "
                         "a token, or nothing")
    if getattr(config, activation) not in ACTIVATIONS:
        raise InputError(f"{what}: {activation} = {getattr(config, activation)!r:.60} is unknown: "
                         f"use one of {', '.join(ACTIVATIONS)}")
    if config.hidden_size % config.num_attention_heads:
        raise InputError(f"{what}: a width of {config.hidden_size} cannot be split into "
                         f"{config.num_attention_heads} heads: choose a multiple")


@dataclass(frozen=True)
class BertConfig(LabelFields):
    """Hugging Face's BertConfig. `classifier_dropout` None stands for hidden_dropout_prob.

    Two fields are ours: `norm_first`, layer norm before the branches, as in GPT-2; and
    `position_initializer_range`, which None makes the same as `initializer_range`: positions that
    begin smaller than the words let attention find like words first."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    classifier_dropout: float | None = None
    pad_token_id: int | None = 0
    tie_word_embeddings: bool = True
    norm_first: bool = False
    position_initializer_range: float | None = None

    model_types: ClassVar = ("bert", "bert_norm_first")

    def __post_init__(self):
        _check(self, "vocab_size hidden_size num_hidden_layers num_attention_heads "
               "intermediate_size max_position_embeddings type_vocab_size",
               "hidden_dropout_prob attention_probs_dropout_prob layer_norm_eps classifier_dropout",
               "hidden_act")
        self.name_labels()

    @property
    def model_type(self) -> str:
        """Under another name where norm comes first, since Hugging Face's BERT would open such a
        model and compute something else."""
        return self.model_types[self.norm_first]

    def to_dict(self) -> dict:
        """What stands in config.json: our own fields only where they say something."""
        values = asdict(self) | {"model_type": self.model_type}
        for name, unsaid in (("norm_first", False), ("position_initializer_range", None)):
            if values[name] == unsaid:
                del values[name]
        return self.with_labels(values)


@dataclass(frozen=True)
class GPT2Config(LabelFields):
    """Hugging Face's GPT2Config; `n_inner` None stands for 4 * n_embd."""

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    pad_token_id: int | None = None
    bos_token_id: int | None = 50256
    eos_token_id: int | None = 50256
    tie_word_embeddings: bool = True

    model_types: ClassVar = ("gpt2",)

    def __post_init__(self):
        _check(self, "vocab_size n_positions n_embd n_layer n_head intermediate_size",
               "resid_pdrop embd_pdrop attn_pdrop layer_norm_epsilon", "activation_function")
        self.name_labels()

    # BERT's words for the same things, as Hugging Face has them.

    @property
    def hidden_size(self) -> int:
        return self.n_embd

    @property
    def num_hidden_layers(self) -> int:
        return self.n_layer

    @property
    def num_attention_heads(self) -> int:
        return self.n_head

    @property
    def intermediate_size(self) -> int:
        return 4 * self.n_embd if self.n_inner is None else self.n_inner

    @property
    def max_position_embeddings(self) -> int:
        return self.n_positions

    @property
    def model_type(self) -> str:
        return self.model_types[0]

    def to_dict(self) -> dict:
        """What stands in config.json."""
        return self.with_labels(asdict(self) | {"model_type": self.model_type})
