"""The interface of the older models, and their folders.

A row of the table that `python -m minibert road` prints is a model that answers some of three
questions about rows of token ids (B, T), all of one length, without padding. A row is a text of
the endless stream "[SEP] document [SEP] document ...", or a part of it.

    next_word(input_ids)       (B, T, V)   log p(the token after t | tokens 0 to t)
    gap(input_ids, positions)  (B, V)      log p(token at positions[b] | all other tokens of row b)
    vectors(input_ids)         (B, T, C)   a vector of each token in its context

All are NumPy arrays, log p in nats, normalised over the vocabulary (V). `gap` may not read the
token at the gap itself. `unanswered` names the questions that a model does not answer, with the
reason, which is its footnote in the table.

A model trains with an objective of its own on the one Trainer (pretraining/objective.py), or is
counted; its folder holds config.json, model.safetensors and the tokenizer's files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import ClassVar, get_type_hints

import numpy as np

from minibert.atomic_files import read_json, write_json
from minibert.checkpoints.safetensors import load_file, save_file
from minibert.errors import InputError
from minibert.nn.module import Module
from minibert.validate import checked_ids, number, whole_number

Rng = np.random.Generator


@dataclass(frozen=True)
class AncestorConfig:
    """The sizes of a model. Errors: InputError for an int below 1 and for a negative float."""

    vocab_size: int

    model_type: ClassVar[str]

    def __post_init__(self):
        kinds = get_type_hints(type(self))
        for one in fields(self):
            name, value = f"{type(self).__name__}: {one.name}", getattr(self, one.name)
            check = whole_number if kinds[one.name] is int else number
            object.__setattr__(self, one.name, check(name, value, int(check is whole_number)))

    @classmethod
    def from_dict(cls, values: Mapping) -> AncestorConfig:
        """The config in a config.json. Errors: InputError for the folder of another row, and for a
        field that is missing or unknown."""
        if values.get("model_type") != cls.model_type:
            raise InputError(f"a model of type {values.get('model_type')!r:.60}: expected "
                             f"{cls.model_type!r}")
        names = {one.name for one in fields(cls)}
        given = {key: value for key, value in values.items() if key != "model_type"}
        if set(given) != names:
            raise InputError(f"the fields are {', '.join(sorted(given))!r:.200}: expected "
                             f"{', '.join(sorted(names))}")
        return cls(**given)


class AncestorModel(Module):
    """A model with a config, a folder and answers. Subclasses name `config_class`, draw their
    weights with `rng` (None: left at zero, to be loaded), and define what they can answer."""

    __slots__ = ("config",)
    config_class: type[AncestorConfig]
    unanswered: Mapping[str, str] = {}  # question -> why
    # Attributes with counted probabilities (V,), stored beside the parameters: may one be 0?
    distributions: Mapping[str, bool] = {}

    def __init__(self, config: AncestorConfig):
        super().__init__()
        self.config = config

    def next_word(self, input_ids: np.ndarray) -> np.ndarray:
        """Returns log p(the token after t | tokens 0 to t), (B, T) -> (B, T, V)."""
        raise InputError(self.no_answer("next_word"))

    def gap(self, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Returns log p(token at positions[b] | all other tokens of row b), (B, T), (B,) -> (B, V).
        """
        raise InputError(self.no_answer("gap"))

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """Returns a vector of each token, (B, T) -> (B, T, C)."""
        raise InputError(self.no_answer("vectors"))

    def no_answer(self, question: str) -> str:
        """The reason why a question is not answered, in one line."""
        return f"{type(self).__name__} has no {question}: it {self.unanswered[question]}"

    def parameter_count(self) -> int:
        """The numbers that are learned."""
        return sum([parameter.size for parameter in self.parameters()])

    def checked(self, input_ids: np.ndarray) -> np.ndarray:
        """The ids. Errors: InputError for ids that are not (B, T) or not in the vocabulary."""
        return checked_ids("input_ids", input_ids, self.config.vocab_size)

    # ---- folders ---------------------------------------------------------------------------------

    def stored_arrays(self) -> dict[str, np.ndarray]:
        """The contents of model.safetensors."""
        return self.state_dict() | {name: getattr(self, name) for name in self.distributions}

    @classmethod
    def from_arrays(cls, config: AncestorConfig, arrays: Mapping[str, np.ndarray]) -> AncestorModel:
        """The opposite of stored_arrays. Errors: InputError for other names or shapes, and for
        probabilities that are none."""
        if getattr(config, "num_layers", 0) > len(arrays):  # before any of them is built
            raise InputError(f"num_layers = {config.num_layers} for {len(arrays)} arrays: expected "
                             "an array of each layer at least")
        model, parameters = cls(config, rng=None), dict(arrays)
        for name, may_be_0 in cls.distributions.items():
            p = parameters.pop(name, None)
            if p is None or p.shape != (config.vocab_size,) or p.min() < 0 \
                    or not (may_be_0 or p.all()) \
                    or not abs(p.sum() - 1) <= 1e-6:  # NaN is not, either
                raise InputError(f"{name}: expected {config.vocab_size} probabilities"
                                 f"{'' if may_be_0 else ' above 0'}")
            setattr(model, name, p)
        model.load_state_dict(parameters)
        return model

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write config.json and model.safetensors."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.stored_arrays(), folder / "model.safetensors")
        write_json(folder / "config.json",
                   {"model_type": self.config.model_type, **asdict(self.config)})

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike) -> AncestorModel:
        """The model of a folder, in eval mode. Errors: InputError for another row's folder, and for
        files that are missing or damaged."""
        path, weights = Path(folder) / "config.json", Path(folder) / "model.safetensors"
        values, arrays = read_json(path), load_file(weights)
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise InputError(f"{weights}: {name} holds NaN or an infinity: the file is damaged")
        try:
            return cls.from_arrays(cls.config_class.from_dict(values), arrays).eval()
        except InputError as error:
            raise InputError(f"{path} and {weights.name}: {error}") from None
