"""A run goes on with the options that it was begun with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from minibert.errors import InputError
from minibert.training.run_folder import Run


def as_begun(run: Run, kind: str, needed: Iterable[str], given: dict, may_grow: str) -> dict:
    """The options that a run was begun with, all that are `needed`; only the one called `may_grow`
    may be given anew. `kind` is the command, "pretrain bert" or "finetune tag". Errors: no run to
    resume, one of another kind, an option that was another then.
    """
    if run.checkpoint("latest") is None:
        raise InputError(f"{run.path}: there is no run to resume in this folder: begin one without "
                         "--resume")
    state = run.state()
    stored = {**state["about"], **state["settings"]}
    held = f"finetune {stored['task']}" if "task" in stored else f"pretrain {stored.get('model')}"
    if held != kind:
        raise InputError(f"{run.path}: holds a run of {held}, not of {kind}")
    check_said(run.path, stored, needed)
    for name, value in given.items():
        before = stored.get(name)
        before = tuple(before) if isinstance(before, list) else before
        value = tuple(value) if isinstance(value, list) else value
        if name != may_grow and value != before:
            raise InputError(f"--{name.replace('_', '-')} is {value}, but {run.path} was begun "
                             f"with {before}: leave the option out, or begin a new run in another "
                             "--out")
    return stored | {name: value for name, value in given.items() if name == may_grow}


def check_said(path: Path, stored: dict, needed: Iterable[str]) -> None:
    """All that is `needed` must be among the options that a run has stored."""
    unsaid = [name for name in needed if name not in stored]
    if unsaid:
        raise InputError(f"{path}: state.json says nothing of {', '.join(unsaid)}: the file is "
                         "damaged, or of another version")
