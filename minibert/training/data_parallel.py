"""Data parallel training: threads, each with the whole model and a shard of the batch.

The gradient of a sum is the sum of the gradients: each of N workers computes forward and backward
of its rows of the batch, and the N gradients are added up before the optimizer moves the weights
once (Li et al. 2020, "PyTorch Distributed", section 2.2, with threads for machines and a plain sum
for their all-reduce). Trainer.gradients divides every shard by the counts of the *whole* batch: a
mean of the workers' means would weigh a masked token more where few others were masked. The workers
share the weights, which they only read; each has its own graph and gradients.

NumPy releases the interpreter's lock while it works on a larger array. A matrix product would use
all cores by itself; layer norm, softmax and GELU would not. With one thread for each product and
one worker for each core, all of them do. With small arrays the lock is seldom free, and nothing is
saved.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import chain
from typing import TypeVar

import numpy as np

from minibert.autograd.fused.threads import (blas_threads, one_blas_thread, parallel_for,
                                             split_evenly)
from minibert.autograd.tensor import Tensor, grad_owners

Result = TypeVar("Result")

# Two workers for one save time if each shard of the vectors (B, T, C) has this many numbers.
# Measured: 49,000 numbers each save 13 %; 16,000 each (TOY of demos/benchmark) cost 25 %.
LEAST_SHARE = 1 << 15
MOST_DEFAULT_WORKERS = 4  # each adds a gradient to the sum, and makes the shards smaller


def default_workers(batch: int, context: int, width: int, cores: int) -> int:
    """Choose the number of workers where none is given, for `batch` rows of `context` tokens, a
    model of `width` and `cores` cores."""
    if blas_threads() is None:
        return 1
    return max(1, min(cores, batch, MOST_DEFAULT_WORKERS,
                      batch * context * width // LEAST_SHARE))


class Workers:
    """`count` workers over the same `parameters`. The caller's thread is worker 0; the others have
    a stand-in for every parameter, which receives its gradient."""

    def __init__(self, parameters: list[Tensor], count: int):
        self.parameters = parameters
        self.stand_ins = [[parameter.detach() for parameter in parameters] for _ in range(1, count)]

    def run(self, work: Callable[[int], Result]) -> list[Result]:
        """Call work(k) for every worker k, in parallel; -> the results in the workers' order. Each
        parameter's `.grad` is then the sum of their gradients, always added in the same order.

        Errors: an exception of a worker is raised when all have finished; then no parameter has a
        gradient.
        """
        try:
            with one_blas_thread(), ThreadPoolExecutor(max(len(self.stand_ins), 1)) as pool:
                futures = []
                for worker, own in enumerate(self.stand_ins, start=1):
                    for parameter, stand_in in zip(self.parameters, own):
                        stand_in.data = parameter.data  # after `double()` another one
                    context = copy_context()  # no_grad, reference and traces as in the caller
                    context.run(grad_owners.set, dict(zip(map(id, self.parameters), own)))
                    futures.append(pool.submit(context.run, work, worker))
                first = work(0)
            results = [first, *[future.result() for future in futures]]
        except BaseException:
            for tensor in chain(self.parameters, *self.stand_ins):
                tensor.grad = None
            raise
        self._add_up()
        return results

    def _add_up(self) -> None:
        """Add the stand-ins' gradients to the parameters', and drop them: their memory is for the
        next step's activations. A shard without a masked token has no gradient for that head."""
        for own in self.stand_ins:
            pairs = []
            for parameter, stand_in in zip(self.parameters, own):
                grad, stand_in.grad = stand_in.grad, None
                if grad is None:
                    continue
                if parameter.grad is not None:
                    pairs.append((parameter.grad, grad))
                else:
                    parameter.grad = grad
            parallel_for(_add, split_evenly(pairs, [total.size for total, _ in pairs]))


def _add(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for total, grad in pairs:
        total += grad
