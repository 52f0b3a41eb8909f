"""What every task of fine-tuning does for the trainer, and how a model answers for one."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from minibert.autograd.tensor import Tensor, no_grad
from minibert.finetuning.encoding import Batch, Reading
from minibert.nn.module import evaluating

EVALUATED_AT_ONCE = 32  # rows; not the training batch, which must not change what is measured


class Task(Protocol):
    """A row is a window (or, for a choice, the windows of all endings); examples and rows are not
    in step where a text has several windows. A prediction is what `figures` and the commands show
    of an example."""

    name: str  # that of the command
    metric_for_best_model: str  # the figure by which the best checkpoint is chosen: more is better
    baseline_name: str  # what `guess` guesses, in two or three words
    reading: Reading

    def rows(self, examples: Sequence) -> list:
        """All windows of the examples. Errors: a label that is not known."""

    def batch(self, rows: Sequence) -> Batch: ...

    def count(self, labels: np.ndarray) -> float:
        """What the sum of the losses is divided by."""

    def loss(self, outputs: Any, labels: np.ndarray) -> Tensor:
        """The sum of the losses of a batch, given what the model returned."""

    def scores(self, outputs: Any) -> list[np.ndarray]:
        """The logits of each row of a batch."""

    def predictions(self, examples: Sequence, rows: Sequence, scores: Sequence[np.ndarray]
                    ) -> list:
        """One prediction for each example, from the scores of all rows."""

    def figures(self, examples: Sequence, predictions: list) -> dict[str, float]:
        """How good the predictions are."""

    def details(self, examples: Sequence, predictions: list) -> dict:
        """"per_class": the same for each class, type of entity or kind of question; "confusion":
        how often an example of one class was taken for another; as far as there are such."""

    def guess(self, train: Sequence) -> Any:
        """What counting the training labels gives, as JSON: the baseline."""

    def guessed(self, guess: Any, examples: Sequence) -> list:
        """The predictions of the baseline."""

    def written(self, examples: Sequence, predictions: list) -> str:
        """The predictions as the text of a file, in the form that the field has for them."""

    def describe(self, train: Sequence, dev: Sequence) -> list[str]:
        """The labels there are, one fact a line."""

    def show(self, row: Any) -> str:
        """A row and its label in words."""


def rows_by_length(task: Task, examples: Sequence) -> list:
    """The rows, short ones first, so that a batch has little padding."""
    return sorted(task.rows(examples), key=len)


def in_batches(task: Task, rows: Sequence) -> Iterator[Batch]:
    for start in range(0, len(rows), EVALUATED_AT_ONCE):
        yield task.batch(rows[start:start + EVALUATED_AT_ONCE])


def predict(task: Task, model, examples: Sequence) -> list:
    """The model's predictions for the examples, dropout off; the model's mode is put back."""
    rows, scores = rows_by_length(task, examples), []
    with evaluating(model), no_grad():
        for batch in in_batches(task, rows):
            scores += task.scores(model(**batch.inputs()))
    return task.predictions(examples, rows, scores)
