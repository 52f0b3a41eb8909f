"""Which of the two spellings of a function runs: the textbook's or the fast one.

softmax, layer_norm, attention and their like exist twice under the same names: in `composed` as the
formula of the paper, written with primitive ops, and in `fused` as one node with a backward derived
by hand. `functional` asks `composed_is_on()` each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_composed: ContextVar[bool] = ContextVar("composed", default=False)


@contextmanager
def composed() -> Iterator[None]:
    """Within it every function, so every model, runs as the definition in `composed`: slower, and
    each step of a formula can be stepped into and is traced as an op of its own."""
    token = _composed.set(True)
    try:
        yield
    finally:
        _composed.reset(token)


def composed_is_on() -> bool:
    return _composed.get()
