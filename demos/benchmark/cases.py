"""The cases of benchmark.py, and the protocol between it and the sides.

A case is a model and its batches. Each side (minibert, PyTorch...) is a process: it reads the same
weights from a file, draws the same batches, and does the number of steps in each line of its
standard input. This file needs NumPy only.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

SIZES = {  # layers, width, heads, tokens, batch, vocabulary
    "TOY": (2, 64, 4, 32, 16, 200),
    "MINI": (4, 256, 4, 128, 8, 4000),
    "SMALL": (4, 768, 12, 128, 4, 8000),
    "TINY": (1, 16, 2, 8, 2, 50),  # for the tests
}
DECODING = {  # layers, width, heads, new tokens, sequences, vocabulary
    "GPT2": (12, 768, 12, 128, 1, 50257),  # GPT-2 small
    "TINY": (2, 16, 2, 8, 1, 50),  # for the tests
}
LSTM = {  # layers, width, heads, tokens, batch, vocabulary
    "64x48": (2, 64, 1, 48, 16, 200), "64x128": (2, 64, 1, 128, 16, 200),
    "256x48": (2, 256, 1, 48, 16, 1000), "256x128": (2, 256, 1, 128, 16, 1000),
    "TINY": (1, 16, 1, 8, 2, 50),  # for the tests
}
PROMPT = 8  # tokens before the new ones
LONG = (128, 512, 1024, 2048, 4096)
BATCHES = 4  # different ones, used in turn
LEARNING_RATE, MAX_NORM = 1e-4, 1.0


@dataclass(frozen=True)
class Case:
    """One row of the table; `kind` is gpt, bert, lstm or decoding."""

    name: str
    kind: str
    layers: int
    width: int
    heads: int
    tokens: int
    batch: int
    vocabulary: int
    dropout: float = 0.0


def make_cases(sizes: list[str], kinds: list[str], dropouts: list[float],
               long: list[int], decoding: list[str] = (), lstm: list[str] = ()) -> list[Case]:
    """Returns all sizes, kinds and dropouts combined, then the long contexts, decoding, LSTMs."""
    cases = [Case(f"{kind.upper()} {size}" + (f" dropout {dropout:g}" if dropout else ""),
                  kind, *SIZES[size], dropout)
             for size in sizes for kind in kinds for dropout in dropouts]
    cases += [Case(f"GPT T={tokens}", "gpt", 1, 256, 4, tokens, 1, 1000) for tokens in long]
    cases += [Case(f"greedy decoding {size}", "decoding", *DECODING[size]) for size in decoding]
    return cases + [Case(f"LSTM {size}", "lstm", *LSTM[size]) for size in lstm]


def make_batches(case: Case) -> list[dict[str, np.ndarray]]:
    """Draws the batches of a case. GPT, LSTM: ids and the next ids. BERT: ids, segments, 15 % of
    the positions with their labels, and next-sentence labels. Decoding: the prompt."""
    rng = np.random.default_rng(1)
    B, T, V = case.batch, case.tokens, case.vocabulary
    batches = []
    for _ in range(BATCHES):
        if case.kind == "decoding":
            batches.append({"ids": rng.integers(0, V, (B, PROMPT))})
            continue
        text = rng.integers(0, V, (B, T + 1))
        if case.kind in ("gpt", "lstm"):
            batches.append({"ids": text[:, :-1].copy(), "targets": text[:, 1:].copy()})
            continue
        positions = np.sort(rng.choice(B * T, max(1, int(0.15 * B * T)), replace=False))
        batches.append({"ids": text[:, :-1].copy(),
                        "segments": np.repeat([[0, 1]], B, 0).repeat(T // 2, 1),
                        "positions": positions, "labels": rng.integers(0, V, len(positions)),
                        "follows": rng.integers(0, 2, B)})
    return batches


def serve(prepare: Callable[[Case, str, str], Callable[[dict], float]]) -> None:
    """Runs one side: `prepare(case, weights file, variant)` returns the function that does a step.

    Reports on stdout when the first step is done. Each line on stdin is a number of steps, answered
    by their losses, the means of their seconds and page faults, and the peak memory so far.
    """
    case, weights, variant = Case(**json.loads(sys.argv[-3])), sys.argv[-2], sys.argv[-1]
    step = prepare(case, weights, variant)
    batches = make_batches(case)
    done = 0
    line = "1"
    while line:
        faults, started, cpu = page_faults(), time.perf_counter(), time.process_time()
        losses = []
        for _ in range(int(line)):
            losses.append(step(batches[done % BATCHES]))
            done += 1
        answer = {"seconds": (time.perf_counter() - started) / len(losses),
                  "cpu_seconds": (time.process_time() - cpu) / len(losses), "losses": losses,
                  "faults": (page_faults() - faults) / len(losses), "peak_bytes": peak_bytes()}
        print(json.dumps(answer), flush=True)
        line = sys.stdin.readline()


def arguments(case: Case, weights: str, variant: str) -> list[str]:
    """Returns the command line that `serve` parses."""
    return [json.dumps(asdict(case)), weights, variant]


def peak_bytes() -> int:
    """Returns the peak memory of this process in bytes. (On Linux getrusage's value starts from the
    peak of the parent process.)"""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="ascii"))[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def page_faults() -> int:
    """Returns the number of page faults of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def thread_settings(threads: int) -> dict[str, str]:
    """Returns environment variables that limit every numerical library to `threads` threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(threads))}


def workers_for(case: Case) -> int:
    """Returns the number of workers that the trainer takes with the threads of this process."""
    from minibert.autograd.fused.threads import blas_threads
    from minibert.training.data_parallel import default_workers

    return default_workers(case.batch, case.tokens, case.width, blas_threads() or 1)
