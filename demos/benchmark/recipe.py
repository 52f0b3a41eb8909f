"""A whole training from start to exit, beside the same in PyTorch: benchmark.py --recipe FILE.

The training is the README's character GPT: 4 layers of width 128, context 64, batches of 12, 2,000
steps, evaluations on all of the held-out tenth. The time includes imports, reading, evaluation and
saving.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from cases import thread_settings

HERE = Path(__file__).resolve().parent
RECIPE = ("--tokenizer chars --layers 4 --heads 4 --width 128 --context 64 --batch 12 --dropout 0 "
          "--lr 1e-3 --min-lr 1e-4 --schedule cosine --warmup 100 --weight-decay 0.1 "
          "--betas 0.9 0.99 --clip 1.0").split()


def measure_recipe(text: str, steps: int, threads: int, turns: int, with_torch: bool) -> dict:
    """Runs both trainings alternately, `turns` times; returns seconds, peak bytes and losses."""
    shared = ["--steps", str(steps), "--threads", str(threads)]
    text = str(Path(text).resolve())  # the sides run in another folder
    sides = {"minibert": ["-m", "minibert", "pretrain", "gpt", "--text", text, *RECIPE, *shared]}
    if with_torch:
        sides["torch foreach"] = [str(HERE / "recipe_torch.py"), text, *shared]
    runs = {name: [] for name in sides}
    for _ in range(turns):
        for name, command in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                seconds, peak = whole_process([*command, "--out", str(out)], threads)
                summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
            runs[name].append({"seconds": seconds, "peak_bytes": peak,
                               "loss": summary["held_out"]["loss"]})
    sides = {name: {
        "runs": own, **{key: median(run[key] for run in own) for key in ("seconds", "peak_bytes")},
        "ratios": [a["seconds"] / b["seconds"] for a, b in zip(runs["minibert"], own)],
        "memory_ratio": median(a["peak_bytes"] / b["peak_bytes"]
                               for a, b in zip(runs["minibert"], own))}
        for name, own in runs.items()}
    return {"case": f"character GPT, {steps:,} steps", "threads": threads, "sides": sides}


def whole_process(command: list[str], threads: int) -> tuple[float, int]:
    """Returns the seconds from start to exit and the peak bytes of a Python command. Linux counts
    the peak of the process that starts another as the other's, so a small one, this file as a
    script, starts the command."""
    environment = thread_settings(threads) | {"PYTHONPATH": str(HERE.parents[1])}
    process = subprocess.run([sys.executable, __file__, *command], env=environment,
                             cwd=HERE.parents[1], stdout=subprocess.PIPE, text=True)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    seconds, peak = json.loads(process.stdout)
    return seconds, peak * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Runs the command and prints its seconds and its peak memory, as getrusage gives it."""
    started = time.perf_counter()
    status = subprocess.call([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
    sys.exit(status)


def show_recipe(report: dict) -> None:
    """Prints the report as rows of the table; ratios are taken turn by turn."""
    print(report["case"])
    for name, side in report["sides"].items():
        against = "" if name == "minibert" else (
            f"  time x{median(side['ratios']):.2f}  memory x{side['memory_ratio']:.2f}")
        print(f"  {name:15s} {side['seconds']:9.1f} s   {side['peak_bytes'] / 2**20:7.0f} MiB  "
              "held-out loss " + " ".join(f"{run['loss']:.4f}" for run in side["runs"]) + against)


if __name__ == "__main__":
    main()
