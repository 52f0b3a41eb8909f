"""A lower bound on the memory of a training, by which an impossible size is refused early."""

import os

from minibert.errors import InputError
from minibert.models.config import ModelConfig
from minibert.models.pretrained_model import PretrainedModel, parameter_count

NUMBER = 4  # bytes of a float32
COPIES = 3  # of each parameter: its value, its gradient and a moment (AdamW has two)
BLOCK_OBJECTS = 10_000  # bytes of the Python objects of a block, whatever its width


def least_memory(model_class: type[PretrainedModel], config: ModelConfig, batch: int, context: int
                 ) -> int:
    """Bytes that a training of this size needs at least: the parameters in COPIES copies, and one
    activation (batch, context, width). Errors: InputError for a size that no array has."""
    activation = batch * context * config.hidden_size
    return (NUMBER * (COPIES * parameter_count(model_class, config) + activation)
            + BLOCK_OBJECTS * config.num_hidden_layers)


def physical_memory() -> int | None:
    """Bytes of this machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def check_memory(model_class: type[PretrainedModel], config: ModelConfig, batch: int, context: int
                 ) -> None:
    """Refuse what this machine's memory cannot hold, before any is taken. Errors: InputError."""
    cure = "try a smaller --layers, --width, --batch or --context"
    try:
        needed, there = least_memory(model_class, config, batch, context), physical_memory()
    except InputError as error:
        raise InputError(f"not enough memory: {error}: {cure}") from None
    if there is not None and needed > there:
        raise InputError(
            f"not enough memory: {config.num_hidden_layers:,} layers of width "
            f"{config.hidden_size:,} with batches of {batch:,} x {context:,} tokens need at least "
            f"{needed / 2 ** 30:,.0f} GiB, and this machine has {there / 2 ** 30:,.1f}: {cure}")
