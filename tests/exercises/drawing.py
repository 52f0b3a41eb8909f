"""What the checks share: numbers from a drawn seed, and the gradient by the complex step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

STEP = 1e-30  # f'(x) = Im f(x + ih) / h (Squire & Trapp 1998): no subtraction, no truncation


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """N(0, 1), two decimals: they are read by a person."""
    return np.asarray(np.round(rng.normal(size=shape), 2))


def generators() -> st.SearchStrategy[np.random.Generator]:
    return st.integers(0, 2**16).map(np.random.default_rng)


def complex_step(forward: Callable, arrays: tuple[np.ndarray, ...],
                 upstream: np.ndarray | float) -> tuple[np.ndarray, ...]:
    """d sum(upstream * forward(*arrays)) / d each array, at every index."""
    grads = []
    for i, array in enumerate(arrays):
        grad = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            moved = np.array(array, complex)
            moved[index] += 1j * STEP
            output = forward(*arrays[:i], moved, *arrays[i + 1:])
            grad[index] = np.sum(upstream * np.imag(output)) / STEP
        grads.append(grad)
    return tuple(grads)
