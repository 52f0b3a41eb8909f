"""A random generator for each purpose and number, made from the seed.

A batch is a pure function of (seed, number): a resumed run needs no saved random state, and an
evaluation uses up no random numbers. NumPy's SeedSequence keeps the streams independent.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """The purposes of all random numbers of a training; their values must differ."""

    DROPOUT = 1
    PAIRS = 11
    MASKS = 12
    WINDOWS = 13
    HELD_OUT_PAIRS = 14
    HELD_OUT_MASKS = 15
    EXAMPLES = 16


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """Make the generator of one purpose for the given numbers (of an epoch, a batch, a worker)."""
    return np.random.default_rng([seed, int(purpose), *numbers])
