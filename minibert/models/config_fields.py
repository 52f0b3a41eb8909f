"""The fields of a configuration: default, check and the command line's option, stated once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, field

from minibert.errors import InputError
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

# ---- checks: (the name for an error, a value) -> the value --------------------------------------


def size(name: str, value: object) -> int:
    """A whole number from 1."""
    return whole_number(name, value, 1)


def share(name: str, value: object) -> float:
    """A probability below 1."""
    return number(name, value, 0, below=1)


def spread(name: str, value: object) -> float:
    """A standard deviation from 0."""
    return number(name, value, 0)


def token_id(name: str, value: object) -> int:
    """A whole number from -1."""
    return whole_number(name, value, -1)


def row(name: str, value: object) -> int:
    """A row of a table of embeddings."""
    return whole_number(name, value, 0)


def always(name: str, value: object) -> bool:
    """True, of a switch that has no other position here."""
    if not flag(name, value):
        raise InputError(f"{name} = False: only True is supported")
    return True


def activation(name: str, value: object) -> str:
    """One of ACTIVATIONS."""
    return one_of(name, value, tuple(ACTIVATIONS))


def checked(check: Callable[[str, object], object], default: object,
           option: ModelOption | None = None, optional: bool = False, ours: bool = False,
           changes_model_type: bool = False) -> Field:
    """A field that `check(name, value)` validates; `optional` ones may be None.

    `ours`: Hugging Face does not have the field, which is written to config.json only where it is
    not the default; there it `changes_model_type`, if it changes what is computed.
    """
    metadata = {"check": check, "option": option, "optional": optional, "ours": ours,
                "changes_model_type": changes_model_type}
    return field(default=default, metadata=metadata)
