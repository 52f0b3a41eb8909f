"""Data parallel training: several threads, each with the whole model and a share of the batch.

The gradient of a sum is the sum of the gradients. So the rows of a batch can be dealt out to N
workers; each goes forward and back over its own rows, and the N gradients are added up before AdamW
moves the weights, once for all (Li et al. 2020, "PyTorch Distributed", section 2.2, with threads
for machines and a plain sum for their all-reduce). Two things make the sum the gradient of the
whole:

- every share is divided by the count of the *whole* batch. A mean of the workers' means would weigh
  a masked token more where few others were masked;
- the weights stay as they are until all are done. Workers only read them, so they can share the
  arrays; what they write, they need one each: a tape (each builds its own graph) and gradients.

That threads are any faster in Python is NumPy's doing: it releases the interpreter's lock while it
works on a larger array, so that the others may run. A matrix product would use all cores by itself;
all else (layer norm, softmax, GELU) would not. With one thread for each product and one worker for
each core, everything does. Where the arrays are small the lock is seldom free, and there is nothing
to gain.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from itertools import chain
from typing import TypeVar

import numpy as np

from minibert.autograd.fused.threads import (blas_threads, one_blas_thread, parallel_for,
                                             split_evenly)
from minibert.autograd.tensor import Tensor, grad_owners

Result = TypeVar("Result")

# A worker pays if its share of a batch's vectors (B, T, C) has this many numbers. Measured with two
# workers for one: 12 windows of 64 tokens and width 128, 1.5 times as many each, take 13 % less
# time; TOY of demos/benchmark, half as many each, takes 25 % more.
LEAST_SHARE = 1 << 15
MOST_WORKERS = 4  # by default: each has a gradient to be added, and a share that shrinks


def default_workers(batch: int, context: int, width: int, cores: int) -> int:
    """How many workers a training of this size gets on `cores` cores, if it is not told."""
    if blas_threads() is None:
        return 1
    return max(1, min(cores, batch, MOST_WORKERS, batch * context * width // LEAST_SHARE))


class Workers:
    """`count` workers over the same `parameters`. The caller is worker 0 and works as it always
    does; the others are threads with a stand-in for every parameter, which takes its gradient."""

    def __init__(self, parameters: list[Tensor], count: int):
        self.parameters = parameters
        self.stand_ins = [[parameter.detach() for parameter in parameters] for _ in range(1, count)]

    def run(self, work: Callable[[int], Result]) -> list[Result]:
        """Call work(k) for every worker k, all at once; then `.grad` holds the sum of what their
        walks brought, always added in the same order. The results, in order.

        An exception in one of them is raised here when all have finished; then no parameter has a
        gradient.
        """
        results, errors = {}, {}

        def attempt(worker: int) -> None:
            try:
                results[worker] = work(worker)
            except BaseException as error:  # whatever it is: the caller raises it
                errors[worker] = error

        threads = []
        for worker, own in enumerate(self.stand_ins, start=1):
            context = copy_context()  # no_grad, reference, traces: as they are here
            context.run(grad_owners.set, self._made_ready(own))
            threads.append(threading.Thread(target=context.run, args=(attempt, worker)))
        with one_blas_thread():
            for thread in threads:
                thread.start()
            attempt(0)
            for thread in threads:
                thread.join()
        if errors:
            for tensor in chain(self.parameters, *self.stand_ins):
                tensor.grad = None
            raise errors[min(errors)]
        self._add_up()
        return [results[worker] for worker in range(len(threads) + 1)]

    def _made_ready(self, own: list[Tensor]) -> dict[int, Tensor]:
        """A worker's stand-ins by the parameters' ids, with the parameters' present arrays."""
        for parameter, stand_in in zip(self.parameters, own):
            stand_in.data = parameter.data  # after `double()` another one
        return {id(parameter): stand_in for parameter, stand_in in zip(self.parameters, own)}

    def _add_up(self) -> None:
        """Add the stand-ins' gradients to the parameters', and drop them: the memory serves the
        next step's activations. A share may have none for a parameter: no masked token, no gradient
        of their head."""
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
    for total, share in pairs:
        total += share
