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
    k of n. `chosen_by` is the figure of the summary by which the best checkpoint is chosen."""

    name: str
    chosen_by: str
    more_is_better: bool

    def batch(self, step: int) -> Any: ...

    def held_out_batches(self) -> Iterator[Any]: ...

    def counts(self, batch: Any) -> dict[str, float]: ...

    def losses(self, model: Any, batch: Any,
               rng: np.random.Generator | None = None) -> LossesAndMetrics: ...

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float | list]) -> dict[str, float]: ...

    def first_examples(self, n: int = 3) -> list[str]: ...

    def describe(self) -> list[str]: ...


def share_of_rows(count: int, k: int, n: int) -> slice:
    """The rows of worker k of n, out of `count`: in order, all of them, as evenly as possible."""
    return slice(count * k // n, count * (k + 1) // n)
