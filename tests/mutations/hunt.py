"""The hunt: one unknown mutation in a copy of the project, to be found by what it does.

    python tests/mutations/run.py --hunt                          symptoms and the room (level 1)
    python tests/mutations/run.py --hunt --level 2                symptoms only
    python tests/mutations/run.py --hunt --level 3                a training curve only
    python tests/mutations/run.py --hunt --room nn --seed 7       a certain room, a certain mutation
    python tests/mutations/run.py --hunt --answer                 no questions: the solution at once

Symptoms are the figures of symptoms.py that differ from those of the sound package. Mutations that
change none of them are not hunted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.mutations.mutations import MUTATIONS, ROOT, Mutation, copy_project

TRIES = 3
SECONDS = 120  # for the symptoms; a mutation that takes longer does not end
Figures = dict[str, object]


def hunt(room: str | None, seed: int | None, level: int, answer: bool, red_test: Callable) -> int:
    """Plant, show, ask. red_test: (copy, mutation) -> the test that finds it. Returns the exit
    status: 1 for a room without a mutation that can be seen."""
    if seed is None:
        seed = int(np.random.default_rng().integers(10_000))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_project(copy)
        sound = figures(copy)
        for mutation in candidates(room, seed):
            original = (copy / mutation.file).read_text(encoding="utf-8")
            mutation.apply(copy)
            found = differing(sound, figures(copy), level)
            if found:
                present(mutation, found, sound, level, seed, copy)
                if not answer:
                    ask(mutation, original)
                reveal(mutation, original, red_test(copy, mutation))
                return 0
            (copy / mutation.file).write_text(original, encoding="utf-8")
    print(f"no mutation in {room or 'the package'} changes what level {level} shows")
    return 1


def candidates(room: str | None, seed: int) -> list[Mutation]:
    """The mutations of a room (or of all rooms), in an order that the seed decides."""
    every = [m for m in MUTATIONS if room_of(m) is not None and room in (None, room_of(m))]
    return [every[i] for i in np.random.default_rng(seed).permutation(len(every))]


def room_of(mutation: Mutation) -> str | None:
    """minibert/nn/block.py -> nn; None for files outside of rooms."""
    parts = Path(mutation.file).parts
    return parts[1] if parts[0] == "minibert" and len(parts) > 2 else None


def figures(copy: Path) -> Figures:
    """What symptoms.py prints, with the package in `copy`; empty if the package cannot be used."""
    environment = dict(os.environ, PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1",
                       OPENBLAS_NUM_THREADS="1", PYTHONIOENCODING="utf-8")
    command = [sys.executable, str(ROOT / "tests" / "mutations" / "symptoms.py")]
    try:
        result = subprocess.run(command, cwd=copy, env=environment, capture_output=True,
                                encoding="utf-8", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {}
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {line["name"]: line["value"] for line in lines}


def differing(sound: Figures, mutated: Figures, level: int) -> Figures:
    """The figures that the mutation changed: for level 3 curves only."""
    return {name: value for name, value in mutated.items()
            if value != sound[name] and (level < 3 or "loss at steps" in name)}


def present(mutation: Mutation, found: Figures, sound: Figures, level: int, seed: int,
            copy: Path) -> None:
    print(f"One line of the package is wrong (seed {seed}). What it does, seen from outside:\n")
    for name, value in found.items():
        print(f"  {name}\n      should be  {sound[name]}\n      is         {value}")
    if level == 1:
        print(f"\nThe line is in minibert/{room_of(mutation)}/.")
    print(f"\nThe copy with the wrong line: {copy}\nRead it and run it (PYTHONPATH={copy}), but do "
          "not compare it with the original.")


def ask(mutation: Mutation, original: str) -> None:
    """The file, then the line: three tries each."""
    line = line_number(mutation, original)
    for _ in range(TRIES):
        guess = input("\nWhich file? ").strip().replace("\\", "/")
        if guess and f"/{mutation.file}".endswith(f"/{guess}"):
            print("Yes.")
            break
        print("No.")
    else:
        print(f"It is {mutation.file}.")
    for _ in range(TRIES):
        guess = input("Which line number? ").strip()
        if guess.isdecimal() and int(guess) == line:
            print("Yes, found.")
            return
        near = guess.isdecimal() and abs(int(guess) - line) <= 5
        print("Close: within 5 lines." if near else "No.")


def line_number(mutation: Mutation, original: str) -> int:
    return original[:original.index(mutation.line)].count("\n") + 1


def reveal(mutation: Mutation, original: str, test: str | None) -> None:
    print(f"\n{mutation.name}\n  {mutation.file}, line {line_number(mutation, original)}\n"
          f"  - {mutation.line}\n  + {mutation.becomes}\n"
          f"The test that finds it: {test or 'none in ' + mutation.tests}")
