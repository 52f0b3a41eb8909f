"""Damages runs at random and uses them by the command line: one line and status 2, or it works.

    python tests/cli/fuzz_runs.py 2000        (some minutes; the speed depends on the disk)

One thing in one file of a run is changed, as tests/checkpoints/fuzz.py does: state.json, log.jsonl,
summary.json, baseline.json, the optimizer's and the model's files. A pipe, a device, a folder or
deep nesting may take a file's place. Then the run is shown, compared, resumed, asked. A traceback,
a second line, or a case of more than a minute is a failure, and shows the seed that makes it again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import random
import shutil
import sys
import tempfile
import tracemalloc
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also when run as a script

from tests.checkpoints.fuzz import mutate  # noqa: E402
from tests.cli.labelled_world import FILES, finetune, make_world  # noqa: E402

from minibert.__main__ import main as run_command  # noqa: E402

MOST_MEMORY = 200 << 20  # bytes that a command may take at once; the runs' own are below 1 MB
STRANGE = [b"[" * 100_000, b'{"a":' * 50_000, b'{"schema": ' + b"9" * 5000 + b"}", b"", b"\0" * 9,
           b"\xff\xfe{\0}\0", b"null", b'{"schema": NaN}', "pipe", "/dev/zero", "folder"]
OWN = ("state.json", "log.jsonl", "summary.json", "baseline.json", "optimizer.safetensors")


def make_runs(root: Path) -> dict[str, Path]:
    """A pre-training of each model, and a fine-tuning of each task, all sound."""
    world = make_world(root)
    runs = {"bert": world / "both" / "bert", "gpt": world / "both" / "gpt"}
    for task in FILES:
        runs[task] = world / f"run-{task}"
        if not runs[task].exists() and run_command(finetune(task, world, runs[task])) != 0:
            raise AssertionError(f"finetune {task} failed")
    return runs


def commands_for(name: str, path: Path, world: Path) -> list[list[str]]:
    """All that can be done with a run."""
    path, resume = str(path), ["--resume", "--out", str(path)]
    shown = [["info", path], ["compare", path, path], ["look", path, "--terminal"]]
    if name == "bert":
        return [*shown, ["pretrain", "bert", *resume],
                ["pretrain", "bert", *resume, "--steps", "4"],
                ["fill-mask", path, "anna [MASK] rome"], ["embed", path, "anna sleeps ."]]
    if name == "gpt":
        return [*shown, ["pretrain", "gpt", *resume], ["pretrain", "gpt", *resume, "--steps", "4"],
                ["generate", path, "--prompt", "anna", "--tokens", "2"],
                ["score", path, "anna sleeps ."]]
    dev = str(world / f"dev.{FILES[name]}")
    used = [*shown, ["finetune", name, *resume], ["finetune", name, *resume, "--epochs", "3"],
            ["evaluate", path, "--file", dev]]
    if name == "tag":
        used.append(["tag", path, "anna lives in new rome ."])
    return used


def damage(run: Path, rng: random.Random) -> None:
    """Change one thing in one file, more often in those that only runs have."""
    files = [path for path in sorted(run.rglob("*")) if path.is_file()]
    own = [path for path in files if path.name in OWN]
    path = rng.choice(own if rng.random() < 0.85 else files)
    if rng.random() < 0.08:
        strange = rng.choice(STRANGE)
        if isinstance(strange, bytes):
            path.write_bytes(strange)
            return
        path.unlink()
        if strange == "pipe":
            os.mkfifo(path)
        elif strange == "folder":
            path.mkdir()
        else:
            path.symlink_to(strange)
    elif path.name == "log.jsonl" and rng.random() < 0.7:
        _damage_line(path, rng)
    else:
        mutate(path, rng)


def _damage_line(log: Path, rng: random.Random) -> None:
    """Change one record of the log, as `mutate` changes a JSON file."""
    lines = log.read_bytes().splitlines()
    k = rng.randrange(len(lines))
    part = log.with_name("line.json")
    part.write_bytes(lines[k])
    mutate(part, rng)
    lines[k] = part.read_bytes().replace(b"\n", b" ")
    part.unlink()
    log.write_bytes(b"\n".join(lines) + b"\n")


def run(seed: int, runs: dict[str, Path], world: Path, root: Path) -> str:
    """One damaged run, in `root`, and one command on it: "done", or the line of the refusal."""
    rng = random.Random(seed)
    name = rng.choice(list(runs))
    copy = root / "damaged"
    shutil.copytree(runs[name], copy)
    command: list[str] = []
    try:
        damage(copy, rng)
        command = rng.choice(commands_for(name, copy, world))
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = run_command(command)
        _, peak = tracemalloc.get_traced_memory()
        lines = [line for line in errors.getvalue().splitlines()
                 if not line.startswith("minibert: note")]
        if peak - before > MOST_MEMORY:
            raise AssertionError(f"{peak - before:,} bytes of memory")
        if (status, len(lines)) not in ((0, 0), (2, 1)) or len(errors.getvalue()) > 5000:
            raise AssertionError(f"status {status}, {errors.getvalue()!r:.500}")
        return lines[0] if lines else "done"
    except BaseException as error:
        raise AssertionError(f"seed {seed}, {name}: {' '.join(command)}: {error!r}") from error
    finally:
        shutil.rmtree(copy)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        runs = make_runs(root)
        tracemalloc.start()
        for seed in range(first, first + count):
            faulthandler.dump_traceback_later(60, exit=True)  # a hang ends here
            try:
                seen["done" if run(seed, runs, root, root) == "done" else "refused"] += 1
            except AssertionError as failure:
                seen["failed"] += 1
                print(failure, *traceback.format_exception(failure.__cause__)[-3:], sep="\n")
        faulthandler.cancel_dump_traceback_later()
    print(f"{count} mutations: " + ", ".join(f"{n} {what}" for what, n in seen.items()))


if __name__ == "__main__":
    main()
