"""The list of mutations, read from mutations.txt: one-line mistakes of the kind that people make.

An entry names what is wrong, the file, the line as it is (-) and as it becomes (+), and the tests
of that room. `-` is a part of a line that stands exactly once in the file.
"""

from __future__ import annotations

import builtins
import dis
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutation:
    name: str
    file: str
    line: str
    becomes: str
    tests: str

    def apply(self, root: Path) -> None:
        """Make the mistake in the copy of the project at `root`."""
        path = root / self.file
        path.write_text(self.mutated(path.read_text(encoding="utf-8")), encoding="utf-8")

    def mutated(self, text: str) -> str:
        """The file's text with the mistake. Errors: its line does not stand there exactly once."""
        if text.count(self.line) != 1:
            raise ValueError(f"{self.file}: {self.line!r} stands {text.count(self.line)} times, "
                             "not once")
        return text.replace(self.line, self.becomes)


def read_mutations() -> list[Mutation]:
    """All entries of mutations.txt, in its order."""
    mutations = []
    text = (Path(__file__).parent / "mutations.txt").read_text(encoding="utf-8")
    for entry in text.split("\n\n"):
        lines = [line for line in entry.splitlines() if line and not line.startswith("# ")]
        if lines:
            name, file, line, becomes, tests = lines
            mutations.append(Mutation(name, file.removeprefix("in "), line.removeprefix("- "),
                                      becomes.removeprefix("+ "), tests.removeprefix("red: ")))
    return mutations


def copy_project(to: Path) -> None:
    """Copy the package, the demos, the tests and what tests read besides into the folder `to`."""
    for name in ("minibert", "tests", "demos"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "README.md"):
        shutil.copy(ROOT / name, to)


def undefined_names(text: str) -> set[str]:
    """Names that a module's code looks up and nothing in it defines: a NameError when it runs."""
    looked_up, defined = set(), set(dir(builtins))
    for code in _code_objects(compile(text, "mutated", "exec")):
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                looked_up.add(instruction.argval)
            elif instruction.opname in ("STORE_GLOBAL", "STORE_NAME"):
                defined.add(instruction.argval)
    return looked_up - defined


def _code_objects(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_objects(constant)


MUTATIONS = read_mutations()
