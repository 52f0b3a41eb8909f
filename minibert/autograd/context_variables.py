"""Context variables: settings of a thread, and of those that run in a copy of its context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Value = TypeVar("Value")


@contextmanager
def set_within(variable: ContextVar[Value], value: Value) -> Iterator[None]:
    """Within it `variable` has this value; afterwards, also after an exception, the one before."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
