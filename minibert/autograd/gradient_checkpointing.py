"""Gradient checkpointing: a second forward for less memory (Chen et al. 2016, "Training Deep Nets
with Sublinear Memory Cost", section 4).

A graph keeps every activation of every block until backward has passed it. A checkpoint keeps only
a block's input. Backward runs the block again from there, now recorded, walks back over that graph
and drops it: at any time there is the graph of one block. It costs a second forward, about a third
more time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from copy import deepcopy

import numpy as np

from minibert.autograd.tensor import Tensor, grad_owners, is_recorded, no_grad, observers


def checkpoint(function: Callable[..., Tensor], activations: Sequence[Tensor],
               parameters: Sequence[Tensor], rng: np.random.Generator | None = None) -> Tensor:
    """function(rng, *activations), of whose graph nothing is kept but the activations.

    `parameters` are all the leaves that `function` uses besides. It must give the same result each
    time: it runs again in backward, with a copy of `rng` as it was, so that dropout is the same,
    and in the context of the first call (which implementation, in which module).
    """
    inputs = (*activations, *parameters)
    if not is_recorded(*inputs):
        return function(rng, *activations)
    context, rng_before = copy_context(), deepcopy(rng)
    with no_grad():
        output = function(rng, *activations).data

    def checkpoint_backward(grad):
        own = [source.detach() for source in inputs]  # their `.grad` collects the inner walk's
        starts, copies = own[:len(activations)], own[len(activations):]
        for start, activation in zip(starts, activations):
            start.requires_grad = activation.requires_grad
        again = context.copy()
        again.run(observers.set, observers.get())  # those of the backward, not of the forward
        result = again.run(function, deepcopy(rng_before), *starts)
        owners = {id(leaf): copy for leaf, copy in zip(parameters, copies)}
        again.run(grad_owners.set, {**grad_owners.get(), **owners})
        again.run(result.backward, grad)
        return tuple([tensor.grad for tensor in own])

    return Tensor.from_op(output, inputs, checkpoint_backward)
