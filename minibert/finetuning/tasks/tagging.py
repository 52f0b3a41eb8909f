"""Token classification: a tag for every word (Devlin et al. 2019, figure 4 d and section 5.3).

A word's tag is the label of its first token; the other tokens have none. A sentence longer than a
window is read in several that overlap; a word in two of them has its label where it has more
context.
"""

from collections.abc import Sequence

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.finetuning.encoding import Batch, Reading, Window, batch_of
from minibert.finetuning.entity_metrics import entity_counts, has_entity_tags
from minibert.finetuning.examples import TagExample
from minibert.finetuning.labels import class_details, format_counts, label_ids, most_frequent
from minibert.finetuning.metrics import accuracy, confusion_matrix, total
from minibert.finetuning.sliding_window import windows_in_context
from minibert.finetuning.tasks.base import Task
from minibert.models.losses import token_loss
from minibert.pretraining.seq2seq import as_rows

NO_TOKEN = "have a word without a token (a control character), which is read as unknown"  # a note
NO_WORD = -1  # the word of a token without a label

Examples = Sequence[TagExample]
Predictions = Sequence[Sequence[str]]


def tag_names(examples: Examples, where: str = "the training examples") -> tuple[str, ...]:
    """List the tags of the examples; for entities O first, then B- and I- of every type, also where
    only one of the two occurs. Errors: a single tag."""
    tags = {tag for example in examples for tag in example.tags}
    if len(tags) < 2:
        raise InputError(f"{where}: {' '.join(tags)!r} is the only tag there: there is nothing to "
                         "learn; check that the tag stands in the last column")
    if not has_entity_tags(tags):
        return tuple(sorted(tags))
    types = sorted({tag[1:] for tag in tags if tag != "O"})  # "-PER", or "" for B and I alone
    return ("O", *(letter + name for name in types for letter in "BI"))


class Tagging(Task):
    """Tagging with the tags `labels`. A prediction is a tuple of tags, one for each word."""

    name = "tag"
    baseline_name = "each word's most frequent tag"

    def __init__(self, reading: Reading, labels: Sequence[str],
                 weights: Sequence[float] | None = None):
        super().__init__(reading, labels, weights)
        self.metric_for_best_model = "f1" if has_entity_tags(labels) else "accuracy"

    def rows(self, examples: Examples) -> list[Window]:
        label_ids([(f"{example.where}, word {i} ({word!r:.40})", tag) for example in examples
                   for i, (word, tag) in enumerate(zip(example.words, example.tags or ()), 1)],
                  self.label2id)  # raises where a tag is unknown
        return [row for number, example in enumerate(examples)
                for row in self._windows(number, example)]

    def _windows(self, number: int, example: TagExample) -> list[Window]:
        """The windows of one sentence; each word has its label in one of them."""
        pieces, note = self._pieces(example.words)
        rows = []
        for start, end, is_best in windows_in_context(len(pieces), self.reading.room(1),
                                                      self.reading.overlap):
            tokens, words = zip(*pieces[start:end])
            words = [NO_WORD, *np.where(is_best, words, NO_WORD).tolist(), NO_WORD]  # [CLS], [SEP]
            label = None if example.tags is None else [
                IGNORE_INDEX if word == NO_WORD else self.label2id[example.tags[word]]
                for word in words]
            rows.append(Window(number, *self.reading.framed(tokens), label, words, note))
        return rows

    def _pieces(self, words: Sequence[str]) -> tuple[list[tuple[int, int]], str]:
        """(token, number of the word whose first token it is, or NO_WORD), and a note."""
        pieces, note = [], ""
        for number, word in enumerate(words):
            ids = self.reading.word_ids(word)
            if not ids:
                ids, note = [self.reading.tokenizer.unk_token_id], NO_TOKEN
            pieces += [(token, NO_WORD if i else number) for i, token in enumerate(ids)]
        return pieces, note

    def batch(self, rows: Sequence[Window]) -> Batch:
        labels = [row.label for row in rows]
        return batch_of(self.reading, rows,
                        None if None in labels else as_rows(labels, IGNORE_INDEX))  # (B, T)

    def count(self, labels: np.ndarray) -> float:
        return super().count(labels[labels != IGNORE_INDEX])

    def loss(self, outputs, labels: np.ndarray) -> Tensor:
        return token_loss(outputs.logits, labels, self.weights, reduction="sum")

    def predictions(self, examples: Examples, rows: Sequence[Window], scores: Sequence[np.ndarray]
                    ) -> list[tuple[str, ...]]:
        tags = [[""] * len(example.words) for example in examples]
        for row, score in zip(rows, scores):
            for word, number in zip(row.alignment, score.argmax(axis=-1)):  # (T, K) -> (T,)
                if word != NO_WORD:
                    tags[row.example][word] = self.labels[number]
        return [tuple(row) for row in tags]

    def compute_metrics(self, examples: Examples, predictions: Predictions) -> dict[str, float]:
        right = [example.tags for example in examples]
        scores = {"accuracy": accuracy(_joined(right), _joined(predictions))}
        if self.metric_for_best_model == "f1":
            found = total(entity_counts(right, predictions).values()).scores()
            scores |= {name: found[name] for name in ("f1", "precision", "recall")}
        return scores

    def details(self, examples: Examples, predictions: Predictions) -> dict:
        right = [example.tags for example in examples]
        if self.metric_for_best_model == "f1":
            counts = entity_counts(right, predictions)
            return {"per_class": {kind: count.scores() for kind, count in counts.items()}}
        ids = [[self.label2id[tag] for tag in _joined(tags)] for tags in (right, predictions)]
        return class_details(self.labels, confusion_matrix(*ids, len(self.labels)))

    def fit_baseline(self, train: Examples) -> dict:
        """Each word's most frequent tag; for other words the most frequent of all."""
        other, tags_of = most_frequent(_joined([example.tags for example in train])), {}
        for example in train:
            for word, tag in zip(example.words, example.tags):
                tags_of.setdefault(word, []).append(tag)
        words = {word: most_frequent(tags) for word, tags in tags_of.items()}
        return {"other": other, "words": {word: tag for word, tag in words.items() if tag != other}}

    def predict_baseline(self, baseline: dict, examples: Examples) -> list[tuple[str, ...]]:
        return [tuple(baseline["words"].get(word, baseline["other"]) for word in example.words)
                for example in examples]

    def format_predictions(self, examples: Examples, predictions: Predictions) -> str:
        """A word and its tag a line, a blank line between sentences."""
        return "\n".join(["".join([f"{word}\t{tag}\n" for word, tag in zip(example.words, tags)])
                          for example, tags in zip(examples, predictions)])

    def describe(self, part: str, examples: Examples) -> str:
        return f"tags in {part}: {format_counts(_joined([example.tags for example in examples]))}"

    def show(self, row: Window) -> str:
        words = self.reading.tokenizer.convert_ids_to_tokens(row.ids)
        return " ".join([word if label == IGNORE_INDEX else f"{word}/{self.labels[label]}"
                         for word, label in zip(words, row.label)])


def _joined(tags: Predictions) -> list[str]:
    """The tags of all sentences as one list."""
    return [tag for row in tags for tag in row]
