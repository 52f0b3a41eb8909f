"""Benchmark of training steps, whole trainings and generation, beside PyTorch where installed.

    python benchmark.py                                  GPT and BERT at three sizes
    python benchmark.py --sizes MINI --kinds gpt --dropout 0 0.1 --threads 2
    python benchmark.py --sizes --long 128 1024 4096     one layer, longer and longer texts
    python benchmark.py --sizes --recipe shakespeare.txt a whole training, from start to exit
    python benchmark.py --profile --sizes MINI           seconds, GFLOP/s and bytes by op
    python benchmark.py --sizes --decode GPT2            128 tokens from a GPT-2 small
    python benchmark.py --sizes --lstm 64x48 256x128     an LSTM language model, width x tokens

A step is forward, backward, clipping to norm 1 and AdamW, with as many workers as the trainer takes
for that number of threads (minibert/training/data_parallel.py). Where PyTorch is installed the same
models run there with the same weights and batches; each side has a process, and they alternate, a
few steps each. A busy machine slows down both sides of a turn, so the median of the turns' ratios
is reliable where seconds are not. A side of its own is the step's matrix products alone, the limit
of its speed. The losses of the first steps are shown for both sides; without
dropout they must agree. `cpu` is the ratio of processor time. A step of decoding is one text,
beside Hugging Face's `generate`, with the mean of the new ids in place of the loss.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from cases import (DECODING, LEARNING_RATE, LONG, LSTM, MAX_NORM, SIZES,  # noqa: E402
                             Case, arguments, make_cases, serve, thread_settings, workers_for)
from recipe import measure_recipe, show_recipe  # noqa: E402

FIRST_LOSSES = 4  # shown and compared
TURN_SECONDS = 0.2  # the approximate length of the first side's turn; the others do as many steps
# Before each turn: after a product the threads of a BLAS spin for up to 0.1 s and take a core from
# the next side. Without the pause PyTorch's step took 17 ms instead of 11 at TOY, 265 instead of
# 185 at T=2048.
PAUSE_SECONDS = 0.2
PRODUCTS = "products only"


def prepare(case: Case, weights: str, variant: str):
    """Returns this engine's function that does a step on a batch."""
    import minibert as mb
    from minibert.training.data_parallel import Workers
    from minibert.training.machine import keep_freed_memory

    keep_freed_memory()
    model = build(case).train()
    with np.load(weights) as arrays:
        model.load_state_dict(arrays)
    parameters = list(model.parameters())
    adamw = mb.optim.AdamW(parameters, lr=LEARNING_RATE)
    count = workers_for(case)
    workers = Workers(parameters, count)
    rngs = [np.random.default_rng([2, worker]) for worker in range(count)]

    def step(batch: dict[str, np.ndarray]) -> float:
        def work(worker: int) -> float:
            loss = share_of_loss(model, case, batch, worker, count, rngs[worker])
            loss.backward()
            return loss.item()

        adamw.zero_grad()
        loss = sum(workers.run(work)) if count > 1 else work(0)
        mb.clip_grad_norm_(parameters, MAX_NORM)
        adamw.step()
        return loss

    return step


