"""The base of all models: initial weights, input checks, model folders, sizes."""

from __future__ import annotations

import os
import warnings
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from minibert.autograd.attention_masks import padding_mask
from minibert.autograd.tensor import Tensor
from minibert.checkpoints.hugging_face import (Place, load_folder, save_folder, stored_layers,
                                               stored_places)
from minibert.checkpoints.safetensors import SafetensorsFile
from minibert.errors import InputError
from minibert.models.activations import HookedRootModule
from minibert.models.config import ModelConfig, config_from_dict, option_fields
from minibert.models.config_fields import LABELS, LAYERS
from minibert.nn.block import TransformerStack
from minibert.nn.kv_cache import KeyValueCache
from minibert.nn.module import without_memory
from minibert.validate import checked_ids

MOST_PARAMETERS = 10**11  # 400 GB in float32: larger configs are refused before anything is built


class PretrainedModel(HookedRootModule):
    """A model that has a config and can be saved in a folder. Subclasses name `config_class`."""

    __slots__ = ("config",)
    config_class: type[ModelConfig]
    has_labels = False  # whether num_labels is a size of the model

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether the blocks' activations are computed again in backward instead of kept (Chen et
        al. 2016, "Training Deep Nets with Sublinear Memory Cost"). Can be set at any time."""
        return all([stack.gradient_checkpointing for stack in self._stacks()])

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, wanted: bool) -> None:
        for stack in self._stacks():
            stack.gradient_checkpointing = bool(wanted)

    def _stacks(self) -> list[TransformerStack]:
        return [module for module in self.modules() if isinstance(module, TransformerStack)]

    def initialize(self, rng: np.random.Generator | int | None) -> None:
        """Draw all matrices; vectors keep their values (biases and shifts zeros, scales ones). None
        draws nothing: the weights are to be loaded."""
        if rng is None:
            return
        rng = np.random.default_rng(rng)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                array = self.draw(name, parameter.shape, rng)
                parameter.data = array.astype(parameter.dtype, copy=False)

    def draw(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Initial values for the matrix `name`."""
        raise NotImplementedError

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike, rng: np.random.Generator | int = 0,
                        output_loading_info: bool = False, **changes
                        ) -> PretrainedModel | tuple[PretrainedModel, dict]:
        """The model that a folder in Hugging Face's layout holds, in eval mode.

        It is float64 if the stored weights are, else float32. Weights of the file that this class
        has no use for, and parameters that the file does not hold (a head that is still to be
        trained: drawn with `rng`), are named in a warning, or, with `output_loading_info`, returned
        beside the model as "unexpected_keys" and "missing_keys"; a bare model that is not whole is
        an InputError. `changes` are fields of the config that replace the folder's: num_labels=3.
        """
        values, file = load_folder(folder)
        path = Path(folder) / "config.json"
        config = _read_config(cls, path, values, changes)
        _check_layers(config, path, file)
        with without_memory():
            model = cls(config, rng=None)
        places, missing, unused = stored_places(config.model_type, list(model.state_dict()), file)
        _check_shapes(model, path, file, places)
        if "F64" in [file.dtype_name(name) for place in places.values() for name in place.names]:
            model.double()
        if missing:
            vital = [name for name in missing if ".stack." in f".{name}" or "embeddings." in name]
            if vital:
                raise InputError(f"{folder}: the weights of {', '.join(vital[:4])} are missing"
                                 + (f", and {len(vital) - 4} more" if len(vital) > 4 else ""))
            model.initialize(np.random.default_rng(rng))  # all matrices; then the file's are loaded
        for name, parameter in model.named_parameters():
            array = places[name].read(file) if name in places else parameter.data
            if array.size and not np.isfinite([array.min(), array.max()]).all():
                raise InputError(f"{file.path}: {name} holds NaN or an infinity: its training "
                                 "failed, or the file is damaged")
            parameter.data = np.array(array, parameter.dtype)
        model.read_settings(Path(folder), values)
        model.eval()
        if output_loading_info:
            return model, {"missing_keys": missing, "unexpected_keys": unused}
        if missing:
            warnings.warn(f"{folder} holds no {', '.join(missing)}: freshly drawn, to be trained",
                          stacklevel=2)
        if unused:
            warnings.warn(f"{folder}: {cls.__name__} does not use {', '.join(unused)}",
                          stacklevel=2)
        return model

    def read_settings(self, folder: Path, values: dict) -> None:
        """Read other settings in a folder of this class's model; `values` is its config.json."""

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write config.json and model.safetensors: Hugging Face's class of this name opens them."""
        config = self.config.to_dict() | {"architectures": [type(self).__name__],
                                          "dtype": str(next(self.parameters()).dtype)}
        save_folder(folder, config, self.state_dict())

    # ---- inputs ----------------------------------------------------------------------------------

    def _batch_shape(self, input_ids: np.ndarray | None, inputs_embeds: Tensor | None,
                     prefix: str = "") -> tuple[np.ndarray | None, Tensor | None, tuple[int, int]]:
        """(ids or None, embeddings or None, (B, T)), checked against the model's sizes. `prefix`
        stands before their names in errors."""
        name = type(self).__name__
        if (input_ids is None) == (inputs_embeds is None):
            raise InputError(f"{name}: pass either {prefix}input_ids or {prefix}inputs_embeds")
        if input_ids is not None:
            input_ids = checked_ids(f"{prefix}input_ids", input_ids, self.config.vocab_size)
            shape = input_ids.shape
        else:
            if not isinstance(inputs_embeds, Tensor):
                inputs_embeds = Tensor(inputs_embeds)
            if inputs_embeds.ndim != 3 or inputs_embeds.shape[2] != self.config.hidden_size:
                raise InputError(f"{name}: {prefix}inputs_embeds has shape {inputs_embeds.shape}: "
                                 f"expected (batch, tokens, {self.config.hidden_size})")
            shape = inputs_embeds.shape[:2]
        return input_ids, inputs_embeds, shape

    def _begin(self, cache: KeyValueCache | None, attention_mask: np.ndarray | None,
               position_ids: np.ndarray | None, shape: tuple[int, int], prefix: str = ""
               ) -> tuple[np.ndarray | None, np.ndarray]:
        """(mask, position ids) of new tokens of `shape` (B, T): the padding mask and the positions
        from 0 on without a cache, else those after the tokens in the cache."""
        mask = make_padding_mask(attention_mask, shape, prefix)
        if cache is not None:
            tokens = np.ones(shape, bool) if mask is None else mask[:, 0, 0]
            positions, mask = cache.begin(tokens)
            self._check_length(positions.max(initial=-1) + 1)
            position_ids = positions if position_ids is None else position_ids
        return mask, self._positions(position_ids, shape, prefix)

    def _positions(self, position_ids: np.ndarray | None, shape: tuple[int, int],
                   prefix: str = "") -> np.ndarray:
        """The position ids, (1 or B, T): one after the other unless given."""
        rows, tokens = shape
        if position_ids is None:
            self._check_length(tokens)
            return self.config.first_position + np.arange(tokens)[None]
        position_ids = np.atleast_2d(position_ids)
        rows = 1 if len(position_ids) == 1 else rows
        return checked_ids(f"{prefix}position_ids", position_ids,
                           self.config.max_position_embeddings, (rows, tokens))

    def _check_length(self, tokens: int) -> None:
        most = self.config.context_length
        if tokens > most:
            raise InputError(f"{type(self).__name__}: {tokens} tokens are more than the {most} "
                             "positions that the model has: shorten the text")


