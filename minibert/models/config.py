"""Configurations: the sizes and switches of a model, under Hugging Face's names and defaults.

A field states, once, its default, its check and the command line's option that sets it. An option
of a model is added by a line in the table of options, a field that names it, and the code that
uses the field: the parser, --from, --resume, info, config.json and its model_type follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import ClassVar, get_args, get_type_hints

from minibert.checkpoints.folder_keys import CONFIG, GENERATION_CONFIG, USED, check_keys
from minibert.errors import InputError
from minibert.models.labels import LabelFields
from minibert.nn.attention import BlockConfig
from minibert.nn.layers import ACTIVATIONS
from minibert.validate import flag, number, one_of, whole_number


@dataclass(frozen=True)
class ModelOption:
    """An option of a model on the command line (`norm_first` is --norm-first) and in a run's
    state. It has the type and the check of the first field that names it."""

    name: str
    help: str | None = None  # None: no option of the parser, only of the tables in cli/defaults.py


LAYERS = ModelOption("layers", "number of blocks")
HEADS = ModelOption("heads", "attention heads of a block")
WIDTH = ModelOption("width", "numbers in the vector of a token")
CONTEXT = ModelOption("context", "tokens that the model sees at once")
DROPOUT = ModelOption("dropout", "probability that dropout sets a number to zero")
NORM_FIRST = ModelOption("norm_first", "layer norm before each branch of BERT, as in GPT-2")
INITIALIZER_RANGE = ModelOption("initializer_range")
POSITION_INITIALIZER_RANGE = ModelOption("position_initializer_range")

# ---- kinds of fields -----------------------------------------------------------------------------


def _size(name: str, value: object) -> int:
    return whole_number(name, value, 1)


def _share(name: str, value: object) -> float:
    return number(name, value, 0, below=1)


def _spread(name: str, value: object) -> float:
    return number(name, value, 0)


def _token_id(name: str, value: object) -> int:
    return whole_number(name, value, -1)


def _row(name: str, value: object) -> int:
    return whole_number(name, value, 0)


def _always(name: str, value: object) -> bool:
    if not flag(name, value):
        raise InputError(f"{name} = False: only True is supported")
    return True


def _activation(name: str, value: object) -> str:
    return one_of(name, value, tuple(ACTIVATIONS))


def _field(check: Callable[[str, object], object], default: object,
           option: ModelOption | None = None, optional: bool = False, ours: bool = False,
           changes_model_type: bool = False) -> Field:
    """A field that `check(name, value)` validates; `optional` ones may be None.

    `ours`: Hugging Face does not have the field, which is written to config.json only where it is
    not the default; there it `changes_model_type`, if it changes what is computed.
    """
    metadata = {"check": check, "option": option, "optional": optional, "ours": ours,
                "changes_model_type": changes_model_type}
    return field(default=default, metadata=metadata)


# ---- the configurations --------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelConfig(LabelFields):
    """The base of all configurations: checked fields, immutable; NumPy's numbers become Python's.

    `dataclasses.replace(config, n_layer=2)` makes another one. Errors: InputError for a value that
    its field does not allow, and for a width that the heads do not divide.
    """

    family: ClassVar[str]  # Hugging Face's model_type

    def __post_init__(self):
        what = type(self).__name__
        for one in fields(self):
            value = getattr(self, one.name)
            if "check" in one.metadata and not (value is None and one.metadata["optional"]):
                checked = one.metadata["check"](f"{what}: {one.name}", value)
                object.__setattr__(self, one.name, checked)
        if self.hidden_size % self.num_attention_heads:
            raise InputError(f"{what}: a width of {self.hidden_size} cannot be split into "
                             f"{self.num_attention_heads} heads: choose a multiple")
        self.name_labels()

    @property
    def model_type(self) -> str:
        """Hugging Face's model_type; followed by the names of our own fields that change what is
        computed (bert_norm_first), since Hugging Face's class would compute something else."""
        return model_type_of(type(self), asdict(self))

    def to_dict(self) -> dict:
        """The contents of config.json."""
        unsaid = {one.name for one in fields(self)
                  if one.metadata.get("ours") and getattr(self, one.name) == one.default}
        values = {name: value for name, value in asdict(self).items() if name not in unsaid}
        return self.with_labels(values | {"model_type": self.model_type})