def share_of_loss(model, case: Case, batch: dict[str, np.ndarray], worker: int, count: int,
                  rng: np.random.Generator):
    """Returns the part of the loss from a worker's rows; the whole loss where `count` is 1."""
    B, T = batch["ids"].shape
    rows = slice(B * worker // count, B * (worker + 1) // count)
    if case.kind in ("gpt", "lstm"):
        total = model.next_token_loss(batch["ids"][rows], batch["targets"][rows], rng)
        return total * (1 / batch["targets"].size)
    first, last = np.searchsorted(batch["positions"], (rows.start * T, rows.stop * T))
    losses = model.pretraining_losses(
        batch["ids"][rows], None, batch["segments"][rows],
        batch["positions"][first:last] - rows.start * T, batch["labels"][first:last],
        batch["follows"][rows], rng)
    return losses.mlm_loss * (1 / len(batch["labels"])) + losses.nsp_loss * (1 / B)


def build(case: Case, rng: int | None = None):
    """Returns the model of a case; its weights are zeros without `rng`."""
    import minibert as mb
    from minibert.ancestors.lstm import LSTMConfig, LSTMLanguageModel

    p = case.dropout
    if case.kind == "lstm":
        return LSTMLanguageModel(LSTMConfig(case.vocabulary, case.width, case.layers), rng)
    if case.kind == "decoding":
        return mb.GPT2LMHeadModel(mb.GPT2Config(
            vocab_size=case.vocabulary, n_embd=case.width, n_layer=case.layers, n_head=case.heads,
            bos_token_id=None, eos_token_id=None), rng=rng)  # no text ends by itself
    if case.kind == "gpt":
        config = mb.GPT2Config(vocab_size=case.vocabulary, n_positions=case.tokens,
                               n_embd=case.width, n_layer=case.layers, n_head=case.heads,
                               resid_pdrop=p, embd_pdrop=p, attn_pdrop=p)
        return mb.GPT2LMHeadModel(config, rng=rng)
    config = mb.BertConfig(vocab_size=case.vocabulary, hidden_size=case.width,
                           num_hidden_layers=case.layers, num_attention_heads=case.heads,
                           intermediate_size=4 * case.width, max_position_embeddings=case.tokens,
                           hidden_dropout_prob=p, attention_probs_dropout_prob=p)
    return mb.BertForPreTraining(config, rng=rng)


# ---- side by side ------------------------------------------------------------------------------


class Side:
    """A process of one side that does steps on request."""

    def __init__(self, name: str, command: list[str], threads: int):
        self.name = name
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=thread_settings(threads))
        self.answers = [self._answer()]
        self.first_step_seconds = time.perf_counter() - started

    def take(self, steps: int) -> float:
        """Does `steps` steps; returns the mean seconds of a step."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        self.answers.append(self._answer())
        return self.answers[-1]["seconds"]

    def take_alone(self, steps: int) -> float:
        """Does steps after a pause in which the threads of the side before stop spinning."""
        time.sleep(PAUSE_SECONDS)
        return self.take(steps)

    def losses(self) -> list[float]:
        return [loss for answer in self.answers for loss in answer["losses"]
                if loss is not None][:FIRST_LOSSES]

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: the process ended (exit {self.process.wait()})")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(case: Case, sides: dict[str, list[str]], threads: int, turns: int) -> dict:
    """Runs the sides alternately; each is compared with the first of `sides`."""
    with tempfile.TemporaryDirectory() as folder:
        weights = folder
        if case.kind == "decoding":
            build(case, rng=0).save_pretrained(folder)
        else:
            weights = str(Path(folder) / "weights.npz")
            np.savez(weights, **build(case, rng=0).state_dict())
        running = [Side(name, [script, *arguments(case, weights, variant)], threads)
                   for name, (script, variant) in sides.items()]
        for side in running:
            side.take(FIRST_LOSSES - 1)
        steps = max(1, round(TURN_SECONDS / running[0].take_alone(1)))
        seconds = [[side.take_alone(steps) for side in running] for _ in range(turns)]
        for side in running:
            side.close()
    ours = running[0]
    report = {"case": case.name, "kind": case.kind, "tokens": case.tokens, "threads": threads,
              "turns": turns, "steps_each": steps}
    report["sides"] = {side.name: {
        "seconds": median(column), "losses": side.losses(),
        "page_faults": side.answers[-1]["faults"], "peak_bytes": side.answers[-1]["peak_bytes"],
        "first_step_seconds": side.first_step_seconds,
        "ratios": [turn[0] / own for turn, own in zip(seconds, column)],
        "cpu_ratio": median(a["cpu_seconds"] / b["cpu_seconds"]
                            for a, b in zip(ours.answers[-turns:], side.answers[-turns:])),
        "memory_ratio": ours.answers[-1]["peak_bytes"] / side.answers[-1]["peak_bytes"],
    } for side, column in zip(running, zip(*seconds))}
    report["losses_agree"] = bool(case.dropout) or all(
        abs(a - b) < 1e-4 for side in running[1:]
        for a, b in zip(side.losses(), ours.losses()))
    return report


def show(report: dict) -> None:
    """Prints the case as a few rows of a table."""
    print(f"{report['case']}")
    for name, side in report["sides"].items():
        low, middle, high = quartiles(side["ratios"])
        against = "" if name == "minibert" else (
            f"  time x{middle:.2f} [{low:.2f} {high:.2f}]  cpu x{side['cpu_ratio']:.2f}"
            f"  memory x{side['memory_ratio']:.2f}")
        speed = (f"{report['tokens'] / side['seconds']:5.1f} tokens/s  "
                 if report["kind"] == "decoding" else "")
        print(f"  {name:15s} {side['seconds'] * 1e3:9.2f} ms  {speed}"
              f"{side['peak_bytes'] / 2**20:7.0f} MiB"
              f"  first step {side['first_step_seconds']:5.2f} s  losses "
              + " ".join(f"{loss:.4f}" for loss in side["losses"]) + against)
    if not report["losses_agree"]:
        print("  the losses differ: the two sides do not compute the same")


def quartiles(ratios: list[float]) -> list[float]:
    return quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3


def import_seconds(module: str) -> float:
    """Returns the seconds of `import module` in a new process: median of five, bytecode compiled.
    """
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    compiled = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    return median(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                       check=True, cwd=HERE.parents[1], env=compiled).stdout)
                  for _ in range(5))


def chosen_sides(case: Case, variants: list[str], peers: bool) -> dict[str, list[str]]:
    """Returns {name: (script, variant)}, this engine first."""
    if case.kind == "decoding":
        return {name: (str(HERE / "decoding.py"), name)
                for name in ("minibert", "transformers")
                if name == "minibert" or installed("torch") and installed(name)}
    sides = {"minibert": (str(HERE / "benchmark.py"), "serve")}
    if installed("torch"):
        sides.update({f"torch {variant}": (str(HERE / "torch_side.py"), variant)
                      for variant in variants})
    if peers and case.kind == "gpt" and case.width <= 256 and not case.dropout:
        sides.update({peer: (str(HERE / "peers.py"), peer)
                      for peer in ("autograd", "mygrad") if installed(peer)})
    if case.kind == "lstm":  # products.py has no list of its products
        return sides
    return sides | {PRODUCTS: (str(HERE / "products.py"), "serve")}


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def work_of_two_threads(turns: int) -> float:
    """Returns the work that two threads do in the time in which one alone does 1: products and
    exponentials of arrays in the cache, for less than a second. Near 2 where the processors are
    cores, 1.3 to 1.5 where two of them share one (simultaneous multithreading): then neither
    workers nor threads can gain much."""
    from minibert.autograd.fused.threads import one_blas_thread

    def work(_: int) -> None:
        a, out = np.full((128, 128), 1e-2, np.float32), np.empty((128, 128), np.float32)
        for _ in range(400):
            np.matmul(a, a, out=out)
            np.exp(out, out=out)

    def seconds(threads: int) -> float:
        started = time.perf_counter()
        others = [threading.Thread(target=work, args=(0,)) for _ in range(threads - 1)]
        for thread in others:
            thread.start()
        work(0)
        for thread in others:
            thread.join()
        return time.perf_counter() - started

    with one_blas_thread():
        seconds(2)
        return median(2 * seconds(1) / seconds(2) for _ in range(turns))


def table(reports: list[dict]) -> list[str]:
    """Returns the table of demos/README.md: times and memory as shares of the first side beside
    this engine, the products' time as a share of it, too."""
    rows = ["| | time, quartiles | products alone | a step by its products | most memory |",
            "|---|---|---|---|---|"]
    for report in reports:
        sides = {name: side for name, side in report["sides"].items()
                 if name not in ("minibert", PRODUCTS)}
        cells = [report["case"], "", "", "", ""]
        limit = report["sides"].get(PRODUCTS)
        if limit:
            cells[3] = f"{median(limit['ratios']):.2f}"
        if sides:
            beside = next(iter(sides.values()))
            low, middle, high = quartiles(beside["ratios"])
            cells[1] = f"{middle:.2f} ({low:.2f} to {high:.2f})"
            cells[4] = f"{beside['memory_ratio']:.2f}"
            if limit:
                cells[2] = f"{median(a / b for a, b in zip(beside['ratios'], limit['ratios'])):.2f}"
        rows.append("| " + " | ".join(cells) + " |")
    return rows


