"""Regression: a number for a text or a pair of texts, such as their similarity (STS-B)."""

from collections.abc import Sequence

import numpy as np

from minibert.autograd.tensor import Tensor
from minibert.finetuning.encoding import Batch, Reading, Window, batch_of
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.labels import as_array, json_lines
from minibert.finetuning.metrics import pearson, spearman
from minibert.finetuning.sliding_window import average_windows
from minibert.finetuning.tasks.sentences import sentence_rows, shown
from minibert.models.losses import regression_loss


class Regression:
    """A prediction is a number; for a text in several windows the mean of theirs."""

    metric_for_best_model = "pearson"
    baseline_name = "always the mean"

    def __init__(self, reading: Reading, name: str = "classify"):
        self.reading, self.name = reading, name

    def rows(self, examples: Sequence[SentenceExample]) -> list[Window]:
        return sentence_rows(self.reading, examples, [example.label for example in examples])

    def batch(self, rows: Sequence[Window]) -> Batch:
        return batch_of(self.reading, rows, as_array([row.label for row in rows]))

    def count(self, labels: np.ndarray) -> float:
        return len(labels)

    def loss(self, outputs, labels: np.ndarray) -> Tensor:
        return regression_loss(outputs.logits, labels, reduction="sum")

    def scores(self, outputs) -> list[np.ndarray]:
        return list(outputs.logits.data)

    def predictions(self, examples: Sequence[SentenceExample], rows: Sequence[Window],
                    scores: Sequence[np.ndarray]) -> list[float]:
        owners = np.array([row.example for row in rows])
        return average_windows(np.stack(scores), owners, len(examples))[:, 0].tolist()

    def compute_metrics(self, examples: Sequence[SentenceExample], predictions: Sequence[float]
                ) -> dict[str, float]:
        right, predicted = np.array([example.label for example in examples]), np.array(predictions)
        return {"pearson": pearson(right, predicted), "spearman": spearman(right, predicted),
                "mean_squared_error": float(((right - predicted) ** 2).mean())}

    def details(self, examples: Sequence[SentenceExample], predictions: Sequence[float]) -> dict:
        return {}  # there are no classes

    def fit_baseline(self, train: Sequence[SentenceExample]) -> float:
        """The mean."""
        return float(np.mean([example.label for example in train]))

    def predict_baseline(self, baseline: float, examples: Sequence[SentenceExample]) -> list[float]:
        return [baseline] * len(examples)

    def format_predictions(self, examples: Sequence[SentenceExample], predictions: Sequence[float]
                          ) -> str:
        """An object a line, in the order of the examples."""
        return json_lines([{"label": number} for number in predictions])

    def describe(self, train: Sequence[SentenceExample], dev: Sequence[SentenceExample]
                 ) -> list[str]:
        lines = []
        for part, examples in (("training", train), ("dev", dev)):
            values = [example.label for example in examples]
            lines.append(f"numbers in {part}: {min(values):g} to {max(values):g}, mean "
                         f"{np.mean(values):.4g}, standard deviation {np.std(values):.4g}")
        return lines

    def show(self, row: Window) -> str:
        return shown(self.reading, row, row.label)
