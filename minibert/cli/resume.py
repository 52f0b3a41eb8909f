"""Going on with a run: its state, and the settings that it was begun with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from minibert.errors import InputError
from minibert.training.run_folder import Run
from minibert.training.settings import TrainingSettings


def state_to_resume(run: Run, kind: str) -> dict:
    """The latest state of a run of `kind`, "pretrain bert" or "finetune tag". Errors: InputError,
    no run to resume, one of another kind."""
    if run.checkpoint("latest") is None:
        raise InputError(f"{run.path}: there is no run to resume in this folder: begin one without "
                         "--resume")
    state = run.state()
    about = state["about"]
    held = f"finetune {about['task']}" if "task" in about else f"pretrain {about.get('model')}"
    if held != kind:
        raise InputError(f"{run.path}: holds a run of {held}, not of {kind}")
    return state


def settings_from_state(stored: Mapping) -> TrainingSettings:
    """The settings of a run; one that did not exist when the run began has its default. Errors:
    InputError, an unknown setting or one out of range."""
    known = {field.name for field in fields(TrainingSettings)}
    for name in stored:
        if name not in known:
            raise InputError(f"the setting {name!r:.60} is unknown in this version")
    return TrainingSettings(**stored)


def check_steps(option: str, value: int, steps: int, done: int) -> None:
    """Refuse to go on to fewer steps than were made. `option` with its `value` means `steps`.
    Errors: InputError."""
    if steps < done:
        raise InputError(f"{option} is {value}, which ends at step {steps}, but {done} steps are "
                         "done already: name more, or begin a new run in another --out")