@dataclass(frozen=True)
class BertConfig(ModelConfig):
    """Hugging Face's BertConfig. `classifier_dropout` None: hidden_dropout_prob is used.

    Two fields are ours: `norm_first`, layer norm before the branches, as in GPT-2; and
    `position_initializer_range`, which None sets to `initializer_range`: positions that begin
    smaller than the words let attention find like words first."""

    vocab_size: int = _field(_size, 30522)
    hidden_size: int = _field(_size, 768, WIDTH)
    num_hidden_layers: int = _field(_size, 12, LAYERS)
    num_attention_heads: int = _field(_size, 12, HEADS)
    intermediate_size: int = _field(_size, 3072)
    hidden_act: str = _field(_activation, "gelu")
    hidden_dropout_prob: float = _field(_share, 0.1, DROPOUT)
    attention_probs_dropout_prob: float = _field(_share, 0.1, DROPOUT)
    max_position_embeddings: int = _field(_size, 512, CONTEXT)
    type_vocab_size: int = _field(_size, 2)
    initializer_range: float = _field(_spread, 0.02, INITIALIZER_RANGE)
    layer_norm_eps: float = _field(_share, 1e-12)
    classifier_dropout: float | None = _field(_share, None, optional=True)
    pad_token_id: int | None = _field(_token_id, 0, optional=True)
    tie_word_embeddings: bool = _field(flag, True)
    norm_first: bool = _field(flag, False, NORM_FIRST, ours=True, changes_model_type=True)
    position_initializer_range: float | None = _field(
        _spread, None, POSITION_INITIALIZER_RANGE, optional=True, ours=True)

    family: ClassVar = "bert"

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

    vocab_size: int = _field(_size, 50257)
    n_positions: int = _field(_size, 1024, CONTEXT)
    n_embd: int = _field(_size, 768, WIDTH)
    n_layer: int = _field(_size, 12, LAYERS)
    n_head: int = _field(_size, 12, HEADS)
    n_inner: int | None = _field(_size, None, optional=True)
    activation_function: str = _field(_activation, "gelu_new")
    resid_pdrop: float = _field(_share, 0.1, DROPOUT)
    embd_pdrop: float = _field(_share, 0.1, DROPOUT)
    attn_pdrop: float = _field(_share, 0.1, DROPOUT)
    layer_norm_epsilon: float = _field(_share, 1e-5)
    initializer_range: float = _field(_spread, 0.02, INITIALIZER_RANGE)
    pad_token_id: int | None = _field(_token_id, None, optional=True)
    bos_token_id: int | None = _field(_token_id, 50256, optional=True)
    eos_token_id: int | None = _field(_token_id, 50256, optional=True)
    tie_word_embeddings: bool = _field(flag, True)

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


@dataclass(frozen=True)
class BartConfig(ModelConfig):
    """Hugging Face's BartConfig. A model with `activation_dropout` above 0 can be used, not
    trained. `position_initializer_range` is ours: see BertConfig."""

    vocab_size: int = _field(_size, 50265)
    max_position_embeddings: int = _field(_size, 1024, CONTEXT)
    encoder_layers: int = _field(_size, 12, LAYERS)
    encoder_ffn_dim: int = _field(_size, 4096)
    encoder_attention_heads: int = _field(_size, 16, HEADS)
    decoder_layers: int = _field(_size, 12, LAYERS)
    decoder_ffn_dim: int = _field(_size, 4096)
    decoder_attention_heads: int = _field(_size, 16, HEADS)
    activation_function: str = _field(_activation, "gelu")
    d_model: int = _field(_size, 1024, WIDTH)
    dropout: float = _field(_share, 0.1, DROPOUT)
    attention_dropout: float = _field(_share, 0.0, DROPOUT)
    activation_dropout: float = _field(_share, 0.0)
    init_std: float = _field(_spread, 0.02, INITIALIZER_RANGE)
    scale_embedding: bool = _field(flag, False)
    pad_token_id: int = _field(_row, 1)
    bos_token_id: int | None = _field(_token_id, 0, optional=True)
    eos_token_id: int | None = _field(_token_id, 2, optional=True)
    decoder_start_token_id: int = _field(_row, 2)
    forced_eos_token_id: int | None = _field(_row, 2, optional=True)
    is_encoder_decoder: bool = _field(_always, True)
    tie_word_embeddings: bool = _field(_always, True)
    position_initializer_range: float | None = _field(
        _spread, None, POSITION_INITIALIZER_RANGE, optional=True, ours=True)

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

    # BERT's names for the same sizes, as Hugging Face has them.

    @property
    def hidden_size(self) -> int:
        return self.d_model

    @property
    def num_hidden_layers(self) -> int:
        return self.encoder_layers

    @property
    def num_attention_heads(self) -> int:
        return self.encoder_attention_heads

    @property
    def layer_norm_eps(self) -> float:
        return self.block_config.layer_norm_eps


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
    labels. Errors: InputError for another model_type, and for what is not supported here.
    """
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
        values |= {"num_labels": None, "id2label": None, "problem_type": None}
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


def checked_option(option: ModelOption, one: Field, value: object) -> object:
    """`value` as the field of `option` takes it. Errors: InputError that names the option."""
    if value is None and one.metadata["optional"]:
        return None
    return one.metadata["check"](f"--{option.name.replace('_', '-')}", value)


def option_values(config: ModelConfig) -> dict[str, object]:
    """{name: value} of all options, as a config has them."""
    return {option.name: getattr(config, found[0].name)
            for option, found in option_fields(type(config)).items()}


def config_from_options(config_class: type[ModelConfig], options: Mapping[str, object],
                        **others) -> ModelConfig:
    """The config in which every option sets its fields; one that is not in `options` leaves the
    default, as in a run that is older than the option. `others` are fields."""
    values = {}
    for option, found in option_fields(config_class).items():
        if option.name in options:
            value = checked_option(option, found[0], options[option.name])
            values |= {one.name: value for one in found}
    return config_class(**values | others)
