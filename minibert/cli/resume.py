"""Going on with a run: its state, and what must be as it was when the run was begun."""

import os
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TypeVar

from minibert.cli.arguments import flag_name
from minibert.errors import InputError
from minibert.training.run_folder import Run

Options = TypeVar("Options")
STORED_NAMES = {"begun_from": "from"}  # fields whose name in a state is another
COMMANDS = {"task": "finetune", "row": "road", "model": "pretrain"}  # by a field that names a run


def state_to_resume(run: Run, kind: str) -> dict:
    """The latest state of a run of `kind`, "pretrain bert" or "finetune tag". Errors: InputError,
    no run to resume, one of another kind."""
    if run.checkpoint("latest") is None:
        raise InputError(f"{run.path}: there is no run to resume in this folder: begin one without "
                         "--resume")
    state = run.state()
    about = state["about"]
    held = next((f"{command} {about[name]}" for name, command in COMMANDS.items() if name in about),
                "an unknown kind")
    if held != kind:
        raise InputError(f"{run.path}: holds a run of {held}, not of {kind}")
    return state


def options_from_state(kind: type[Options], about: Mapping, file: Path, **others) -> Options:
    """The dataclass `kind` from "about" in the state.json `file` of a run; `others` are fields that
    come from elsewhere. An option that did not exist when the run began has its default. Errors:
    InputError that names the file: a field is missing or wrong."""
    values = dict(others)
    for field in fields(kind):
        name = STORED_NAMES.get(field.name, field.name)
        if field.name not in others and name in about:
            value = about[name]
            values[field.name] = tuple(value) if isinstance(value, list) else value
        elif field.name not in others and field.default is MISSING:
            raise InputError(f"{file}: there is no {name} in it: the file is damaged")
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{file}: {error}: the file is damaged") from None


def stored(options: object, *left_out: str) -> dict:
    """The fields of `options` by the names in a state, without those of value None."""
    return {STORED_NAMES.get(field.name, field.name): getattr(options, field.name)
            for field in fields(options)
            if field.name not in left_out and getattr(options, field.name) is not None}


def check_steps(option: str, value: int, steps: int, done: int) -> None:
    """Refuse to go on to fewer steps than were made. `option` with its `value` means `steps`.
    Errors: InputError."""
    if steps < done:
        raise InputError(f"{option} is {value}, which ends at step {steps}, but {done} steps are "
                         "done already: name more, or begin a new run in another --out")


def located(name: str, counted_from: str | None) -> str:
    """The present place of a path that a run stores: relative ones count from the folder in which
    the run was begun or, if it is not there, from the present one."""
    if counted_from in (None, os.getcwd()) or os.path.isabs(name):
        return name
    before = os.path.join(counted_from, name)
    return before if os.path.exists(before) else name


def check_located(option: str, name: str, counted_from: str | None) -> None:
    """Errors: InputError, what a run has stored is not where it was."""
    if not os.path.exists(located(name, counted_from)):
        raise InputError(f"{name}: no longer there: name the same content anew with {option}")


def check_same(where: object, stored: Mapping, named: Mapping, may_differ: tuple[str, ...]) -> None:
    """A run goes on with the options that it was begun with. Errors: InputError for an option in
    `named` that is stored otherwise and not in `may_differ`."""
    for name, value in named.items():
        before = stored.get(name)
        before = tuple(before) if isinstance(before, list) else before
        if name not in may_differ and value != before:
            raise InputError(f"{flag_name(name)} is {value}, but {where} was begun with {before}: "
                             "leave the option out, or begin a new run in another --out")


def check_digest(found: str, before: str | None, what: str, anew: str) -> None:
    """A run goes on with the data that it was begun with. `what` begins the message, `anew` says
    which options name the data. Errors: InputError, the digest was another one."""
    if found != before:
        raise InputError(f"{what} this run was begun with (digest {found}, then {before}): name "
                         f"{anew}, or begin a new run")