def make_padding_mask(attention_mask: np.ndarray | None, shape: tuple[int, int],
                      prefix: str = "") -> np.ndarray | None:
    """The padding mask (B, 1, 1, T) of a batch, built once for all layers; None without padding.
    Errors: InputError for another shape than the tokens' (B, T)."""
    if attention_mask is None:
        return None
    mask = padding_mask(attention_mask)
    if mask.shape != (shape[0], 1, 1, shape[1]):
        raise InputError(f"{prefix}attention_mask: got shape {np.shape(attention_mask)} for tokens "
                         f"of shape {shape}")
    return None if mask.all() else mask


def as_tuple(states: list | None) -> tuple | None:
    """The list as a tuple, None as None."""
    return None if states is None else tuple(states)


# ---- sizes -------------------------------------------------------------------------------------


def parameter_count(model_class: type[PretrainedModel], config: ModelConfig) -> int:
    """The number of parameters of model_class(config), from a model of one layer that takes no
    memory. Errors: InputError for more than MOST_PARAMETERS."""
    layers = _layer_fields(config)
    with without_memory():
        model = model_class(replace(config, **dict.fromkeys(layers, 1)), rng=None)
    count = sum([parameter.size for parameter in model.parameters()])
    for name, stack in zip(layers, model._stacks(), strict=True):
        block = sum([parameter.size for parameter in stack.blocks[0].parameters()])
        count += (getattr(config, name) - 1) * block
    if count > MOST_PARAMETERS:
        sizes = ", ".join([f"{one.name} = {getattr(config, one.name):,}" for one in fields(config)
                           if type(getattr(config, one.name)) is int
                           and not one.name.endswith("_token_id")])
        raise InputError(f"{type(config).__name__}: {sizes} make a model of {count:,} parameters: "
                         f"at most {MOST_PARAMETERS:,} are built")
    return count


