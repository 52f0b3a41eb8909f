"""The learning rate as a function of the step: warm up, then stay or fall.

Each takes the number of updates already made (0 for the first), the highest rate `lr`, the rate
`min_lr` at the end, the number of warmup steps and of all steps. The cosine is Loshchilov & Hutter
2017 (SGDR, equation 5) without restarts, with nanoGPT's warmup and its constants: warmup reaches
`lr` at step `warmup` exactly, and the rate is `min_lr` from step `steps` on.
"""

from __future__ import annotations

import math


def warmup_constant(step: int, lr: float, min_lr: float, warmup: int, steps: int) -> float:
    """Up in a line, then `lr` for good (`min_lr` and `steps` do not matter)."""
    return lr * (step + 1) / (warmup + 1) if step < warmup else lr


def warmup_linear(step: int, lr: float, min_lr: float, warmup: int, steps: int) -> float:
    """Up in a line, then down in a line."""
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    return min_lr + (1 - _share_done(step, warmup, steps)) * (lr - min_lr)


def warmup_cosine(step: int, lr: float, min_lr: float, warmup: int, steps: int) -> float:
    """Up in a line, then down along half a period of the cosine."""
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    return min_lr + 0.5 * (1 + math.cos(math.pi * _share_done(step, warmup, steps))) * (lr - min_lr)


def _share_done(step: int, warmup: int, steps: int) -> float:
    """How much of the way down lies behind, from 0 to 1."""
    return 1.0 if step >= steps else (step - warmup) / (steps - warmup)


SCHEDULES = {"constant": warmup_constant, "linear": warmup_linear, "cosine": warmup_cosine}
