"""Labels: their names, numbers, frequencies and weights."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from minibert.errors import InputError
from minibert.finetuning.files.records import is_whole_number, listed, raise_faults
from minibert.finetuning.metrics import class_counts

MOST_SHOWN = 12


def class_names(labels: Iterable[str], where: str = "the training examples") -> tuple[str, ...]:
    """List the classes, sorted as numbers if all are, else as texts. Errors: fewer than two."""
    names = set(labels)
    if len(names) < 2:
        raise InputError(f"{where}: {' and '.join(map(repr, names)) or 'nothing'} is the only "
                         "class there: a classifier needs two or more; check the label column")
    if all(map(is_whole_number, names)):
        return tuple(sorted(sorted(names), key=int))  # "01" before "1", whatever the set's order
    return tuple(sorted(names))


def label_ids(labels: Sequence[tuple[str, str | None]], label2id: Mapping[str, int]
              ) -> list[int | None]:
    """The numbers of (where, label), None for a label None. Errors: all labels that the training
    did not have, in one message."""
    known = listed([*map(repr, label2id)], MOST_SHOWN)
    raise_faults([(where, f": the label {label!r:.60} did not occur in training, which had {known}"
                          "; correct it, or add training examples of it")
                  for where, label in labels if label is not None and label not in label2id])
    return [label2id.get(label) for _, label in labels]


def balanced_weights(labels: Iterable[str], names: Sequence[str]) -> np.ndarray:
    """(K,) weights n / (K * count of the class), with which all classes have the same share of the
    loss: scikit-learn's "balanced"."""
    counts = Counter(labels)
    total = sum(counts.values())
    return np.array([total / (len(names) * max(counts[name], 1)) for name in names], np.float32)


def format_counts(labels: Iterable[object], most: int = MOST_SHOWN) -> str:
    """The count of each label, the most frequent first: `pos 512 (51.2%), neg 488 (48.8%)`."""
    counts = ranked(labels)
    total = sum([count for _, count in counts])
    return listed([f"{label} {count:,} ({count / total:.1%})" for label, count in counts], most)


def ranked(labels: Iterable[object]) -> list[tuple[object, int]]:
    """(label, count), the most frequent first; equally frequent ones in alphabetical order."""
    return Counter(sorted(labels, key=str)).most_common()


def most_frequent(labels: Iterable[object]) -> object:
    """The label that occurs most often; of equally frequent ones the first as a text."""
    return ranked(labels)[0][0]


def class_details(names: Sequence[str], matrix: np.ndarray) -> dict:
    """The metrics of each class and the confusion matrix (K, K), as JSON."""
    per_class = zip(names, class_counts(matrix))
    return {"per_class": {name: counts.scores() for name, counts in per_class},
            "confusion": matrix.tolist()}


def json_lines(records: Iterable[dict]) -> str:
    """Format objects as JSON, one a line."""
    return "".join([json.dumps(record, ensure_ascii=False) + "\n" for record in records])
