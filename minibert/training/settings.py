"""The settings of a training loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from minibert.errors import InputError
from minibert.training.optim import OPTIMIZERS, two_betas
from minibert.training.schedules import SCHEDULES
from minibert.validate import check_fields, checked, number, one_of, whole_number

MOST_WORKERS = 256  # threads
_count = partial(whole_number, at_most=2 ** 63 - 1)
_from_one = partial(whole_number, at_least=1, at_most=2 ** 63 - 1)
_from_zero, _above_zero = partial(number, at_least=0), partial(number, above=0)


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of the loop itself. Errors: InputError, any value out of range.

    `steps` counts updates, each from `accumulate` batches. `lr`, `min_lr`, `warmup` (steps) and
    `schedule` are those of schedules.py, `optimizer` (with `weight_decay`, `betas`, `eps`) one of
    optim.py's, `layer_decay` that of layer_decay.py, `workers` the threads of data_parallel.py.
    `clip` is the largest norm of the gradient (0: no clipping). `eval_every` counts the steps
    between evaluations (0: none but those before the first step and after the last). Training stops
    early after `patience` evaluations in a row without a better one (0: never).
    """

    steps: int = checked(_from_one, 1000)
    lr: float = checked(_above_zero, 1e-3)
    min_lr: float = checked(_from_zero, 0.0)
    warmup: int = checked(_count, 100)
    schedule: str = checked(partial(one_of, choices=SCHEDULES.keys()), "cosine")
    optimizer: str = checked(partial(one_of, choices=OPTIMIZERS.keys()), "adamw")
    weight_decay: float = checked(_from_zero, 0.01)
    layer_decay: float = checked(partial(number, above=0, at_most=1), 1.0)
    betas: tuple[float, float] = checked(two_betas, (0.9, 0.999))
    eps: float = checked(_above_zero, 1e-8)
    clip: float = checked(_from_zero, 1.0)
    accumulate: int = checked(_from_one, 1)
    eval_every: int = checked(_count, 100)
    patience: int = checked(_count, 0)
    seed: int = checked(_count, 0)
    workers: int = checked(partial(whole_number, at_least=1, at_most=MOST_WORKERS), 1)

    def __post_init__(self):
        check_fields(self)
        if self.min_lr > self.lr:
            raise InputError(f"min_lr = {self.min_lr}: expected at most lr = {self.lr}")
        if self.patience and not self.eval_every:
            raise InputError(f"patience = {self.patience}: expected 0, for with eval_every = 0 "
                             "there is no evaluation on the way")


def settings_from_state(state: Mapping, file: Path) -> TrainingSettings:
    """Read the settings in the state.json `file` of a run; one that did not exist when the run
    began has its default. Errors: InputError, an unknown setting or one out of range."""
    for name in state["settings"]:
        if name not in vars(TrainingSettings()):
            raise InputError(f"{file}: the setting {name!r:.60} is unknown in this version")
    try:
        return TrainingSettings(**state["settings"])
    except InputError as error:
        raise InputError(f"{file}: {error}: the file is damaged") from None