# ---- the command line --------------------------------------------------------------------------


def main() -> None:
    options = parsed()
    from minibert.training.machine import core_count

    cases = make_cases(options.sizes, options.kinds, options.dropout, options.long,
                       options.decode, options.lstm)
    if options.profile:
        from profile_ops import profile

        from minibert.autograd.fused.threads import set_blas_threads

        set_blas_threads(options.threads)
        for case in cases:
            profile(case, build(case, rng=0).state_dict(), prepare)
        return
    machine = {"processor": platform.processor() or platform.machine(),
               "processors": core_count(), "two_threads": work_of_two_threads(options.turns),
               "python": platform.python_version(), "numpy": np.__version__}
    print(f"{machine['processor']}, Python {machine['python']}, NumPy {machine['numpy']}, "
          f"{options.threads} thread(s) a side, {options.turns} turns; "
          f"x = minibert / other, median [quartiles]\n"
          f"{machine['processors']} processor(s); two threads do {machine['two_threads']:.2f} "
          "times the work of one (near 2: cores of their own; up to 1.5: they share one, and "
          "nothing parallel can be judged here)\n")
    reports = []
    for case in cases:
        sides = chosen_sides(case, options.torch, options.peer)
        reports.append(measure(case, sides, options.threads, options.turns))
        show(reports[-1])
    if options.recipe:
        reports.append(measure_recipe(options.recipe, options.recipe_steps, options.threads,
                                      options.recipe_turns, installed("torch")))
        show_recipe(reports[-1])
    print("\n".join(["", *table(reports)]))
    imports = {module: import_seconds(module) for module in ("minibert", "torch")
               if installed(module)}
    print("\nimport: " + ", ".join(f"{module} {seconds:.2f} s"
                                  for module, seconds in imports.items()))
    if options.json:
        figures = {"machine": machine, "cases": reports, "import_seconds": imports}
        Path(options.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if not all(report.get("losses_agree", True) for report in reports):
        raise SystemExit(1)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", default=["TOY", "MINI", "SMALL"], choices=SIZES)
    parser.add_argument("--kinds", nargs="+", default=["gpt", "bert"], choices=("gpt", "bert"))
    parser.add_argument("--dropout", nargs="+", type=float, default=[0.0, 0.1])
    parser.add_argument("--long", nargs="*", type=int, default=[], metavar="T",
                        help=f"one layer of width 256 at these lengths, such as {LONG}")
    parser.add_argument("--decode", nargs="*", default=[], choices=DECODING,
                        help="greedy decoding with a cache, beside Hugging Face's")
    parser.add_argument("--lstm", nargs="*", default=[], choices=LSTM, metavar="WIDTHxTOKENS",
                        help=f"two layers of LSTM, a language model: {', '.join(LSTM)}")
    parser.add_argument("--torch", nargs="*", default=["foreach"],
                        choices=("foreach", "fused", "tuned"),
                        help="AdamW foreach, fused, or fused with the allocator tuned as ours")
    parser.add_argument("--peer", action="store_true", help="also HIPS autograd and MyGrad")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--recipe", metavar="FILE",
                        help="the README's character GPT on this text, whole processes")
    parser.add_argument("--recipe-steps", type=int, default=2000)
    parser.add_argument("--recipe-turns", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write all figures there as well")
    parser.add_argument("--profile", action="store_true", help="the time of a step by op")
    options = parser.parse_args()
    if options.turns < 2:
        parser.error(f"--turns {options.turns}: the spread of the ratios needs at least 2")
    if options.profile and options.decode:
        parser.error("--profile shows training steps: it cannot be combined with --decode")
    return options


if __name__ == "__main__":
    if sys.argv[-1] == "serve":
        serve(prepare)
    else:
        main()
