"""Checks of random functions: counts over many tokens, each with the probability it should have.

`Figures` is what one large call is reduced to: name -> (how many, of how many, the right
probability). A count is wrong when a chi-square test gives it a probability under 1e-6, or, where
the right probability is 0 or 1, at the first exception.
"""

from __future__ import annotations

import math

from scipy import stats

Figures = dict[str, tuple[int, int, float]]


def wrong_figure(figures: Figures) -> str | None:
    """The first count that cannot be chance, as a sentence."""
    for name, (k, n, p) in figures.items():
        if n and not plausible(int(k), int(n), p):
            return f"{name}: {k} of {n} ({100 * k / n:.1f} %); right is {100 * p:.1f} %"
    return None


def plausible(k: int, n: int, p: float) -> bool:
    if p in (0, 1):
        return k == n * p
    return stats.chisquare([k, n - k], [n * p, n - n * p]).pvalue > 1e-6


class Counts:
    """Figures that two functions share: equal within five standard errors."""

    def __init__(self, figures: Figures):
        self.figures = figures

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and all(
            close(k, n, *other.figures[name][:2]) for name, (k, n, _) in self.figures.items())

    def __repr__(self) -> str:
        return "\n        ".join([f"{name}: {k} of {n}" for name, (k, n, _) in
                                  self.figures.items()])


def close(k: int, n: int, other_k: int, other_n: int) -> bool:
    if not n or not other_n:
        return n == other_n
    a, b = k / n, other_k / other_n
    spread = math.sqrt(a * (1 - a) / n + b * (1 - b) / other_n)
    return abs(a - b) <= 5 * spread
