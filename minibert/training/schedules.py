"""Schedules: the learning rate as a function of the step, a linear warmup and then a decay.

Each takes the number of updates already made (0 for the first), the highest rate `lr`, the rate
`min_lr` at the end, the number of warmup steps and of all steps. The cosine is Loshchilov & Hutter
2017 (SGDR, equation 5) without restarts, with nanoGPT's warmup: the rate is `lr` at step `warmup`
and `min_lr` from step `steps` on.
"""

from __future__ import annotations

import math


def warmup_constant(step: int, lr: float, min_lr: float, warmup: int, steps: int) -> float:
    """Linear warmup, then constant `lr` (`min_lr` and `steps` are not used)."""
    return lr * (step + 1) / (warmup + 1) if step < warmup else lr


def warmup_linear(step: int, lr: float, min_lr: float, warmup: int, steps: int) -> float:
    """Linear warmup, then linear decay."""
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    return min_lr + (1 - _progress(step, warmup, steps)) * (lr - min_lr)


def warmup_cosine(step: int, lr: float, min_lr: float, warmup: int, steps: int) -> float:
    """Linear warmup, then decay along half a period of the cosine."""
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    return min_lr + 0.5 * (1 + math.cos(math.pi * _progress(step, warmup, steps))) * (lr - min_lr)


def _progress(step: int, warmup: int, steps: int) -> float:
    """The fraction of the decay that is done, from 0 to 1."""
    return 1.0 if step >= steps else (step - warmup) / (steps - warmup)


SCHEDULES = {"constant": warmup_constant, "linear": warmup_linear, "cosine": warmup_cosine}
