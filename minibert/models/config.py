"""Configurations: the sizes and switches of a model, under Hugging Face's names and defaults.

A field states, once, its default, its check and the command line's option that sets it. An option
of a model is added by a line in config_fields.py, a field that names it, and the code that
uses the field: the parser, --from, --resume, info, config.json and its model_type follow. Fields
that Hugging Face does not have are written to config.json only where they are not the default
(`omit_default`); there they change model_type, if they change what is computed
(`changes_model_type`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, fields, replace
from operator import attrgetter
from typing import ClassVar, get_args, get_type_hints

from minibert.checkpoints.folder_keys import CONFIG, GENERATION_CONFIG, USED, check_keys
from minibert.errors import InputError
from minibert.models.config_fields import (CONTEXT, DROPOUT, HEADS, INITIALIZER_RANGE, LABELS,
                                           LAYERS, NORM_FIRST, POSITION_INITIALIZER_RANGE, WIDTH,
                                           LabelFields, ModelOption, activation, always,
                                           fraction, plain_names, row, size, spread, token_id)
from minibert.nn.block import BlockConfig
from minibert.validate import check_fields, checked, flag

# ---- the configurations --------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelConfig(LabelFields):
    """The base of all configurations: checked fields, immutable; NumPy's numbers become Python's.
    `dataclasses.replace(config, n_layer=2)` makes another one. Errors: InputError for a value that
    its field does not allow, and for a width that the heads do not divide."""

    family: ClassVar[str]  # Hugging Face's model_type
    first_position: ClassVar[int] = 0  # the row of the position embeddings for the first token

    def __post_init__(self):
        what = type(self).__name__
        check_fields(self, f"{what}: ")
        if self.hidden_size % self.num_attention_heads:
            raise InputError(f"{what}: a width of {self.hidden_size} cannot be split into "
                             f"{self.num_attention_heads} heads: choose a multiple")
        self.complete_labels()

    @property
    def context_length(self) -> int:
        """The largest number of tokens of an input."""
        return self.max_position_embeddings - self.first_position

    @property
    def model_type(self) -> str:
        """Hugging Face's model_type; followed by the names of our own fields that change what is
        computed (bert_norm_first), since Hugging Face's class would compute something else."""
        return model_type_of(type(self), asdict(self))

    def to_dict(self) -> dict:
        """The contents of config.json: `num_labels` follows from `id2label`, and two plain names
        are the default."""
        omitted = {one.name for one in fields(self) if one.metadata.get("omit_default")
                   and getattr(self, one.name) == one.default} | {"num_labels"}
        if self.id2label == plain_names(2):
            omitted |= {"id2label", "label2id"}
        values = asdict(self) | {"label2id": self.label2id, "model_type": self.model_type}
        return {name: value for name, value in values.items() if name not in omitted}


@dataclass(frozen=True)
class BertConfig(ModelConfig):
    """Hugging Face's BertConfig. `classifier_dropout` None: hidden_dropout_prob is used.

    Two fields are ours: `norm_first`, layer norm before the branches, as in GPT-2; and
    `position_initializer_range`, which None sets to `initializer_range`: positions that begin
    smaller than the words let attention find like words first."""

    vocab_size: int = checked(size, 30522)
    hidden_size: int = checked(size, 768, option=WIDTH)
    num_hidden_layers: int = checked(size, 12, option=LAYERS)
    num_attention_heads: int = checked(size, 12, option=HEADS)
    intermediate_size: int = checked(size, 3072)
    hidden_act: str = checked(activation, "gelu")
    hidden_dropout_prob: float = checked(fraction, 0.1, option=DROPOUT)
    attention_probs_dropout_prob: float = checked(fraction, 0.1, option=DROPOUT)
    max_position_embeddings: int = checked(size, 512, option=CONTEXT)
    type_vocab_size: int = checked(size, 2)
    initializer_range: float = checked(spread, 0.02, option=INITIALIZER_RANGE)
    layer_norm_eps: float = checked(fraction, 1e-12)
    classifier_dropout: float | None = checked(fraction, None, optional=True)
    pad_token_id: int | None = checked(token_id, 0, optional=True)
    tie_word_embeddings: bool = checked(flag, True)
    norm_first: bool = checked(flag, False, option=NORM_FIRST, omit_default=True,
                               changes_model_type=True)
    position_initializer_range: float | None = checked(
        spread, None, option=POSITION_INITIALIZER_RANGE, optional=True, omit_default=True)

    family: ClassVar = "bert"
    has_pooler: ClassVar = True
    classifier_act: ClassVar[str | None] = None  # of a ClassificationHead; None: there is none
    qa_dropout: ClassVar = 0.0

    mlm_act = property(attrgetter("hidden_act"))  # the activation in the masked LM head

    @property
    def head_dropout(self) -> float:
        """The dropout before the classifier of a text."""
        own = self.classifier_dropout
        return self.hidden_dropout_prob if own is None else own

    @property
    def block_config(self) -> BlockConfig:
        """The config of each block."""
        return BlockConfig(hidden_size=self.hidden_size, num_heads=self.num_attention_heads,
                           intermediate_size=self.intermediate_size, activation=self.hidden_act,
                           norm_first=self.norm_first, dropout=self.hidden_dropout_prob,
                           attention_dropout=self.attention_probs_dropout_prob,
                           layer_norm_eps=self.layer_norm_eps)


