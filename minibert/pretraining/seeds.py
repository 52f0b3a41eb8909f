"""Random numbers by counting: each purpose and step has its own generator, made anew from the seed.

Nothing needs to be saved to resume a run, nothing is used up by an evaluation, and a batch is a
pure function of (seed, step). (NumPy's SeedSequence mixes the numbers so that streams do not meet.)
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """The numbers only have to differ, from each other and from DROPOUT in trainer.py."""

    PAIRS = 11
    MASKS = 12
    WINDOWS = 13
    HELD_OUT_PAIRS = 14
    HELD_OUT_MASKS = 15
    EXAMPLES = 16


def generator(seed: int, purpose: Purpose, step: int = 0) -> np.random.Generator:
    """The generator of one purpose at one step (or epoch, or batch)."""
    return np.random.default_rng([seed, int(purpose), step])
