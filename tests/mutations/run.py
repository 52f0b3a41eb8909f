"""Break the package on purpose, one line at a time, and show which test turns red.

    python tests/mutations/run.py                  all mutations (more than an hour on 2 cores)
    python tests/mutations/run.py swapped gelu     only those whose name contains one of the words
    python tests/mutations/run.py --hunt           one unknown mutation, to be found (see hunt.py)

Each mutation is applied to a copy of the package in a temporary folder; the tests of its room run
first, then all the others; the first red test ends the search. A mutation that no test sees has
*survived*: either the tests have a hole, or the line does not matter. One whose test fails by a
NameError or an import *proves nothing*: any test that reaches the line would see that. After either
the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also when run as a script

from tests.mutations.hunt import hunt  # noqa: E402
from tests.mutations.mutations import MUTATIONS, Mutation, copy_project  # noqa: E402

NO_PROOF = re.compile(r"^E +(?:\w+\.)*(NameError|UnboundLocalError|SyntaxError|IndentationError"
                      r"|ImportError|ModuleNotFoundError)\b", re.MULTILINE)
MOST_SECONDS = 1800  # of one run of the tests: a mistake that ends in endless waiting is seen, too


@dataclass(frozen=True)
class Outcome:
    red: str | None  # the first red test; None: all are green
    no_proof: str | None = None  # the error by which it failed, if any mistake would have made it

    @property
    def verdict(self) -> str:
        return "SURVIVED" if self.red is None else "NO PROOF" if self.no_proof else "red"


def run_tests(copy: Path, targets: list[str]) -> Outcome:
    """Run the tests in `targets` up to the first red one."""
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1",
                       PYTHONPATH=str(copy))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider",
               "--ignore=tests/mutations", "-m", "", *targets]  # slow ones, too
    try:
        result = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True,
                                timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        return Outcome(f"{' '.join(targets)} did not end")
    return outcome_of(result.returncode, result.stdout, result.stderr)


def outcome_of(status: int, output: str, errors: str = "") -> Outcome:
    """What the output of a pytest run says."""
    if status == 0:
        return Outcome(None)
    red = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    no_proof = NO_PROOF.search(output)
    return Outcome(red[1] if red else (output + errors).strip().splitlines()[-1],
                   no_proof[1] if no_proof else None)


def try_mutation(mutation: Mutation) -> tuple[Outcome, float]:
    """Apply one mutation to a fresh copy; how its tests ended, and the seconds."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_project(copy)
        mutation.apply(copy)
        outcome = run_tests(copy, [mutation.tests])
        if outcome.red is None:
            outcome = run_tests(copy, ["tests"])
    return outcome, time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only the mutations whose names contain a word")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1,
                        help="mutations tried at once")
    parser.add_argument("--hunt", action="store_true", help="find one unknown mutation (hunt.py)")
    parser.add_argument("--level", type=int, choices=(1, 2, 3), default=1,
                        help="of the hunt: symptoms and room, symptoms, a curve")
    parser.add_argument("--room", help="of the hunt: a folder of minibert, such as nn")
    parser.add_argument("--seed", type=int, help="of the hunt: chooses the mutation")
    parser.add_argument("--answer", action="store_true", help="the hunt without questions")
    arguments = parser.parse_args()
    if arguments.hunt:
        return hunt(arguments.room, arguments.seed, arguments.level, arguments.answer,
                    lambda copy, mutation: run_tests(copy, [mutation.tests]).red)
    chosen = [b for b in MUTATIONS
              if not arguments.words or any(word in b.name for word in arguments.words)]
    faults: dict[str, list[str]] = {"SURVIVED": [], "NO PROOF": []}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for mutation, (outcome, seconds) in zip(chosen, pool.map(try_mutation, chosen)):
            print(f"{outcome.verdict:8s} {seconds:5.1f} s  {mutation.name:45s} "
                  f"{outcome.no_proof or ''} {outcome.red or ''}", flush=True)
            if outcome.verdict in faults:
                faults[outcome.verdict].append(mutation.name)
    count = len(chosen) - sum(map(len, faults.values()))
    print(f"{count} of {len(chosen)} mutations turned a test red"
          + "".join([f"; {verdict.lower()}: {', '.join(names)}"
                     for verdict, names in faults.items() if names]))
    return 1 if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