@dataclass(frozen=True)
class GPT2Config(ModelConfig):
    """Hugging Face's GPT2Config; `n_inner` None: 4 * n_embd."""

    vocab_size: int = checked(size, 50257)
    n_positions: int = checked(size, 1024, option=CONTEXT)
    n_embd: int = checked(size, 768, option=WIDTH)
    n_layer: int = checked(size, 12, option=LAYERS)
    n_head: int = checked(size, 12, option=HEADS)
    n_inner: int | None = checked(size, None, optional=True)
    activation_function: str = checked(activation, "gelu_new")
    resid_pdrop: float = checked(fraction, 0.1, option=DROPOUT)
    embd_pdrop: float = checked(fraction, 0.1, option=DROPOUT)
    attn_pdrop: float = checked(fraction, 0.1, option=DROPOUT)
    layer_norm_epsilon: float = checked(fraction, 1e-5)
    initializer_range: float = checked(spread, 0.02, option=INITIALIZER_RANGE)
    pad_token_id: int | None = checked(token_id, None, optional=True)
    bos_token_id: int | None = checked(token_id, 50256, optional=True)
    eos_token_id: int | None = checked(token_id, 50256, optional=True)
    tie_word_embeddings: bool = checked(flag, True)

    family: ClassVar = "gpt2"

    @property
    def block_config(self) -> BlockConfig:
        """The config of each block."""
        return BlockConfig(hidden_size=self.n_embd, num_heads=self.n_head,
                           intermediate_size=self.intermediate_size,
                           activation=self.activation_function, norm_first=True,
                           dropout=self.resid_pdrop, attention_dropout=self.attn_pdrop,
                           layer_norm_eps=self.layer_norm_epsilon)

    # BERT's names for the same sizes, as Hugging Face has them.
    hidden_size = property(attrgetter("n_embd"))
    num_hidden_layers = property(attrgetter("n_layer"))
    num_attention_heads = property(attrgetter("n_head"))
    max_position_embeddings = property(attrgetter("n_positions"))

    @property
    def intermediate_size(self) -> int:
        """The width inside the feed-forward layers."""
        return 4 * self.n_embd if self.n_inner is None else self.n_inner


@dataclass(frozen=True)
class BartConfig(ModelConfig):
    """Hugging Face's BartConfig. A model with `activation_dropout` above 0 can be used, not
    trained. `position_initializer_range` is ours: see BertConfig."""

    vocab_size: int = checked(size, 50265)
    max_position_embeddings: int = checked(size, 1024, option=CONTEXT)
    encoder_layers: int = checked(size, 12, option=LAYERS)
    encoder_ffn_dim: int = checked(size, 4096)
    encoder_attention_heads: int = checked(size, 16, option=HEADS)
    decoder_layers: int = checked(size, 12, option=LAYERS)
    decoder_ffn_dim: int = checked(size, 4096)
    decoder_attention_heads: int = checked(size, 16, option=HEADS)
    activation_function: str = checked(activation, "gelu")
    d_model: int = checked(size, 1024, option=WIDTH)
    dropout: float = checked(fraction, 0.1, option=DROPOUT)
    attention_dropout: float = checked(fraction, 0.0, option=DROPOUT)
    activation_dropout: float = checked(fraction, 0.0)
    init_std: float = checked(spread, 0.02, option=INITIALIZER_RANGE)
    scale_embedding: bool = checked(flag, False)
    pad_token_id: int = checked(row, 1)
    bos_token_id: int | None = checked(token_id, 0, optional=True)
    eos_token_id: int | None = checked(token_id, 2, optional=True)
    decoder_start_token_id: int = checked(row, 2)
    forced_eos_token_id: int | None = checked(row, 2, optional=True)
    is_encoder_decoder: bool = checked(always, True)
    tie_word_embeddings: bool = checked(always, True)
    position_initializer_range: float | None = checked(
        spread, None, option=POSITION_INITIALIZER_RANGE, optional=True, omit_default=True)

    family: ClassVar = "bart"

    def __post_init__(self):
        super().__post_init__()
        for config in (self.block_config, self.decoder_block_config):
            config.head_layout  # the heads must divide the width

    @property
    def block_config(self) -> BlockConfig:
        """The config of each block of the encoder."""
        return BlockConfig(hidden_size=self.d_model, num_heads=self.encoder_attention_heads,
                           intermediate_size=self.encoder_ffn_dim,
                           activation=self.activation_function, dropout=self.dropout,
                           attention_dropout=self.attention_dropout)

    @property
    def decoder_block_config(self) -> BlockConfig:
        """The config of each block of the decoder."""
        return replace(self.block_config, num_heads=self.decoder_attention_heads,
                       intermediate_size=self.decoder_ffn_dim, cross_attention=True)

    # BERT's names for the same values, as Hugging Face has them.
    hidden_size = property(attrgetter("d_model"))
    num_hidden_layers = property(attrgetter("encoder_layers"))
    num_attention_heads = property(attrgetter("encoder_attention_heads"))
    layer_norm_eps = property(attrgetter("block_config.layer_norm_eps"))


