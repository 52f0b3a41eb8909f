"""The interface between the trainer and an objective."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from minibert.autograd.tensor import Tensor

# Loss sums by name, and metrics by name: sums (correct predictions), or lists (outputs, one a row),
# which are joined over the batches.
LossesAndMetrics = tuple[dict[str, Tensor], dict[str, float | list]]


class Objective(Protocol):
    """Batches, and the loss sums of a model on a batch.

    The trainer divides each loss sum by the count of the same name, over all micro-batches and
    workers of a step (a count may be 0: then the loss is 0), and adds the quotients. A batch has
    `input_ids` (B, T) and, for several workers, `shard(k, n)`: the batch of worker k of n.
    """

    name: str
    metric_for_best_model: str  # the entry of the summary that chooses the best checkpoint
    greater_is_better: bool  # of that metric

    def batch(self, number: int) -> Any:
        """Returns training batch `number`, counted over micro-batches; a pure function of it."""

    def held_out_batches(self) -> Iterator[Any]:
        """Yields all held-out examples; the same ones every time."""

    def counts(self, batch: Any) -> dict[str, float]:
        """Returns the divisor of each loss sum: tokens, pairs..."""

    def losses(self, model: Any, batch: Any,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """Runs a forward pass; `rng` is for dropout."""

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float | list]) -> dict[str, float]:
        """Returns the metrics to report, "loss" among them, from sums over all held-out batches."""

    def first_examples(self, n: int = 3) -> list[str]:
        """Returns the first n training examples as readable text."""

    def describe(self) -> list[str]:
        """Returns facts about the training and held-out data, one a line."""


def shard_rows(count: int, k: int, n: int) -> slice:
    """Returns the rows of worker k of n: consecutive, all of `count`, sizes differ by at most 1."""
    return slice(count * k // n, count * (k + 1) // n)
