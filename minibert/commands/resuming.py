"""A run goes on with the options that it was begun with."""

from __future__ import annotations

from minibert.errors import InputError
from minibert.training.runs import Run


def as_begun(run: Run, kind: str, given: dict, may_grow: str) -> dict:
    """The options that a run was begun with; only the one called `may_grow` may be given anew.
    Errors: no run to resume, one of another kind (model or task), an option that was another then.
    """
    if run.checkpoint("latest") is None:
        raise InputError(f"{run.path}: there is no run to resume in this folder: begin one without "
                         "--resume, in a folder that does not exist yet")
    state = run.state()
    stored = {**state["about"], **state["settings"]}
    held = stored.get("task", stored.get("model"))
    if held != kind:
        raise InputError(f"{run.path}: holds a {held}, not a {kind}")
    for name, value in given.items():
        before = stored.get(name)
        before = tuple(before) if isinstance(before, list) else before
        value = tuple(value) if isinstance(value, list) else value
        if name != may_grow and value != before:
            raise InputError(f"--{name.replace('_', '-')} is {value}, but {run.path} was begun "
                             f"with {before}: leave the option out, or begin a new run in another "
                             "--out")
    return stored | {name: value for name, value in given.items() if name == may_grow}
