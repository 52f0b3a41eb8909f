"""The interface between the trainer and an objective."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from minibert.autograd.tensor import Tensor

# Loss sums by name, and metrics by name: sums (correct predictions), or lists (outputs, one a row),
# which are joined over the batches.
LossesAndMetrics = tuple[dict[str, Tensor], dict[str, float | list]]

HELD_OUT_BATCH = 64  # fixed, so that runs with different batch sizes evaluate the same examples


class Objective:
    """Base of the objectives: batches, and the loss sums of a model on a batch.

    The trainer divides each loss sum by the count of the same name, over all batches and
    workers of a step (a count may be 0: then the loss is 0), and adds the quotients. A batch has
    `input_ids` (B, T) and, for several workers, `shard`. A subclass defines all but `summary`.
    """

    name: str
    metric_for_best_model = "loss"  # the entry of `summary` that chooses the best checkpoint
    greater_is_better = False  # of that metric

    def batch(self, number: int) -> Any:
        """Make training batch `number`, counted from 0 over all steps; a pure function of it."""

    def held_out_batches(self) -> Iterator[Any]:
        """Yield all held-out examples, the same ones every time."""

    def counts(self, batch: Any) -> dict[str, float]:
        """Count the divisor of each loss sum: tokens, pairs..."""

    def losses(self, model: Any, batch: Any,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """Run a forward pass; -> loss sums and metrics. `rng` is for dropout."""

    def summary(self, loss_sums: dict[str, float], counts: dict[str, float],
                metric_sums: dict[str, float | list]) -> dict[str, float]:
        """Divide sums over all held-out batches: NAME_loss of each of several losses, and their
        sum "loss"."""
        means = {f"{name}_loss": loss_sums[name] / max(counts[name], 1) for name in counts}
        return {"loss": sum(means.values())} | (means if len(means) > 1 else {})

    def first_examples(self, n: int = 3) -> list[str]:
        """Show the first n training examples as text."""

    def describe(self) -> list[str]:
        """List facts about the training and held-out data, one a line."""


class Epochs:
    """An endless sequence of epochs of `size` examples each. sample(epoch): the examples of one, as
    an array or another sequence of rows; the latest epoch is kept."""

    def __init__(self, sample: Callable[[int], Any]):
        self.epoch = lru_cache(maxsize=1)(sample)
        self.size = len(self.epoch(0))

    def examples(self, start: int, n: int) -> list[Any]:
        """Cut out examples `start` to `start` + n, a part for each epoch that they span."""
        parts = []
        while n > 0:
            epoch, first = divmod(start, self.size)
            parts.append(self.epoch(epoch)[first:first + n])
            start, n = start + len(parts[-1]), n - len(parts[-1])
        return parts


def shard_rows(count: int, k: int, n: int) -> slice:
    """Choose the rows of worker k of n: consecutive, all of `count`, sizes differ by at most 1."""
    return slice(count * k // n, count * (k + 1) // n)


@dataclass(frozen=True)
class RowBatch:
    """Base of the batches of arrays with one row for each example."""

    input_ids: np.ndarray

    def shard(self, k: int, n: int) -> "RowBatch":
        """Take the rows of worker k of n."""
        rows = shard_rows(len(self.input_ids), k, n)
        return type(self)(*[array if array is None else array[rows]
                            for array in vars(self).values()])
