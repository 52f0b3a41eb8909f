"""Collects the exercises for pytest: `python -m pytest demos/exercises/03_softmax_backward.py`.

The checks are in tests/exercises; each function of an exercise is one test. A function that is not
begun is skipped, a wrong one gets a message and no traceback.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tests.conftest  # noqa: E402, F401  settings of hypothesis, before it is imported
from tests.exercises.checker import Fault, NotBegun, Part, check, function_of, load  # noqa: E402
from tests.exercises.ladder import LADDER  # noqa: E402


class ExerciseFile(pytest.File):
    def collect(self):
        for part in LADDER[self.path.stem]:
            yield ExerciseItem.from_parent(self, name=part.function, part=part)


class ExerciseItem(pytest.Item):
    def __init__(self, *, part: Part, **settings):
        super().__init__(**settings)
        self.part = part

    def runtest(self):
        try:
            check(self.part, function_of(load(self.path), self.part.function))
        except NotBegun:
            pytest.skip("not begun")

    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, Fault):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, f"{self.path.stem}: {self.name}"


def is_exercise(path: Path) -> bool:
    return path.stem in LADDER and path.suffix == ".py"


def pytest_collect_file(file_path, parent):
    """For a whole folder; pytest makes a module of each file that is named."""
    if is_exercise(file_path) and not parent.session.isinitpath(file_path):
        return ExerciseFile.from_parent(parent, path=file_path)
    return None


def pytest_pycollect_makemodule(module_path, parent):
    if is_exercise(module_path):
        return ExerciseFile.from_parent(parent, path=module_path)
    return None


def pytest_terminal_summary(terminalreporter):
    """One line for each exercise: solved, wrong, not begun."""
    states: dict[str, set[str]] = {}
    for state in ("passed", "failed", "skipped"):
        for report in terminalreporter.getreports(state):
            if match := re.search(r"(\d\d_\w+)\.py::", report.nodeid):
                if report.when == "call":
                    states.setdefault(match[1], set()).add(state)
    words = {"passed": "solved", "failed": "not right yet", "skipped": "not begun"}
    for name in sorted(states):
        worst = next(state for state in ("failed", "skipped", "passed") if state in states[name])
        terminalreporter.write_line(f"{name:24s} {words[worst]}")