def _layer_fields(config: ModelConfig) -> list[str]:
    """The fields that count the layers of each stack."""
    return [one.name for one in option_fields(type(config))[LAYERS]]


def _check_layers(config: ModelConfig, path: Path, file: SafetensorsFile) -> None:
    """Refuse more layers than the file holds, before one of them is built."""
    for name, stored in zip(_layer_fields(config), stored_layers(config.model_type, file)):
        if not stored:
            raise InputError(f"{path}: says {config.model_type}, but {file.path.name} holds no "
                             "layer of such a model: they are not of one model")
        if getattr(config, name) > stored:
            raise InputError(f"{path}: {name} = {getattr(config, name)}, but {file.path.name} "
                             f"holds weights of {stored} layers; set it to {stored}, if the "
                             "weights belong to this model")


def _read_config(model_class: type[PretrainedModel], path: Path, values: dict, changes: dict
                 ) -> ModelConfig:
    """The config of a folder; labels that contradict each other are left out, with a warning, where
    a model has none."""
    try:
        return config_from_dict(model_class.config_class, values, changes)
    except InputError as error:
        others = {name: value for name, value in values.items() if name not in LABELS}
        if model_class.has_labels or changes or len(others) == len(values):
            raise InputError(f"{path}: {error}") from None
        config = _read_config(model_class, path, others, changes)
        warnings.warn(f"{path}: {error}; the labels are left out, this model has none",
                      stacklevel=3)
        return config


def _check_shapes(model: PretrainedModel, path: Path, file: SafetensorsFile,
                  places: dict[str, Place]) -> None:
    """Compare the shapes of a model without memory with those of the file: no model is larger than
    its file."""
    for name, array in model.state_dict().items():
        stored = places[name].shape(file) if name in places else array.shape
        if stored == array.shape:
            continue
        for axis, (size, ours) in enumerate(zip(stored, array.shape)):
            field = _field_for_size(model, name, axis, size) if size != ours else None
            if field is not None:
                raise InputError(f"{path}: {field} = {getattr(model.config, field)}, but {name} "
                                 f"has shape {stored} in {file.path.name}; set it to {size}, if "
                                 "the weights belong to this model")
        raise InputError(f"{path} does not fit {file.path.name}: {name} has shape {stored} there, "
                         f"but the config gives {array.shape}")


def _field_for_size(model: PretrainedModel, name: str, axis: int, size: int) -> str | None:
    """The field of the config that gives the parameter `name` that size if it has this value; found
    by trying each."""
    layers = _layer_fields(model.config)
    for field in [one.name for one in fields(model.config) if one.name not in layers]:
        try:
            with without_memory():
                other = type(model)(replace(model.config, **{field: size}), rng=None)
        except (InputError, TypeError, ValueError):
            continue  # the field does not take this size
        arrays = other.state_dict()
        if name in arrays and arrays[name].shape[axis:axis + 1] == (size,):
            return field
    return None
