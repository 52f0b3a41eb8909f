"""Texts and pairs of texts (Devlin et al. 2019, figure 4 a and b): their class, or a number."""

from collections.abc import Sequence

import numpy as np

from minibert.autograd.tensor import Tensor
from minibert.finetuning.encoding import CUT, Reading, Window
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.labels import class_details, format_counts, json_lines, label_ids
from minibert.finetuning.metrics import (class_counts, confusion_matrix, macro_f1,
                                         matthews_correlation, pearson, spearman)
from minibert.finetuning.sliding_window import average_windows, vote_windows
from minibert.finetuning.tasks.base import Task
from minibert.generation.sampling import probabilities
from minibert.models.losses import regression_loss
from minibert.tokenizers.truncation import cut_windows

Examples = Sequence[SentenceExample]


def sentence_rows(reading: Reading, examples: Examples, labels: Sequence[object]) -> list[Window]:
    """Encode texts as windows, each with the label of its text, and pairs as one window, from which
    the longer text loses its end."""
    rows = []
    for number, (example, label) in enumerate(zip(examples, labels)):
        if example.text_pair is not None:
            ids, types, was_cut = reading.pair(example.text, example.text_pair)
            rows.append(Window(number, ids, types, label, note=CUT if was_cut else ""))
            continue
        for part, _ in cut_windows(reading.ids(example.text), None, reading.room(1), "only_first",
                                   reading.overlap, True):
            rows.append(Window(number, *reading.framed(part), label))
    return rows


class Classification(Task):
    """Classification into `labels`. A prediction is their probabilities (K,); for a text in several
    windows the mean or, with `vote`, the share of the windows that predict a class."""

    baseline_name = "majority class"

    def __init__(self, reading: Reading, labels: Sequence[str], name: str = "classify",
                 metric_for_best_model: str = "accuracy", weights: Sequence[float] | None = None,
                 vote: bool = False):
        super().__init__(reading, labels, weights)
        self.name, self.metric_for_best_model = name, metric_for_best_model
        self.over_windows = vote_windows if vote else average_windows

    def rows(self, examples: Examples) -> list[Window]:
        return sentence_rows(self.reading, examples, self._label_ids(examples))

    def _label_ids(self, examples: Examples) -> list[int | None]:
        return label_ids([(example.where, example.label) for example in examples], self.label2id)

    def predictions(self, examples: Examples, rows: Sequence[Window], scores: Sequence[np.ndarray]
                    ) -> list[np.ndarray]:
        owners = np.array([row.example for row in rows])
        return list(self.over_windows(probabilities(np.stack(scores)), owners, len(examples)))

    def compute_metrics(self, examples: Examples, predictions: Sequence[np.ndarray]
                        ) -> dict[str, float]:
        matrix = self._matrix(examples, predictions)
        return {"accuracy": float(np.trace(matrix) / matrix.sum()),
                "macro_f1": macro_f1(class_counts(matrix)),
                "matthews": matthews_correlation(matrix)}

    def details(self, examples: Examples, predictions: Sequence[np.ndarray]) -> dict:
        return class_details(self.labels, self._matrix(examples, predictions))

    def _matrix(self, examples: Examples, predictions: Sequence[np.ndarray]) -> np.ndarray:
        return confusion_matrix(self._label_ids(examples), np.stack(predictions).argmax(axis=1),
                                len(self.labels))

    def predict_baseline(self, baseline: str, examples: Examples) -> list[np.ndarray]:
        return [np.eye(len(self.labels))[self.label2id[baseline]]] * len(examples)

    def format_predictions(self, examples: Examples, predictions: Sequence[np.ndarray]) -> str:
        """An object a line, in the order of the examples."""
        return json_lines([{"label": self.labels[int(p.argmax())],
                            "probabilities": dict(zip(self.labels, p.round(6).tolist()))}
                           for p in predictions])

    def describe(self, part: str, examples: Examples) -> str:
        return f"classes in {part}: {format_counts([example.label for example in examples])}"


class Regression(Task):
    """Regression, such as the similarity of two texts (STS-B). A prediction is a number; for a text
    in several windows the mean of theirs."""

    metric_for_best_model = "pearson"
    baseline_name = "always the mean"

    def __init__(self, reading: Reading, name: str = "classify"):
        super().__init__(reading)
        self.name = name

    def rows(self, examples: Examples) -> list[Window]:
        return sentence_rows(self.reading, examples, [example.label for example in examples])

    def loss(self, outputs, labels: np.ndarray) -> Tensor:
        return regression_loss(outputs.logits, labels, reduction="sum")

    def predictions(self, examples: Examples, rows: Sequence[Window], scores: Sequence[np.ndarray]
                    ) -> list[float]:
        owners = np.array([row.example for row in rows])
        return average_windows(np.stack(scores), owners, len(examples))[:, 0].tolist()

    def compute_metrics(self, examples: Examples, predictions: Sequence[float]) -> dict[str, float]:
        right, predicted = np.array([example.label for example in examples]), np.array(predictions)
        return {"pearson": pearson(right, predicted), "spearman": spearman(right, predicted),
                "mean_squared_error": float(((right - predicted) ** 2).mean())}

    def fit_baseline(self, train: Examples) -> float:
        """The mean."""
        return float(np.mean([example.label for example in train]))

    def predict_baseline(self, baseline: float, examples: Examples) -> list[float]:
        return [baseline] * len(examples)

    def format_predictions(self, examples: Examples, predictions: Sequence[float]) -> str:
        """An object a line, in the order of the examples."""
        return json_lines([{"label": number} for number in predictions])

    def describe(self, part: str, examples: Examples) -> str:
        values = [example.label for example in examples]
        return (f"numbers in {part}: {min(values):g} to {max(values):g}, mean "
                f"{np.mean(values):.4g}, standard deviation {np.std(values):.4g}")
