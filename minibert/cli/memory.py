"""A lower bound on the memory of a training, by which an impossible size is refused early."""

from __future__ import annotations

import os

from minibert.errors import InputError
from minibert.models.config import ModelConfig

NUMBER = 4  # bytes of a float32
COPIES = 4  # of each weight: the weight, its gradient and AdamW's two moments
BLOCK_OBJECTS = 10_000  # bytes of the Python objects of a block, whatever its width


def least_memory(config: ModelConfig, batch: int, context: int) -> int:
    """Bytes that a training of this size needs at least: the matrices of the model in four copies,
    and one activation (batch, context, width) of the whole model."""
    L, C, I = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    weights = L * (4 * C * C + 2 * C * I) + (config.vocab_size + config.max_position_embeddings) * C
    return NUMBER * (COPIES * weights + batch * context * C) + BLOCK_OBJECTS * L


def physical_memory() -> int | None:
    """Bytes of this machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def check_memory(config: ModelConfig, batch: int, context: int) -> None:
    """Refuse what this machine's memory cannot hold, before any is taken. Errors: InputError."""
    needed, there = least_memory(config, batch, context), physical_memory()
    if there is not None and needed > there:
        raise InputError(
            f"not enough memory: {config.num_hidden_layers:,} layers of width "
            f"{config.hidden_size:,} with batches of {batch:,} x {context:,} tokens need at least "
            f"{needed / 2 ** 30:,.0f} GiB, and this machine has {there / 2 ** 30:,.1f}: try a "
            "smaller --layers, --width, --batch or --context")
