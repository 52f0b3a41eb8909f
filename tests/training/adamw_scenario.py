"""Twelve steps of AdamW, for the reference numbers and for the test that compares with them.

Two groups, clipping before each step (at some steps the norm is smaller), a rate that changes, and
parameters that now and then have no gradient. One tensor is larger than a block of our optimizer's;
of that one a sample is kept.
"""

import numpy as np

SHAPES = {"a": (3, 5), "b": (4,), "c": (2, 1, 3), "big": (300, 701)}
GROUPS = [{"names": ["a", "big"], "weight_decay": 0.3, "betas": (0.8, 0.95), "lr": 0.05},
          {"names": ["b", "c"], "weight_decay": 0.0, "betas": (0.9, 0.999), "lr": 0.02}]
STEPS, EPS, CLIP = 12, 1e-3, 800.0
MISSING = {("b", 0), ("a", 3), ("a", 4), ("c", 7), ("b", 7)}  # (name, step) without a gradient


def values(name: str, step: int) -> np.ndarray:
    """The gradient of `name` at `step`, and at step -1 the parameter itself."""
    rng = np.random.default_rng([11, list(SHAPES).index(name), step + 1])
    return rng.normal(size=SHAPES[name]) * (1 + step % 3)


def sample(name: str, array: np.ndarray) -> np.ndarray:
    """All of a small array, and of the big one every 997th element, the last ones included."""
    flat = array.reshape(-1)
    return flat.copy() if name != "big" else np.concatenate([flat[::997], flat[-3:]])
