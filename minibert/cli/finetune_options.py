"""The options of `finetune`: complete and checked, from the command line or from a run's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from minibert.cli.arguments import flag_name, located
from minibert.cli.resume import options_from_state, stored
from minibert.cli.tasks import TaskOptions, task_about, task_from_about
from minibert.errors import InputError
from minibert.training.machine import core_count
from minibert.training.settings import MOST_WORKERS, TrainingSettings, settings_from_state
from minibert.validate import flag, whole_number


@dataclass(frozen=True)
class FinetuneOptions:
    """All options of a fine-tuning but its settings. Errors: InputError that names the option.

    Relative paths in `train` and `dev` count from the folder `counted_from`. `data_digest` is that
    of both files (None before they were read).
    """

    task: TaskOptions
    begun_from: str
    train: str
    dev: str
    threads: int
    counted_from: str | None = None
    epochs: int = 3
    batch: int = 16
    dropout: float | None = None
    freeze_layers: int = 0
    freeze_encoder: bool = False
    class_weights: bool = False
    gradient_checkpointing: bool = False
    data_digest: str | None = None

    def __post_init__(self):
        for name in ("epochs", "batch"):
            whole_number(flag_name(name), getattr(self, name), 1)
        whole_number("--threads", self.threads, 1, max(MOST_WORKERS, core_count()))
        for name in ("freeze_encoder", "class_weights", "gradient_checkpointing"):
            flag(flag_name(name), getattr(self, name))
        if not all([isinstance(name, str) for name in (self.begun_from, self.train, self.dev)]):
            raise InputError("--from, --train, --dev: expected names of files")

    def about(self) -> dict:
        """The part of a run's state besides the settings: {name: value}."""
        return stored(self, "task") | task_about(self.task)

    def file(self, part: str) -> str:
        """The path of the "train" or "dev" file."""
        return located(getattr(self, part), self.counted_from)


def from_state(state: Mapping, file: Path) -> tuple[FinetuneOptions, TrainingSettings]:
    """The options and the settings that a run was begun with, from its state.json, the path of
    which is `file`. Errors: InputError that names the file: a field is missing or wrong."""
    return (options_from_state(FinetuneOptions, state["about"], file,
                               task=task_from_about(state["about"], file)),
            settings_from_state(state, file))
