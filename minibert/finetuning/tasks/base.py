"""The base of the fine-tuning tasks, and the predictions of a model for one."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minibert.autograd.tensor import Tensor, no_grad
from minibert.finetuning.encoding import Batch, Reading, batch_of
from minibert.finetuning.labels import most_frequent
from minibert.generation.decoding import checked_logits
from minibert.models.losses import classification_loss
from minibert.nn.module import evaluating

EVALUATED_AT_ONCE = 32  # rows, whatever the training batch: it must not change a metric


class Task:
    """A task: rows from examples, the loss, predictions, metrics, a baseline, the format of a file.

    A row is a window (for a choice, the windows of all endings); an example has one row or more.
    A prediction is the output for one example, which each task describes. `labels` are the names of
    the K classes, `weights` (K,) scale their losses (None: all 1). A subclass sets the first three
    names and defines the methods that have no body here; the others suit examples of one class.
    """

    name: str  # that of the command
    metric_for_best_model: str  # greater is better
    baseline_name: str  # the baseline in two or three words

    def __init__(self, reading: Reading, labels: Sequence[str] | None = None,
                 weights: Sequence[float] | None = None):
        self.reading = reading
        self.labels = None if labels is None else tuple(labels)
        self.label2id = {label: number for number, label in enumerate(labels or ())}
        self.weights = None if weights is None else np.asarray(weights, np.float32)

    def rows(self, examples: Sequence) -> list:
        """Encode the examples as windows. Errors: labels that the training did not have."""

    def batch(self, rows: Sequence) -> Batch:
        """Pad the rows to one length."""
        return batch_of(self.reading, rows, row_labels(rows))

    def count(self, labels: np.ndarray) -> float:
        """The divisor of the sum of the losses of a batch."""
        return len(labels) if self.weights is None else float(self.weights[labels].sum())

    def loss(self, outputs: Any, labels: np.ndarray) -> Tensor:
        """The sum of the losses of a batch, from the model's outputs and the labels (B, ...)."""
        return classification_loss(outputs.logits, labels, self.weights, reduction="sum")

    def scores(self, outputs: Any) -> list[np.ndarray]:
        """The logits of each row of a batch."""
        return list(outputs.logits.data)

    def predictions(self, examples: Sequence, rows: Sequence, scores: Sequence[np.ndarray]) -> list:
        """One prediction for each example, from the logits of all rows."""

    def compute_metrics(self, examples: Sequence, predictions: Sequence) -> dict[str, float]:
        """The metrics of the predictions, {name: value}."""

    def details(self, examples: Sequence, predictions: Sequence) -> dict:
        """"per_class": metrics for each class, type of entity or kind of question; "confusion": the
        confusion matrix (K, K); each only where the task has it."""
        return {}

    def fit_baseline(self, train: Sequence) -> Any:
        """The baseline, from counts of the training labels, as JSON: the most frequent label."""
        return most_frequent([example.label for example in train])

    def predict_baseline(self, baseline: Any, examples: Sequence) -> list:
        """The baseline's predictions."""

    def format_predictions(self, examples: Sequence, predictions: Sequence) -> str:
        """The predictions as the text of a file, in the usual format of the task."""

    def describe(self, part: str, examples: Sequence) -> str:
        """The distribution of the labels in `part` ("training", "dev")."""

    def show(self, row: Any) -> str:
        """A row's tokens and its label."""
        tokens = self.reading.tokenizer.convert_ids_to_tokens(row.ids)
        label = row.label if self.labels is None else self.labels[row.label]
        return f"{' '.join(tokens)}\n  -> {label}"


def row_labels(rows: Sequence) -> np.ndarray | None:
    """The labels of the rows of a batch, (B,) or (B, 2); None if a row has none."""
    labels = [row.label for row in rows]
    return None if None in labels else np.array(labels)


def rows_by_length(task: Task, examples: Sequence) -> list:
    """The rows of the examples, short ones first, so that a batch has little padding."""
    return sorted(task.rows(examples), key=len)


def in_batches(task: Task, rows: Sequence) -> Iterator[Batch]:
    """The rows in batches of EVALUATED_AT_ONCE."""
    for start in range(0, len(rows), EVALUATED_AT_ONCE):
        yield task.batch(rows[start:start + EVALUATED_AT_ONCE])


def predict(task: Task, model, examples: Sequence) -> list:
    """Compute the model's predictions for the examples, without dropout; its mode is restored.
    Errors: InputError for logits that are not finite."""
    rows, scores = rows_by_length(task, examples), []
    with evaluating(model), no_grad():
        for batch in in_batches(task, rows):
            scores += [checked_logits(task.name, logits)
                       for logits in task.scores(model(**batch.inputs()))]
    return task.predictions(examples, rows, scores)
