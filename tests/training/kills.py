"""Kills training processes at file events, two at a time in one run, and looks at what is left.

    python tests/training/kills.py 1000        (1,000 kills: under two minutes)

A file event is a call that opens, makes, renames, truncates, locks or removes something below a
folder. Each process is forked and stops before each of its file events; this one decides at random,
by a seed, which goes on, and whether it is killed there. Needs os.fork.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also when run as a script

from tests.training.small_objective import SmallObjective, small_model  # noqa: E402

from minibert.errors import InputError  # noqa: E402
from minibert.training.run_folder import Run, new_runs  # noqa: E402
from minibert.training.trainer import Trainer, TrainingSettings  # noqa: E402

EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.chmod"}
FROM_A_FOLDER = {"os.remove", "os.rmdir"}  # their last argument may be a folder's descriptor
DONE, REFUSED, KILLED, FAILED = 0, 3, -signal.SIGKILL, 4
SETTINGS = TrainingSettings(steps=6, lr=1e-2, warmup=2, eval_every=2, seed=4)


class Process:
    """A forked process that asks before each of its file events below `root`."""

    def __init__(self, work: Callable[[], None], root: Path):
        asks, self._asks = os.pipe(), None
        answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(asks[0]), os.close(answers[1])
            _run(work, str(root), asks[1], answers[0])
        os.close(asks[1]), os.close(answers[0])
        self._asks, self._answers = asks[0], answers[1]
        self.status: int | None = None
        self.wait()

    def wait(self) -> None:
        """Until the process stops before a file event, or ends: then `status` says how."""
        if os.read(self._asks, 1):
            return
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._asks), os.close(self._answers)

    def go_on(self) -> None:
        os.write(self._answers, b"g")
        self.wait()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait()


def _run(work: Callable[[], None], root: str, asks: int, answers: int) -> None:
    """In the forked process."""
    def stop(event: str, arguments: tuple) -> None:
        inside = event in FROM_A_FOLDER and arguments[-1] >= 0  # as shutil.rmtree removes
        if event == "fcntl.flock" or event in EVENTS and (inside or root in str(arguments[0])):
            os.write(asks, b"?")
            os.read(answers, 1)

    sys.addaudithook(stop)
    try:
        work()
        status = DONE
    except InputError:
        status = REFUSED
    except BaseException:
        traceback.print_exc()
        status = FAILED
    os._exit(status)


def kill_at(work: Callable[[], None], root: Path, event: int) -> int:
    """Run `work` and kill it before its file event number `event`, from 0; how it ended."""
    process = Process(work, root)
    for _ in range(event):
        if process.status is None:
            process.go_on()
    if process.status is None:
        process.kill()
    return process.status


def interleaved(work: Callable[[], None], root: Path, rng: random.Random, danger: float
                ) -> list[int]:
    """Two processes with the same work, event by event in a random order; at each event the one
    that is next is killed with the probability `danger`. How they ended."""
    processes = [Process(work, root), Process(work, root)]
    while living := [process for process in processes if process.status is None]:
        process = rng.choice(living)
        process.kill() if rng.random() < danger else process.go_on()
    return [process.status for process in processes]


def trainer(run: Run | None = None, model_seed: int = 3) -> Trainer:
    return Trainer(small_model(seed=model_seed), SmallObjective(), SETTINGS, run=run)


def go_on(path: Path) -> None:
    """What a user does after a kill: resume the run, or begin it where there is nothing."""
    if Run(path).checkpoint("latest") is None:
        training = trainer()
        with new_runs([path]) as [training.run_folder]:
            training.save()
    else:
        training = trainer(Run(path), model_seed=99)
        training.resume()
    training.run()
    training.run_folder.write_summary(summary(training))


def summary(training: Trainer) -> dict:
    return training.summary() | {"baselines": {}, "oracle": None}


def contents(path: Path) -> dict[str, bytes]:
    """All files of a run that have no clock in them, by name."""
    return {file.relative_to(path).as_posix(): file.read_bytes()
            for file in sorted(path.rglob("*")) if file.is_file()
            and file.name not in ("state.json", "summary.json")}


def names(path: Path) -> list[str]:
    return sorted([file.relative_to(path).as_posix() for file in path.rglob("*")])


def run_killed_to_its_end(seed: int, root: Path, expected: Path, danger: float = 0.04) -> Counter:
    """Pairs of processes in one run, until one of them finishes it. How they ended."""
    rng, path, ends = random.Random(seed), root / f"run{seed}", Counter()
    while not ends[DONE]:
        ends.update(interleaved(lambda: go_on(path), root, rng, danger))
        if ends[FAILED]:
            raise AssertionError(f"seed {seed}: a process failed: see above")
    go_on(path)  # whatever a kill after the end left is put right, and nothing is trained again
    assert names(path) == names(expected), f"seed {seed}: {names(path)}"
    assert contents(path) == contents(expected), f"seed {seed}: other bytes"
    shutil.rmtree(path)
    return ends


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    ends: Counter = Counter()
    with tempfile.TemporaryDirectory() as name:
        root = Path(os.path.realpath(name))
        go_on(root / "straight")
        seed = 0
        while ends[KILLED] < count:
            ends.update(run_killed_to_its_end(seed, root, root / "straight"))
            seed += 1
    print(f"{ends[KILLED]} kills in {seed} runs, {ends[REFUSED]} second trainings refused, "
          f"{ends[DONE]} ended: every run has the same bytes as one that was never killed")


if __name__ == "__main__":
    main()
