"""The list of mutations, read from mutations.txt: one-line mistakes of the kind that people make.

An entry names what is wrong, the file, the line as it is (-) and as it becomes (+), and the tests
of that room. `-` is a part of a line that stands exactly once in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
        text = path.read_text(encoding="utf-8")
        if text.count(self.line) != 1:
            raise ValueError(f"{self.file}: {self.line!r} stands {text.count(self.line)} times, "
                             "not once")
        path.write_text(text.replace(self.line, self.becomes), encoding="utf-8")


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


MUTATIONS = read_mutations()
