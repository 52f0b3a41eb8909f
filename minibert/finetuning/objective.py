"""The objective of fine-tuning: batches of a task's rows; the dev file is the held-out part."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from minibert.finetuning.encoding import Batch
from minibert.finetuning.tasks.base import Task, in_batches, rows_by_length
from minibert.pretraining.objective import Epochs, LossesAndMetrics, Objective
from minibert.pretraining.seeds import Purpose, generator
from minibert.validate import whole_number

LITTLE = 0.001  # a smaller share of unknown tokens is not listed
MOST_LINES = 4  # places of one note


def shuffled_epochs(rows: Sequence, seed: int) -> Epochs:
    """Epochs of all rows, each in an order of its own."""
    def sample(epoch: int) -> list:
        return [rows[k] for k in generator(seed, Purpose.EXAMPLES, epoch).permutation(len(rows))]
    return Epochs(sample)


class FineTuningObjective(Objective):
    """Batches of the rows of `train`, epoch after epoch: a batch is a pure function of (seed,
    number). An evaluation reads all of `dev`."""

    greater_is_better = True  # for the metric_for_best_model of every task

    def __init__(self, task: Task, train: Sequence, dev: Sequence, batch_size: int, seed: int = 0):
        self.task, self.train, self.dev = task, train, dev
        self.batch_size = whole_number("batch", batch_size, 1)
        self.name, self.metric_for_best_model = task.name, task.metric_for_best_model
        self.rows = task.rows(train)
        self.dev_rows = rows_by_length(task, dev)
        self.epochs = shuffled_epochs(self.rows, seed)

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches that an epoch fills, the last one in part."""
        return -(-len(self.rows) // self.batch_size)

    def batch(self, number: int) -> Batch:
        """Make training batch `number`, counted from 0 over all steps."""
        parts = self.epochs.examples(number * self.batch_size, self.batch_size)
        return self.task.batch([row for part in parts for row in part])

    def held_out_batches(self) -> Iterator[Batch]:
        """All rows of `dev`."""
        return in_batches(self.task, self.dev_rows)

    def counts(self, batch: Batch) -> dict[str, float]:
        return {self.name: self.task.count(batch.labels)}

    def losses(self, model, batch: Batch, rng: np.random.Generator | None = None
               ) -> LossesAndMetrics:
        """The sum of the losses, and the scores row by row."""
        outputs = model(**batch.inputs(), rng=rng)
        return ({self.name: self.task.loss(outputs, batch.labels)},
                {"scores": self.task.scores(outputs)})

    def summary(self, loss_sums: dict[str, float], counts: dict[str, float],
                metric_sums: dict[str, list]) -> dict[str, float]:
        """The mean loss of `dev`, and the task's metrics."""
        predictions = self.task.predictions(self.dev, self.dev_rows, metric_sums["scores"])
        loss = loss_sums[self.name] / (counts[self.name] or 1)
        return {"loss": loss, **self.task.compute_metrics(self.dev, predictions)}

    def first_examples(self, n: int = 3) -> list[str]:
        """The tokens and labels of the first training rows."""
        return [self.task.show(row) for row in self.epochs.epoch(0)[:n]]

    def describe(self) -> list[str]:
        """Sizes, unknown tokens and labels of both files, one fact a line."""
        lines = []
        for part, examples, rows in (("training", self.train, self.rows),
                                     ("dev", self.dev, self.dev_rows)):
            lengths = np.array([len(row) for row in rows])
            lines.append(f"{part}: {len(examples):,} examples in {len(rows):,} windows of "
                         f"{lengths.min()} to {lengths.max()} tokens, mean {lengths.mean():.1f}")
            lines += self._unknown(rows) + self._notes(examples, rows)
        known = {tuple(row.ids) for row in self.rows}
        repeated = np.mean([tuple(row.ids) in known for row in self.dev_rows])
        if repeated:
            lines.append(f"{repeated:.1%} of the dev windows also occur in training")
        return [*lines, self.task.describe("training", self.train),
                self.task.describe("dev", self.dev)]

    def _unknown(self, rows: Sequence) -> list[str]:
        """The share of unknown tokens. (GPT-2 has none: its unk_token is its separator.)"""
        tokenizer = self.task.reading.tokenizer
        unknown = getattr(tokenizer, "unk_token_id", None)
        if unknown in (None, tokenizer.sep_token_id):
            return []
        share = np.mean([token == unknown for row in rows for token in row.ids])
        if share < LITTLE:
            return []
        return [f"  {share:.1%} of the tokens are {tokenizer.unk_token}: for these words the "
                "tokenizer has no pieces"]

    def _notes(self, examples: Sequence, rows: Sequence) -> list[str]:
        """Counts of examples in several windows and of rows' notes, with the first places."""
        noted = dict.fromkeys((row.note, row.example) for row in rows if row.note)
        several = sum([count > 1 for count in Counter([row.example for row in rows]).values()])
        reading = self.task.reading
        lines = [f"  {several:,} are longer than {reading.max_length} tokens: read in windows that "
                 f"share {reading.overlap}"] if several else []
        for reason, count in Counter([note for note, _ in noted]).items():
            lines.append(f"  {count:,} {reason}")
            which = [example for note, example in noted if note == reason][:MOST_LINES]
            lines += [f"    {examples[example].where}" for example in which
                      if examples[example].where]
        return lines
