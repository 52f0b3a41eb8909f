"""Mutation the package on purpose, one line at a time, and show which test turns red.

    python tests/mutations/run.py                  all mutations (tens of minutes on 2 cores)
    python tests/mutations/run.py swapped gelu     only those whose name contains one of the words

Each mutation is applied to a copy of the package in a temporary folder; the tests of its room run
first, then all the others; the first red test ends the search. A mutation that no test sees has
*survived*, and the exit status is 1: either the tests have a hole, or the line does not matter.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutations.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]


def run_tests(copy: Path, targets: list[str]) -> str | None:
    """The name of the first red test in `targets`, or None when all are green."""
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider",
               "--ignore=tests/mutations", *targets]
    result = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    if result.returncode == 0:
        return None
    red = re.search(r"^(?:FAILED|ERROR) (\S+)", result.stdout, re.MULTILINE)
    return red.group(1) if red else (result.stdout + result.stderr).strip().splitlines()[-1]


def try_mutation(mutation: Mutation) -> tuple[str | None, float]:
    """Apply one mutation to a fresh copy; the red test (None: it survived) and the seconds."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("minibert", "tests", "demos"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.cfg", "README.md"):  # what tests read besides
            shutil.copy(ROOT / name, copy)
        mutation.apply(copy)
        red = run_tests(copy, [mutation.tests]) or run_tests(copy, ["tests"])
    return red, time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only the mutations whose names contain a word")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1,
                        help="mutations tried at once")
    arguments = parser.parse_args()
    chosen = [b for b in MUTATIONS
              if not arguments.words or any(word in b.name for word in arguments.words)]
    survivors = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for mutation, (red, seconds) in zip(chosen, pool.map(try_mutation, chosen)):
            print(f"{'SURVIVED' if red is None else 'red':8s} {seconds:5.1f} s  "
                  f"{mutation.name:45s} "
                  f"{red or ''}", flush=True)
            if red is None:
                survivors.append(mutation.name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutations turned a test red"
          + (f"; survived: {', '.join(survivors)}" if survivors else ""))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
