"""Reports of a training run for people: an estimate before it, a line during it, a curve after."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from typing import TextIO

import numpy as np

from minibert.training.machine import peak_memory
from minibert.training.optim import clip_grad_norm_

REFRESH = 0.25  # seconds between two states of the progress line on a terminal
QUIET = 10.0  # seconds between two lines in a file or a pipe
SMOOTHING = 0.95  # the weight of the earlier losses in the shown average


class SilentReport:
    """A report that shows nothing: the methods that a trainer calls."""

    def start(self, trainer) -> None:
        """Before the first step."""

    def step(self, trainer, record: dict) -> None:
        """After each step, with its record."""

    def evaluation(self, trainer, held_out: dict, samples: list[str]) -> None:
        """After each evaluation."""


class Report(SilentReport):
    """Progress on `stream` (stdout): one line that is overwritten on a terminal, a line every QUIET
    seconds elsewhere."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = sys.stdout if stream is None else stream
        self.on_terminal = self.stream.isatty()
        self.loss: float | None = None
        self.begun = self.shown_at = time.perf_counter()
        self.first_step = self.first_tokens = 0
        self.width = 0

    def start(self, trainer) -> None:
        self.begun = self.shown_at = time.perf_counter()
        self.first_step, self.first_tokens = trainer.steps_done, trainer.tokens

    def step(self, trainer, record: dict) -> None:
        loss = record["loss"]
        self.loss = loss if self.loss is None else SMOOTHING * self.loss + (1 - SMOOTHING) * loss
        now = time.perf_counter()
        if now - self.shown_at >= (REFRESH if self.on_terminal else QUIET):
            self.shown_at = now
            self.line(self._progress(trainer, now), passing=self.on_terminal)

    def evaluation(self, trainer, held_out: dict, samples: list[str]) -> None:
        parts = "  ".join([f"{name} {value:.4f}" for name, value in held_out.items()])
        self.line(f"step {trainer.steps_done:>6} of {trainer.settings.steps}  held out: {parts}")
        for line in samples:
            self.line(f"            {line}")

    def _progress(self, trainer, now: float) -> str:
        seconds = now - self.begun
        steps = trainer.steps_done - self.first_step
        left = (trainer.settings.steps - trainer.steps_done) * seconds / steps
        rate = (trainer.tokens - self.first_tokens) / seconds
        return (f"step {trainer.steps_done:>6} of {trainer.settings.steps}  loss {self.loss:.4f}  "
                f"{rate:,.0f} tokens/s  {in_words(left)} left")

    def line(self, text: str = "", passing: bool = False) -> None:
        """Write a line over the progress line; the next one overwrites a `passing` text."""
        over = "\r" + text.ljust(self.width) if self.on_terminal else text
        self.width = len(text) if passing else 0
        try:
            self.stream.write(over if passing else over.rstrip(" ") + "\n")
            self.stream.flush()
        except BrokenPipeError:  # the reader, such as `head`, has ended; the training goes on
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


def in_words(seconds: float) -> str:
    """Write a time in words: 8 s, 2 min 5 s, 3 h 20 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def estimate(trainer) -> dict:
    """Estimate {"parameters", "bytes" of memory, "seconds" of the whole run, "step_seconds"} from
    two steps whose results are dropped. Memory is the process's peak after them (None where the
    system does not say) plus the optimizer's moments, which are not touched yet."""
    seconds = math.inf
    trainer.model.train()
    for _ in range(2):  # the first one also pays for fresh memory
        trainer.optimizer.zero_grad()
        tokens, started = trainer.tokens, time.perf_counter()
        trainer.gradients(trainer.steps_done)
        clip_grad_norm_(trainer.parameters, math.inf)
        with np.errstate(all="ignore"):  # a loss that is not finite is refused by the first step
            trainer.optimizer.step(trial=True)
        seconds = min(seconds, time.perf_counter() - started)
        trainer.tokens = tokens
    trainer.optimizer.zero_grad()
    evaluation_seconds = trainer.evaluation_seconds()
    every = trainer.settings.eval_every or trainer.settings.steps
    steps = trainer.settings.steps - trainer.steps_done
    evaluations = math.ceil(steps / every) + (trainer.best is None)  # one before the first step
    peak = peak_memory()
    return {"parameters": trainer.parameter_count(), "step_seconds": seconds,
            "bytes": None if peak is None else peak + trainer.optimizer.moment_bytes(),
            "seconds": steps * seconds + evaluations * evaluation_seconds}


def estimate_line(figures: dict, steps: int) -> str:
    """Write the estimate in one line."""
    size = figures["bytes"]
    memory = "" if size is None else f"about {size / 2 ** 20:,.0f} MB of memory, "
    return (f"{figures['parameters']:,} parameters, {memory}about {in_words(figures['seconds'])} "
            f"for {steps:,} steps of {1000 * figures['step_seconds']:.1f} ms and the evaluations")


def loss_curve(points: Sequence[tuple[int, float]], held_out: Sequence[tuple[int, float]],
               baselines: Sequence[tuple[str, float]] = (), width: int = 70, height: int = 12
               ) -> list[str]:
    """Draw pairs (step, loss) as lines of text: `.` the training loss, averaged within each of
    `width` columns, `o` the held-out loss, `-` each of the `baselines` (name, loss), which are
    listed below. No lines without points."""
    if not points:
        return []
    last = max(step for step, _ in [*points, *held_out])
    columns: dict[int, list[float]] = {}
    for step, loss in points:
        columns.setdefault(step * width // (last + 1), []).append(loss)
    means = {column: sum(losses) / len(losses) for column, losses in columns.items()}
    shown = [*means.values(), *[loss for _, loss in [*held_out, *baselines]]]
    low, high = min(shown), max(shown)
    grid = [[" "] * width for _ in range(height)]

    def row(loss: float) -> int:
        return height - 1 - round((height - 1) * (loss - low) / (high - low or 1))

    labels = {0: high, height - 1: low}
    for _, loss in baselines:
        grid[row(loss)] = ["-" if column % 2 else " " for column in range(width)]
        labels[row(loss)] = loss
    for column, mean in means.items():
        grid[row(mean)][column] = "."
    for step, loss in held_out:
        grid[row(loss)][step * width // (last + 1)] = "o"
    lines = []
    for i, cells in enumerate(grid):
        label = f"{labels[i]:8.3f}" if i in labels else " " * 8
        lines.append(f"{label} |{''.join(cells)}".rstrip())
    lines.append(" " * 9 + "+" + "-" * width)
    lines.append(" " * 10 + f"step 0{last:>{width - 6}}")
    lines.append(" " * 10 + ". training   o held out")
    lines += [f"{loss:8.3f} - - {name}" for name, loss in baselines]
    return lines
