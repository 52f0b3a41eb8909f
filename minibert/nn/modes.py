"""Training and evaluation mode for a while; afterwards every module is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def evaluating(model) -> Iterator[None]:
    """Within it `model` is in evaluation mode: dropout off."""
    with in_modes([(module, False) for module in model.modules()]):
        yield


@contextmanager
def in_modes(modes: list[tuple]) -> Iterator[None]:
    """Within it each module of these pairs (module, training) is in the mode beside it."""
    before = [(module, module.training) for module, _ in modes]
    _set(modes)
    try:
        yield
    finally:
        _set(before)


def _set(modes: list[tuple]) -> None:
    for module, training in modes:
        module.training = training
