"""The time of a step by op: benchmark.py --profile."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from cases import Case, make_batches, page_faults, workers_for

import minibert as mb

STEPS = 5


def profile(case: Case, weights: dict[str, np.ndarray], prepare) -> None:
    """Prints the ops of a step by their seconds, forward and backward together, divided by the
    number of parallel workers, so that the column adds up to the step."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "weights.npz")
        np.savez(file, **weights)
        step = prepare(case, file, "profile")
    batch = make_batches(case)[0]
    for _ in range(3):
        step(batch)
    faults, started = page_faults(), time.perf_counter()
    for _ in range(STEPS):
        step(batch)
    seconds = (time.perf_counter() - started) / STEPS
    faults = (page_faults() - faults) / STEPS
    records = []
    for _ in range(STEPS):
        with mb.trace() as seen:
            step(batch)
        records += seen.records
    peak = peak_flops()
    print(f"\n{case.name}: {seconds * 1e3:.2f} ms a step, {faults:.0f} page faults, "
          f"matrix products at most {peak / 1e9:.0f} GFLOP/s\n")
    print(f"{'op':32s}{'calls':>6s}{'forward ms':>12s}{'backward ms':>12s}{'MiB':>9s}"
          f"{'GFLOP/s':>9s}")
    table = by_op(records, workers_for(case))
    for op, row in sorted(table.items(), key=time_of, reverse=True):
        flops = row["flops"] / (row["forward"] + row["backward"])
        print(f"{op:32s}{row['calls'] / STEPS:6.0f}{row['forward'] / STEPS * 1e3:12.3f}"
              f"{row['backward'] / STEPS * 1e3:12.3f}{row['bytes'] / STEPS / 2**20:9.1f}"
              + (f"{flops / 1e9:9.2f}" if flops else ""))
    in_ops = sum(map(time_of, table.items())) / STEPS
    print(f"{'clipping, AdamW and the rest':38s}{max(0.0, seconds - in_ops) * 1e3:12.3f}")
    flops = sum(row["flops"] for row in table.values()) / STEPS
    if flops:
        print(f"the linear layers' products at their peak would take {flops / peak * 1e3:.2f} ms, "
              f"{flops / peak / seconds:.0%} of the step")


def by_op(records: list, workers: int) -> dict[str, dict]:
    """Returns the sums of each op's seconds over the workers, of its bytes and of its floating
    point operations."""
    table = defaultdict(lambda: dict(calls=0, forward=0.0, backward=0.0, bytes=0, flops=0))
    for record in records:
        row = table[record.op]
        row["calls"] += record.phase == "forward"
        row[record.phase] += record.seconds / workers
        row["bytes"] += record.bytes
        if record.op in ("linear", "linear_gelu", "linear_cross_entropy"):
            shapes = [shape for shape in record.inputs if shape is not None]
            weight = shapes[1] if len(shapes) > 1 else shapes[0]
            rows = np.prod(shapes[0]) // shapes[0][-1]
            row["flops"] += (2 if record.phase == "forward" else 4) * int(rows * np.prod(weight))
    return table


def time_of(item: tuple[str, dict]) -> float:
    return item[1]["forward"] + item[1]["backward"]


def peak_flops(n: int = 1024) -> float:
    """Returns floating point operations per second: the best of ten products of n x n matrices."""
    a = np.ones((n, n), np.float32)
    best = np.inf
    for _ in range(10):
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return 2 * n ** 3 / best
