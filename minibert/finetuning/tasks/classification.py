"""The class of a text or of a pair of texts (Devlin et al. 2019, figure 4 a and b)."""

from collections.abc import Sequence

import numpy as np

from minibert.autograd.tensor import Tensor
from minibert.finetuning.encoding import Batch, Reading, Window, batch_of
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.labels import (as_array, class_details, format_counts, json_lines,
                                        label_ids, most_frequent)
from minibert.finetuning.metrics import (class_counts, confusion_matrix, macro_f1,
                                         matthews_correlation, total)
from minibert.finetuning.sliding_window import average_windows, vote_windows
from minibert.finetuning.tasks.sentences import sentence_rows, shown
from minibert.generation.sampling import probabilities
from minibert.models.losses import classification_loss


class Classification:
    """Classification into `labels`. A prediction is their probabilities (K,); for a text in several
    windows the mean or, with `vote`, the share of the windows that predict a class. `weights` (K,)
    scale the losses of the classes (None: all 1)."""

    baseline_name = "majority class"

    def __init__(self, reading: Reading, labels: Sequence[str], name: str = "classify",
                 metric_for_best_model: str = "accuracy", weights: Sequence[float] | None = None,
                 vote: bool = False):
        self.reading, self.name, self.metric_for_best_model = reading, name, metric_for_best_model
        self.over_windows = vote_windows if vote else average_windows
        self.labels = tuple(labels)
        self.label2id = {label: number for number, label in enumerate(labels)}
        self.weights = None if weights is None else np.asarray(weights, np.float32)

    def rows(self, examples: Sequence[SentenceExample]) -> list[Window]:
        return sentence_rows(self.reading, examples, self._label_ids(examples))

    def _label_ids(self, examples: Sequence[SentenceExample]) -> list[int | None]:
        return label_ids([(example.where, example.label) for example in examples], self.label2id)

    def batch(self, rows: Sequence[Window]) -> Batch:
        return batch_of(self.reading, rows, as_array([row.label for row in rows]))

    def count(self, labels: np.ndarray) -> float:
        return len(labels) if self.weights is None else float(self.weights[labels].sum())

    def loss(self, outputs, labels: np.ndarray) -> Tensor:
        return classification_loss(outputs.logits, labels, self.weights, reduction="sum")

    def scores(self, outputs) -> list[np.ndarray]:
        return list(outputs.logits.data)

    def predictions(self, examples: Sequence[SentenceExample], rows: Sequence[Window],
                    scores: Sequence[np.ndarray]) -> list[np.ndarray]:
        owners = np.array([row.example for row in rows])
        return list(self.over_windows(probabilities(np.stack(scores)), owners, len(examples)))

    def compute_metrics(self, examples: Sequence[SentenceExample], predictions: Sequence[np.ndarray]
                ) -> dict[str, float]:
        matrix = self._matrix(examples, predictions)
        return {"accuracy": total(class_counts(matrix)).recall,
                "macro_f1": macro_f1(class_counts(matrix)),
                "matthews": matthews_correlation(matrix)}

    def details(self, examples: Sequence[SentenceExample], predictions: Sequence[np.ndarray]
                ) -> dict:
        return class_details(self.labels, self._matrix(examples, predictions))

    def _matrix(self, examples: Sequence[SentenceExample], predictions: Sequence[np.ndarray]
                ) -> np.ndarray:
        return confusion_matrix(np.array(self._label_ids(examples)),
                                np.stack(predictions).argmax(axis=1), len(self.labels))

    def fit_baseline(self, train: Sequence[SentenceExample]) -> str:
        """The majority class."""
        return most_frequent([example.label for example in train])

    def predict_baseline(self, baseline: str, examples: Sequence[SentenceExample]
                        ) -> list[np.ndarray]:
        return [np.eye(len(self.labels))[self.label2id[baseline]]] * len(examples)

    def format_predictions(self, examples: Sequence[SentenceExample],
                           predictions: Sequence[np.ndarray]
                ) -> str:
        """An object a line, in the order of the examples."""
        return json_lines([{"label": self.labels[int(p.argmax())],
                            "probabilities": dict(zip(self.labels, p.round(6).tolist()))}
                           for p in predictions])

    def describe(self, train: Sequence[SentenceExample], dev: Sequence[SentenceExample]
                 ) -> list[str]:
        return [f"classes in {part}: {format_counts([example.label for example in examples])}"
                for part, examples in (("training", train), ("dev", dev))]

    def show(self, row: Window) -> str:
        return shown(self.reading, row, self.labels[row.label])
