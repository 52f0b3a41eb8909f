"""Multiple choice: the most probable of several endings (Devlin et al. 2019, section 4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minibert.finetuning.encoding import CUT, Batch, Window, batch_of
from minibert.finetuning.examples import ChoiceExample
from minibert.finetuning.labels import class_details, format_counts, json_lines
from minibert.finetuning.metrics import accuracy, confusion_matrix
from minibert.finetuning.tasks.base import Task, row_labels
from minibert.generation.sampling import probabilities

Examples = Sequence[ChoiceExample]


@dataclass(frozen=True)
class ChoiceRow:
    """The windows of the context with each ending; `label` is the number of the right one."""

    example: int
    windows: tuple[Window, ...]
    label: int | None
    note: str = ""

    def __len__(self) -> int:
        return max(map(len, self.windows))

    @property
    def ids(self) -> list[int]:
        """The ids of all windows, one after another."""
        return [token for window in self.windows for token in window.ids]


class MultipleChoice(Task):
    """A prediction is the probabilities (N,) of the endings."""

    name, metric_for_best_model = "choice", "accuracy"
    baseline_name = "most frequent place"

    def rows(self, examples: Examples) -> list[ChoiceRow]:
        rows = []
        for number, example in enumerate(examples):
            pairs = [self.reading.pair(example.context, f"{example.start} {ending}".strip())
                     for ending in example.endings]
            windows = tuple(Window(number, ids, types) for ids, types, _ in pairs)
            was_cut = any(was_cut for _, _, was_cut in pairs)
            rows.append(ChoiceRow(number, windows, example.label, CUT if was_cut else ""))
        return rows

    def batch(self, rows: Sequence[ChoiceRow]) -> Batch:
        flat = batch_of(self.reading, [window for row in rows for window in row.windows], None)
        shape = (len(rows), len(rows[0].windows), -1)  # (B * N, T) -> (B, N, T)
        types = flat.token_type_ids
        return Batch(flat.input_ids.reshape(shape), None if types is None else types.reshape(shape),
                     flat.attention_mask.reshape(shape), row_labels(rows))

    def predictions(self, examples: Examples, rows: Sequence[ChoiceRow],
                    scores: Sequence[np.ndarray]) -> list[np.ndarray]:
        by_example = {row.example: score for row, score in zip(rows, scores)}
        return [probabilities(by_example[number]) for number in range(len(examples))]

    def compute_metrics(self, examples: Examples, predictions: Sequence[np.ndarray]
                        ) -> dict[str, float]:
        return {"accuracy": accuracy([example.label for example in examples],
                                     [int(p.argmax()) for p in predictions])}

    def details(self, examples: Examples, predictions: Sequence[np.ndarray]) -> dict:
        endings = len(examples[0].endings)
        matrix = confusion_matrix([example.label for example in examples],
                                  [p.argmax() for p in predictions], endings)
        return class_details([f"ending {k}" for k in range(endings)], matrix)

    def predict_baseline(self, baseline: int, examples: Examples) -> list[np.ndarray]:
        return [np.eye(len(example.endings))[min(baseline, len(example.endings) - 1)]
                for example in examples]

    def format_predictions(self, examples: Examples, predictions: Sequence[np.ndarray]) -> str:
        """An object a line, in the order of the examples."""
        return json_lines([{"label": int(p.argmax()), "probabilities": p.round(6).tolist()}
                           for p in predictions])

    def describe(self, part: str, examples: Examples) -> str:
        return (f"{len(examples[0].endings)} endings in {part}; right is "
                f"{format_counts([example.label for example in examples])}")

    def show(self, row: ChoiceRow) -> str:
        words = self.reading.tokenizer.convert_ids_to_tokens
        return "\n".join([f"{' '.join(words(window.ids))}{'  <- right' if k == row.label else ''}"
                          for k, window in enumerate(row.windows)])
