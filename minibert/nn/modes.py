"""Evaluation mode for a while: dropout off, and afterwards every module as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def evaluating(model) -> Iterator[None]:
    """Within it `model` is in evaluation mode; each module's own mode is put back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
