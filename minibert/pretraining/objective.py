"""What the trainer asks of every objective."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from minibert.autograd.tensor import Tensor

# Sums of the losses by name, and other figures: sums (right answers), or lists (outputs, row by
# row), which are joined over the batches.
LossesAndMetrics = tuple[dict[str, Tensor], dict[str, float | list]]


class Objective(Protocol):
    """The trainer divides each loss sum by the count of the same name, over all micro-batches and
    workers of a step (a count may be 0: then the loss is 0), and adds the quotients. A batch has
    `input_ids` (B, T) and, to be trained on by several workers, `share(k, n)`: the batch of worker
    k of n."""

    name: str
    metric_for_best_model: str  # the figure of the summary by which the best checkpoint is chosen
    greater_is_better: bool  # of that figure

    def batch(self, step: int) -> Any:
        """The training batch of a step: the same whenever it is asked for."""

    def held_out_batches(self) -> Iterator[Any]:
        """All that is held out, the same every time."""

    def counts(self, batch: Any) -> dict[str, float]:
        """What each loss sum is to be divided by: tokens, pairs..."""

    def losses(self, model: Any, batch: Any,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """A forward pass. `rng` is for dropout."""

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float | list]) -> dict[str, float]:
        """The figures to report, "loss" among them, from sums over all held-out batches."""

    def first_examples(self, n: int = 3) -> list[str]:
        """Training examples as a person reads them."""

    def describe(self) -> list[str]:
        """What there is to learn from, one fact a line."""


def shard_rows(count: int, k: int, n: int) -> slice:
    """The rows of worker k of n, out of `count`: in order, all of them, as evenly as possible."""
    return slice(count * k // n, count * (k + 1) // n)
