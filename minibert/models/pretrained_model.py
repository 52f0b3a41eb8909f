"""What all models share: drawing the first weights, checking inputs, and model folders."""

from __future__ import annotations

import math
import os
import warnings
from collections import ChainMap
from pathlib import Path

import numpy as np

from minibert.autograd.tensor import Tensor
from minibert.checkpoints.hugging_face import (StoredWeights, WeightFile, hf_arrays, load_folder,
                                               our_arrays, save_folder, stored_layers, stored_shape)
from minibert.errors import InputError
from minibert.models.config import config_from_dict
from minibert.models.labels import LabelFields
from minibert.nn.block import TransformerStack
from minibert.nn.masks import padding_mask
from minibert.nn.module import Module


class PretrainedModel(Module):
    """A model that has a config and can be kept in a folder. Subclasses name `config_class`."""

    __slots__ = ("config",)
    config_class: type
    has_labels = False  # whether num_labels is a size of the model

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether the blocks' activations are computed again in backward instead of kept."""
        return all([stack.gradient_checkpointing for stack in self._stacks()])

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, wanted: bool) -> None:
        for stack in self._stacks():
            stack.gradient_checkpointing = bool(wanted)

    def _stacks(self) -> list[TransformerStack]:
        return [module for module in self.modules() if isinstance(module, TransformerStack)]

    def initialize(self, rng: np.random.Generator | int) -> None:
        """Draw all matrices anew; vectors keep what they were built with (biases and shifts zeros,
        scales ones)."""
        rng = np.random.default_rng(rng)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                array = self.draw(name, parameter.shape, rng)
                parameter.data = array.astype(parameter.dtype, copy=False)

    def draw(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """First values for the matrix `name`."""
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
        if not cls.has_labels and not changes:
            values = _without_wrong_labels(path, values)
        try:
            config = config_from_dict(cls.config_class, values, changes)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        _check_sizes(config, path, file)
        model = cls(config, rng=None)
        arrays, missing, unused = our_arrays(config.model_type, list(model.state_dict()), file)
        if "F64" in arrays.dtype_names():
            model.double()
        if missing:
            model._draw_missing_heads(folder, missing, rng)
        _load(model, path, file, arrays)
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

    def _draw_missing_heads(self, folder: str | os.PathLike, missing: list[str],
                            rng: np.random.Generator | int) -> None:
        """Draw what a file without heads does not hold; anything else must be there."""
        vital = [name for name in missing if ".stack." in f".{name}" or "embeddings." in name]
        if vital:
            raise InputError(f"{folder}: the weights of {', '.join(vital[:4])} are missing"
                             + (f", and {len(vital) - 4} more" if len(vital) > 4 else ""))
        self.initialize(rng)  # of everything; what the file holds then takes its place

    def read_settings(self, folder: Path, values: dict) -> None:
        """Read what else a folder says of a model of this class; `values` is its config.json."""

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write config.json and model.safetensors: Hugging Face's class of this name opens them."""
        config = self.config.to_dict() | {"architectures": [type(self).__name__],
                                          "dtype": str(next(self.parameters()).dtype)}
        save_folder(folder, config, self.state_dict())

    def hf_arrays(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays under the names of this model's parameters (gradients, say) -> the same under
        Hugging Face's names, in its shapes."""
        return hf_arrays(self.config.model_type, arrays)

    # ---- inputs ----------------------------------------------------------------------------------

    def _batch_shape(self, input_ids: np.ndarray | None, inputs_embeds: Tensor | None
                     ) -> tuple[np.ndarray | None, Tensor | None, tuple[int, int]]:
        """(ids or None, embeddings or None, (B, T)), checked against the model's sizes."""
        name = type(self).__name__
        if (input_ids is None) == (inputs_embeds is None):
            raise InputError(f"{name}: pass either input_ids or inputs_embeds")
        if input_ids is not None:
            input_ids = checked_ids("input_ids", input_ids, self.config.vocab_size)
            shape = input_ids.shape
        else:
            if not isinstance(inputs_embeds, Tensor):
                inputs_embeds = Tensor(inputs_embeds)
            if inputs_embeds.ndim != 3 or inputs_embeds.shape[2] != self.config.hidden_size:
                raise InputError(f"{name}: inputs_embeds has shape {inputs_embeds.shape}: expected "
                                 f"(batch, tokens, {self.config.hidden_size})")
            shape = inputs_embeds.shape[:2]
        return input_ids, inputs_embeds, shape

    def _positions(self, position_ids: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
        """The position ids, (1 or B, T): 0, 1, 2... unless given."""
        rows, tokens = shape
        if position_ids is None:
            self._check_length(tokens)
            return np.arange(tokens)[None]
        position_ids = np.atleast_2d(position_ids)
        rows = 1 if len(position_ids) == 1 else rows
        return checked_ids("position_ids", position_ids, self.config.max_position_embeddings,
                           (rows, tokens))

    def _check_length(self, tokens: int) -> None:
        most = self.config.max_position_embeddings
        if tokens > most:
            raise InputError(f"{type(self).__name__}: {tokens} tokens are more than the {most} "
                             "positions that the model has: shorten the text")


def checked_ids(name: str, ids: np.ndarray, limit: int, shape: tuple[int, ...] | None = None,
                ignored: int | None = None) -> np.ndarray:
    """`ids` as an array of whole numbers from 0 to limit - 1 (or `ignored`), of `shape` or (B, T).
    """
    try:
        ids = np.asarray(ids)
    except ValueError:
        raise InputError(f"{name}: the rows differ in length: pad them to one length") from None
    if ids.dtype.kind not in "iu":
        raise InputError(f"{name}: expected whole numbers, got {ids.dtype}")
    if (ids.shape != shape) if shape is not None else (ids.ndim != 2):
        raise InputError(f"{name}: got shape {ids.shape}: expected {shape or '(batch, tokens)'}")
    if ids.size == 0:
        raise InputError(f"{name}: got shape {ids.shape}: there is nothing in it")
    wrong = (ids < 0) | (ids >= limit)
    if ignored is not None:
        wrong &= ids != ignored
    if wrong.any():
        raise InputError(f"{name}: {ids[wrong].flat[0]} is out of range: the model knows 0 to "
                         f"{limit - 1}")
    return ids


def attended(attention_mask: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray | None:
    """The padding mask (B, 1, 1, T) of a batch, built once for all layers; None without padding."""
    if attention_mask is None:
        return None
    mask = padding_mask(attention_mask)
    if mask.shape != (shape[0], 1, 1, shape[1]):
        raise InputError(f"attention_mask: got shape {np.shape(attention_mask)} for tokens of "
                         f"shape {shape}")
    return None if mask.all() else mask


def collected(states: list | None) -> tuple | None:
    return None if states is None else tuple(states)


# The parameters that show the sizes of a model, and the names of these sizes.
_SIZES = {"embeddings.word_embeddings.weight": ("vocab_size", "hidden_size"),
          "embeddings.position_embeddings.weight": ("max_position_embeddings", "hidden_size"),
          "embeddings.token_type_embeddings.weight": ("type_vocab_size", "hidden_size"),
          "stack.blocks.0.feed_forward.expand.weight": ("intermediate_size", "hidden_size")}
_GPT2_WORDS = {"hidden_size": "n_embd", "max_position_embeddings": "n_positions",
               "intermediate_size": "n_inner", "num_hidden_layers": "n_layer"}


def _check_sizes(config: object, path: Path, file: WeightFile) -> None:
    """Hold config.json against the file before any memory is taken: what the config asks for must
    be there, so that no model is larger than its file."""
    words = _GPT2_WORDS if hasattr(config, "n_embd") else {}
    L, C, I = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    for name, fields in _SIZES.items():
        shape = stored_shape(config.model_type, name, file) if hasattr(config, fields[0]) else None
        for axis, field in enumerate(fields if shape is not None and len(shape) == 2 else ()):
            value = getattr(config, field)
            if value != shape[axis]:
                raise InputError(f"{path}: {words.get(field, field)} = {value}, but {name} has "
                                 f"shape {shape} in {file.path.name}; set it to {shape[axis]}, "
                                 "if the weights belong to this model")
    stored = stored_layers(config.model_type, file)
    if not stored:
        raise InputError(f"{path}: says {config.model_type}, but {file.path.name} holds no layer "
                         "of such a model: they are not of one model")
    if L > stored:
        layers = words.get("num_hidden_layers", "num_hidden_layers")
        raise InputError(f"{path}: {layers} = {L}, but {file.path.name} holds weights of {stored} "
                         f"layers; set it to {stored}, if the weights belong to this model")
    asked = (config.vocab_size + config.max_position_embeddings) * C + L * (4 * C * C + 2 * C * I)
    held = sum(math.prod(file.shape(name)) for name in file)
    if asked > held:
        raise InputError(f"{path}: asks for a model of more than {asked:,} weights, and "
                         f"{file.path.name} holds {held:,}: they do not belong together")


def _without_wrong_labels(path: Path, values: dict) -> dict:
    """A config.json for a model without labels: those that contradict each other are left out."""
    labels = {name: values.get(name) for name in ("num_labels", "id2label", "problem_type")}
    try:
        LabelFields(**labels).name_labels()
    except InputError as error:
        warnings.warn(f"{path}: {error}; the labels are left out, this model has none",
                      stacklevel=3)
        return {name: value for name, value in values.items() if name not in labels}
    return values


def _load(model: PretrainedModel, config_path: Path, file: WeightFile,
          arrays: StoredWeights) -> None:
    """Fill the model, as far as `arrays` go."""
    try:
        model.load_state_dict(ChainMap(arrays, model.state_dict()))
    except InputError as error:
        raise InputError(f"{config_path} does not fit {file.path.name}: {error}") from None
    for name, array in model.state_dict().items():
        if array.size and not np.isfinite([array.min(), array.max()]).all():
            raise InputError(f"{file.path}: {name} holds NaN or an infinity: its training failed, "
                             "or the file is damaged")
