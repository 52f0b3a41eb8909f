"""The names of classes: which there are, how often, and what is said of one that is not known."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from minibert.errors import InputError
from minibert.finetuning.metrics import class_counts

MOST_SHOWN = 12


def class_names(labels: Iterable[str], where: str = "the training examples") -> tuple[str, ...]:
    """The classes, in the order of numbers or of the alphabet. Errors: fewer than two."""
    names = set(labels)
    if len(names) < 2:
        raise InputError(f"{where}: {' and '.join(map(repr, names)) or 'nothing'} is the only "
                         "class there: a classifier needs two or more; check the label column")
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))


def number_of(label: str | None, numbers: dict[str, int], where: str) -> int | None:
    """The number of a class, None for None. Errors: a label that the training did not have."""
    if label is None or label in numbers:
        return numbers.get(label)
    known = ", ".join(map(repr, list(numbers)[:MOST_SHOWN]))
    more = f" and {len(numbers) - MOST_SHOWN} more" if len(numbers) > MOST_SHOWN else ""
    raise InputError(f"{where}: the label {label!r:.60} did not occur in training, which had "
                     f"{known}{more}; correct it, or add training examples of it")


def balanced_weights(labels: Iterable[str], names: Sequence[str]) -> np.ndarray:
    """(K,) weights that let every class count alike: n / (K * its count), as scikit-learn's
    "balanced"."""
    counts = Counter(labels)
    total = sum(counts.values())
    return np.array([total / (len(names) * max(counts[name], 1)) for name in names], np.float32)


def counted(labels: Iterable[object], most: int = MOST_SHOWN) -> str:
    """How often each label occurs, the commonest first: `pos 512 (51.2%), neg 488 (48.8%)`."""
    counts = Counter(labels)
    total = sum(counts.values())
    shown = [f"{label} {count:,} ({count / total:.1%})"
             for label, count in sorted(counts.items(), key=_rank)[:most]]
    return ", ".join(shown) + (f" and {len(counts) - most} more" if len(counts) > most else "")


def commonest(labels: Iterable[object]) -> object:
    """The label that occurs most often; of equally frequent ones the first in the alphabet."""
    return min(Counter(labels).items(), key=_rank)[0]


def _rank(item: tuple[object, int]) -> tuple:
    return -item[1], str(item[0])


def class_details(names: Sequence[str], matrix: np.ndarray) -> dict:
    """The scores of each class and the confusion matrix (K, K), for a summary."""
    per_class = zip(names, class_counts(matrix))
    return {"per_class": {name: counts.figures() for name, counts in per_class},
            "confusion": matrix.tolist()}


def json_lines(records: Iterable[dict]) -> str:
    """An object a line."""
    return "".join([json.dumps(record, ensure_ascii=False) + "\n" for record in records])


def as_array(labels: Sequence[object]) -> np.ndarray | None:
    """The labels of the rows of a batch, None if one of them is to be predicted."""
    return None if any(label is None for label in labels) else np.array(labels)
