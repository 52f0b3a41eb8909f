"""The settings of a training loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from minibert.errors import InputError
from minibert.training.optim import OPTIMIZERS
from minibert.training.schedules import SCHEDULES
from minibert.validate import number, one_of, whole_number

MOST_WORKERS = 256  # threads
LARGEST = 2 ** 63 - 1


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of the loop itself. Errors: InputError, any value out of range.

    `steps` counts updates, each from `accumulate` batches. `lr`, `min_lr`, `warmup` (steps) and
    `schedule` are those of schedules.py, `optimizer` (with `weight_decay`, `betas`, `eps`) one of
    optim.py's, `layer_decay` that of layer_decay.py, `workers` the threads of data_parallel.py.
    `clip` is the largest norm of the gradient (0: no clipping). `eval_every` counts steps (0: one
    evaluation, at the end). Training stops early after `patience` evaluations in a row without a
    better one (0: never).
    """

    steps: int = 1000
    lr: float = 1e-3
    min_lr: float = 0.0
    warmup: int = 100
    schedule: str = "cosine"
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip: float = 1.0
    accumulate: int = 1
    eval_every: int = 100
    patience: int = 0
    seed: int = 0
    workers: int = 1

    def __post_init__(self):
        for name in ("steps", "accumulate"):
            self._set(name, whole_number(name, getattr(self, name), 1, LARGEST))
        for name in ("warmup", "eval_every", "patience", "seed"):
            self._set(name, whole_number(name, getattr(self, name), 0, LARGEST))
        self._set("workers", whole_number("workers", self.workers, 1, MOST_WORKERS))
        for name in ("lr", "eps"):
            self._set(name, number(name, getattr(self, name), above=0))
        for name in ("weight_decay", "clip"):
            self._set(name, number(name, getattr(self, name), at_least=0))
        self._set("layer_decay", number("layer_decay", self.layer_decay, above=0, at_most=1))
        self._set("min_lr", number("min_lr", self.min_lr, at_least=0))
        if self.min_lr > self.lr:
            raise InputError(f"min_lr = {self.min_lr}: expected at most lr = {self.lr}")
        one_of("schedule", self.schedule, tuple(SCHEDULES))
        one_of("optimizer", self.optimizer, tuple(OPTIMIZERS))
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise InputError(f"betas = {self.betas!r:.60}: expected two numbers")
        self._set("betas", tuple([number("each of betas", beta, at_least=0, below=1)
                                  for beta in self.betas]))  # JSON makes lists of tuples
        if self.patience and not self.eval_every:
            raise InputError(f"patience = {self.patience}: expected 0, for with eval_every = 0 "
                             "there is no evaluation before the end")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen: as a plain Python value, for JSON


def settings_from_state(state: Mapping, file: Path) -> TrainingSettings:
    """The settings in the state.json `file` of a run; one that did not exist when the run began has
    its default. Errors: InputError, an unknown setting or one out of range."""
    for name in state["settings"]:
        if name not in vars(TrainingSettings()):
            raise InputError(f"{file}: the setting {name!r:.60} is unknown in this version")
    try:
        return TrainingSettings(**state["settings"])
    except InputError as error:
        raise InputError(f"{file}: {error}: the file is damaged") from None
