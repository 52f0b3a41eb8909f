"""Activation checkpointing: a second forward for less memory (Chen et al. 2016, "Training Deep Nets
with Sublinear Memory Cost", section 4).

Backward needs what forward computed, so a graph keeps every activation of every block until the
walk comes by. A checkpoint keeps a block's input only. When the walk arrives, it runs the block
again from there, now with a graph, walks back over that, and drops it: at any time there is the
graph of one block. It costs a second forward, about a third more time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from copy import deepcopy

import numpy as np

from minibert.autograd.tensor import Tensor, is_recorded, no_grad, observers, stand_ins


def checkpoint(function: Callable[..., Tensor], x: Tensor, parameters: Sequence[Tensor],
               rng: np.random.Generator | None = None) -> Tensor:
    """`function(x, rng)`, of whose graph nothing is kept but `x`.

    `parameters` are all the leaves that `function` uses besides. It must give the same result each
    time: it runs again in backward, with a copy of `rng` as it was, so that dropout falls alike,
    and in the contexts of the first time (which implementation, in which module).
    """
    inputs = (x, *parameters)
    if not is_recorded(*inputs):
        return function(x, rng)
    context, rng_before = copy_context(), deepcopy(rng)
    with no_grad():
        output = function(x, rng).data

    def checkpoint_backward(grad):
        own = [source.detach() for source in inputs]  # they take the gradients of this walk
        start = own[0]
        start.requires_grad = x.requires_grad
        again = context.copy()
        again.run(observers.set, observers.get())  # who watches now
        result = again.run(function, start, deepcopy(rng_before))
        again.run(stand_ins.set, {**stand_ins.get(),
                                  **{id(leaf): copy for leaf, copy in zip(parameters, own[1:])}})
        again.run(result.backward, grad)
        return tuple([tensor.grad for tensor in own])

    return Tensor.from_op(output, inputs, checkpoint_backward)
