"""Demo 7: the same two trainers on real text, Python's own documentation.

    python demos/07_python_docs.py

Runs `python -m minibert pretrain` with `--corpus python-docs` and fewer steps. Real text has no
oracle; the baseline is the unigram loss: how often each word occurs.
"""

import argparse
import tempfile
from pathlib import Path

from minibert.__main__ import main as command_line
from minibert.training.machine import core_count
from minibert.training.run_folder import Run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500, help="of each model")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--threads", type=int, default=core_count(), help="of a matrix product")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "runs"
        status = command_line(["pretrain", "both", "--corpus", "python-docs", "--out", str(out),
                               "--steps", str(arguments.steps), "--width", str(arguments.width),
                               "--threads", str(arguments.threads), "--eval-every", "0"])
        if status:
            raise SystemExit(status)
        for name, loss in (("bert", "mlm_loss"), ("gpt", "loss")):
            summary = Run(out / name).summary()
            model, counted = summary["held_out"][loss], summary["baselines"]["unigram"]
            print(f"\n{name}: held-out {loss} {model:.3f}, counting words {counted:.3f}\n")
            if not model < counted:
                raise SystemExit(f"{name}: {model:.3f} is not below counting words, {counted:.3f}")
    print("\nClaim: after a few minutes both models are below the unigram baseline.")


if __name__ == "__main__":
    main()
