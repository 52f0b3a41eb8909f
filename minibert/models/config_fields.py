"""The fields of a configuration: default, check and the command line's option, stated once; and
the fields for labels, which all configurations have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from minibert.errors import InputError
from minibert.nn.layers import ACTIVATIONS
from minibert.validate import checked, flag, number, one_of, whole_number


@dataclass(frozen=True)
class ModelOption:
    """An option of a model on the command line (`norm_first` is --norm-first) and in a run's
    state. It has the type and the check of the first field that names it."""

    name: str
    help: str | None = None  # None: set by the tables of cli/pretrain_options.py alone


LAYERS = ModelOption("layers", "number of blocks")
HEADS = ModelOption("heads", "attention heads of a block")
WIDTH = ModelOption("width", "numbers in the vector of a token")
CONTEXT = ModelOption("context", "tokens that the model sees at once")
DROPOUT = ModelOption("dropout", "probability that dropout sets a number to zero")
NORM_FIRST = ModelOption("norm_first", "layer norm before each branch of BERT, as in GPT-2")
INITIALIZER_RANGE = ModelOption("initializer_range")
POSITION_INITIALIZER_RANGE = ModelOption("position_initializer_range")

# Checks: (the name for an error, a value) -> the value.
size = partial(whole_number, at_least=1)
row = partial(whole_number, at_least=0)  # of a table of embeddings
token_id = partial(whole_number, at_least=-1)
fraction = partial(number, at_least=0, below=1)  # a probability, an epsilon
spread = partial(number, at_least=0)  # a standard deviation
activation = partial(one_of, choices=tuple(ACTIVATIONS))


def always(name: str, value: object) -> bool:
    """True, of a switch that has no other position here."""
    if not flag(name, value):
        raise InputError(f"{name} = False: only True is supported")
    return True


# ---- labels --------------------------------------------------------------------------------------

LABELS = ("num_labels", "id2label", "problem_type")
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
_count = partial(whole_number, at_least=1, at_most=100_000)  # a slip must not take all memory


def plain_names(count: int) -> dict[int, str]:
    """The names of classes without names: LABEL_0, LABEL_1..."""
    return {number: f"LABEL_{number}" for number in range(count)}


def _names(name: str, value: object) -> dict[int, str]:
    """`id2label` with numbers as keys (JSON makes texts of them), in their order."""
    labels = []
    if isinstance(value, Mapping):
        by_text = {str(number): label for number, label in value.items()}
        labels = [by_text.get(str(number)) for number in range(len(value))]
    if not labels or not all(isinstance(label, str) for label in labels) \
            or len(set(labels)) < len(labels):
        raise InputError(f"{name} = {value!r:.60}: expected a different name for each number from "
                         "0")
    return dict(enumerate(labels))


@dataclass(frozen=True, kw_only=True)
class LabelFields:
    """Hugging Face's label fields, which every config has. `id2label` names each class by its
    number, {0: "no", 1: "yes"}; without names the `num_labels` classes (2 unless given) are called
    LABEL_0, LABEL_1... One label means that a number is predicted. `problem_type` None: the labels
    decide (see problem_type in models/losses.py)."""

    num_labels: int | None = checked(_count, None, optional=True)
    id2label: dict[int, str] | None = checked(_names, None, optional=True)
    problem_type: str | None = checked(partial(one_of, choices=PROBLEM_TYPES), None, optional=True,
                                       omit_default=True)

    @property
    def label2id(self) -> dict[str, int]:
        """The inverse of `id2label`."""
        return {label: number for number, label in self.id2label.items()}

    def complete_labels(self) -> None:
        """Fill `num_labels` and `id2label` from each other. Errors: InputError where they
        contradict each other, or the problem type."""
        what, count, names = type(self).__name__, self.num_labels, self.id2label
        if count is None:
            count = 2 if names is None else len(names)
        if names is None or names == plain_names(len(names)):
            names = plain_names(count)
        if len(names) != count:
            raise InputError(f"{what}: num_labels = {count}, but id2label names {len(names)} "
                             "labels: change both")
        if self.problem_type == "single_label_classification" and count == 1:
            raise InputError(f"{what}: problem_type = {self.problem_type!r} needs two labels or "
                             "more; one label alone is for regression")
        object.__setattr__(self, "num_labels", count)  # the dataclass is frozen
        object.__setattr__(self, "id2label", names)
