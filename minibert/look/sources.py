"""Quoted source: the file, the number and the text of a line, found by a part of it.

A page names the line that computed each number. The line is searched in the function that is
imported, so moving code cannot make a page lie; a line that is no longer there is an error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def quote(function: Callable, part: str) -> dict:
    """{"file", "line", "text"} of the first line of `function` that has `part` in it. Errors:
    LookupError, no line has it."""
    lines, first = inspect.getsourcelines(function)
    file = Path(inspect.getsourcefile(function)).resolve().relative_to(PACKAGE.parent)
    for number, line in enumerate(lines, first):
        if part in line:
            return {"file": file.as_posix(), "line": number, "text": line.strip()}
    raise LookupError(f"quote: no line of {function.__qualname__} ({file}) has {part!r} in it")
