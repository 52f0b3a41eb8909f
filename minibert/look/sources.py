"""Quoted source: the file, the number and the text of a line, found by a part of it.

A page names the line that computed each number. The line is searched in the function that is
imported, so moving code cannot make a page lie; a line that is no longer there is an error.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def quote(function: Callable, part: str) -> dict:
    """{"file", "line", "text", "first", "last"} of the first line of `function` that has `part` in
    it; `first` and `last` are the function's lines. Errors: LookupError, no line has it."""
    lines, first = inspect.getsourcelines(function)
    file = Path(inspect.getsourcefile(function)).resolve().relative_to(PACKAGE.parent)
    for number, line in enumerate(lines, first):
        if part in line:
            return {"file": file.as_posix(), "line": number, "text": line.strip(), "first": first,
                    "last": first + len(lines) - 1}
    raise LookupError(f"quote: no line of {function.__qualname__} ({file}) has {part!r} in it")


def quoted_functions(value: object) -> dict[str, str]:
    """The text of each function that is quoted somewhere within `value` (lists and dicts), by
    "file:first line"."""
    if isinstance(value, dict) and {"file", "first", "last"} <= set(value):
        lines = (PACKAGE.parent / value["file"]).read_text(encoding="utf-8").splitlines()
        text = "\n".join(lines[value["first"] - 1:value["last"]])
        return {f"{value['file']}:{value['first']}": textwrap.dedent(text)}
    parts = value.values() if isinstance(value, dict) else value
    found = {}
    for part in parts if isinstance(value, (dict, list)) else ():
        found |= quoted_functions(part)
    return found