# ---- config.json ---------------------------------------------------------------------------------

def model_type_of(config_class: type[ModelConfig], values: Mapping) -> str:
    """The model_type of a config with these values (see ModelConfig.model_type)."""
    names = [one.name for one in fields(config_class) if one.metadata.get("changes_model_type")
             and values.get(one.name, one.default) != one.default]
    return "_".join([config_class.family, *names])


def config_from_dict(config_class: type[ModelConfig], values: Mapping,
                     changes: Mapping | None = None) -> ModelConfig:
    """The config that a config.json describes; one without model_type is of `config_class`.
    `changes` are fields that replace the file's. New labels replace all that the file says of
    labels. Errors: InputError for another model_type, and for what is not supported here."""
    expected = model_type_of(config_class, values)
    if values.get("model_type", expected) != expected:
        raise InputError(f"a model of type {values['model_type']!r:.60} is none for "
                         f"{config_class.__name__}: expected {expected!r}")
    known = {one.name for one in fields(config_class)}
    others = {name: value for name, value in values.items() if name not in known}
    rules = dict.fromkeys(GENERATION_CONFIG, USED) | CONFIG  # generate checks its own
    check_keys(config_class.__name__, others, rules, stacklevel=5)
    values = {name: value for name, value in values.items() if name in known}
    changes = changes or {}
    for name in changes:
        if name not in known:
            raise InputError(f"there is no field {name} of {config_class.__name__}")
    if "num_labels" in changes or "id2label" in changes:
        values |= dict.fromkeys(LABELS)
    return config_class(**values | changes)


# ---- options -------------------------------------------------------------------------------------


def option_fields(config_class: type[ModelConfig]) -> dict[ModelOption, list[Field]]:
    """The options of a model and the fields that each of them sets, in the order of the fields."""
    found: dict[ModelOption, list[Field]] = {}
    for one in fields(config_class):
        if one.metadata.get("option") is not None:
            found.setdefault(one.metadata["option"], []).append(one)
    return found


def option_type(config_class: type[ModelConfig], one: Field) -> type:
    """The type of a field's values, as its annotation names it: int of `int | None`."""
    annotation = get_type_hints(config_class)[one.name]
    [kind] = {*(get_args(annotation) or [annotation])} - {type(None)}
    return kind


def option_values(config: ModelConfig) -> dict[str, object]:
    """{name: value} of all options, as a config has them."""
    return {option.name: getattr(config, found[0].name)
            for option, found in option_fields(type(config)).items()}


def config_from_options(config_class: type[ModelConfig], options: Mapping[str, object],
                        **others) -> ModelConfig:
    """The config in which every option sets its fields; one that is not in `options` leaves the
    default, as in a run that is older than the option. `others` are fields. Errors: InputError that
    names the option."""
    values = {}
    for option, found in option_fields(config_class).items():
        if option.name in options:
            value, rule = options[option.name], found[0].metadata
            if value is not None or not rule["optional"]:
                value = rule["check"](f"--{option.name.replace('_', '-')}", value)
            values |= {one.name: value for one in found}
    return config_class(**values | others)
