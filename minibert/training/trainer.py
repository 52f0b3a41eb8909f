"""The Trainer: one loop for every objective.

A step draws its batches, adds up their gradients, clips them and lets AdamW move the weights. What
it draws is a function of (seed, step) alone, so that an evaluation in between, a kill and a resume
change nothing. `trainer.step()` is the whole of it and can be called, and stepped into, by hand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real

import numpy as np

from minibert.autograd.fused.threads import parallel_for
from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.nn.module import evaluating
from minibert.training.checkpoint import load_training_state, write_checkpoint
from minibert.training.data_parallel import Workers
from minibert.training.interrupt import InterruptHandler
from minibert.training.layer_decay import layer_groups
from minibert.training.optim import AdamW, clip_grad_norm_, decay_groups
from minibert.training.report import SilentReport
from minibert.training.run_folder import LOG_SCHEMA, Run
from minibert.training.schedules import SCHEDULES

DROPOUT = 1  # the purpose in the seed [seed, purpose, step], apart from those of the objectives

# For each type in TrainingSettings, what a value must be, and the words for it in an error.
_KINDS = {"int": (Integral, "a whole number"), "float": (Real, "a number"),
          "str": (str, "a name"), "tuple[float, float]": (Sequence, "two numbers")}


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient is no longer a number: the message says what to do."""


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of the loop itself. Errors: any value out of range.

    `steps` counts updates, each from `accumulate` batches; `clip` 0 means no clipping; `eval_every`
    0 evaluates at the end only; `patience` is how many evaluations in a row may bring nothing
    better before training stops (0: it goes on); `warmup` and the schedules are those of
    schedules.py, `layer_decay` that of layer_decay.py, `workers` those of data_parallel.py.
    """

    steps: int = 1000
    lr: float = 1e-3
    min_lr: float = 0.0
    warmup: int = 100
    schedule: str = "cosine"
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip: float = 1.0
    accumulate: int = 1
    eval_every: int = 100
    patience: int = 0
    seed: int = 0
    workers: int = 1

    def __post_init__(self):
        for field in fields(self):
            kind, expected = _KINDS[field.type]
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, kind):
                raise InputError(f"{field.name} is {value!r:.60}: expected {expected}")
            if isinstance(value, np.generic):  # which JSON does not know
                object.__setattr__(self, field.name, value.item())
            if value in (math.inf, -math.inf):
                raise InputError(f"{field.name} is {value}: expected a finite number")
        object.__setattr__(self, "betas", tuple(self.betas))  # JSON makes lists of them
        checks = [("steps", self.steps >= 1, "at least 1"), ("lr", self.lr > 0, "more than 0"),
                  ("min_lr", 0 <= self.min_lr <= self.lr, f"between 0 and lr ({self.lr})"),
                  ("warmup", self.warmup >= 0, "at least 0"),
                  ("schedule", self.schedule in SCHEDULES, " or ".join(SCHEDULES)),
                  ("weight_decay", self.weight_decay >= 0, "at least 0"),
                  ("layer_decay", 0 < self.layer_decay <= 1, "more than 0, at most 1"),
                  ("betas", len(self.betas) == 2 and all([0 <= b < 1 for b in self.betas]),
                   "two numbers from 0 up to, not including, 1"),
                  ("eps", self.eps > 0, "more than 0"), ("clip", self.clip >= 0, "at least 0"),
                  ("accumulate", self.accumulate >= 1, "at least 1"),
                  ("eval_every", self.eval_every >= 0, "at least 0"),
                  ("patience", self.patience >= 0, "at least 0"),
                  ("patience", not self.patience or self.eval_every,
                   "0, for without eval_every nothing is evaluated on the way"),
                  ("seed", self.seed >= 0, "at least 0"),
                  ("workers", self.workers >= 1, "at least 1")]
        for name, is_right, expected in checks:
            if not is_right:
                raise InputError(f"{name} is {getattr(self, name)}: expected {expected}")


class Trainer:
    """Trains `model` on `objective`; keeps a run folder if it is given one.

    `samples(model)` returns lines to show after each evaluation; `about` is kept in the run's state
    and summary. `run` must be new and empty (`Run.create`), or `resume` is called next.
    """

    def __init__(self, model, objective, settings: TrainingSettings = TrainingSettings(), *,
                 run: Run | None = None, tokenizer=None, about: dict | None = None, report=None,
                 samples: Callable[[object], list[str]] | None = None):
        self.model, self.objective, self.settings = model, objective, settings
        self.run_folder, self.tokenizer, self.about = run, tokenizer, about or {}
        self.report, self.samples = report or SilentReport(), samples
        groups, self.decayed, self.exempt = decay_groups(model, settings.weight_decay)
        groups, self.lr_shares = layer_groups(model, groups, settings.layer_decay)
        self.optimizer = AdamW(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps)
        self.parameters = list(model.parameters())
        self.workers = Workers(self.parameters, settings.workers)
        self.schedule = SCHEDULES[settings.schedule]
        self.steps_done = 0
        self.steps_saved = -1
        self.best: dict | None = None  # the step and the figures of the best evaluation
        self.held_out: dict = {}  # the latest evaluation
        self.seconds = self.step_seconds = 0.0
        self.tokens = 0

    # ---- one step --------------------------------------------------------------------------------

    def step(self) -> dict:
        """One update of the weights; returns its record for the log.

        Errors: NonFiniteLoss, before the weights are touched.
        """
        if not self.model.training:
            self.model.train()
        self.optimizer.zero_grad()
        record = {"kind": "step", "step": self.steps_done + 1, **self.gradients(self.steps_done)}
        norm = clip_grad_norm_(self.parameters, self.settings.clip or math.inf)
        if not (math.isfinite(record["loss"]) and math.isfinite(norm)):
            loss = record["loss"]
            raise self._non_finite(self.steps_done + 1, f"the gradient's norm is {norm}"
                                   if math.isfinite(loss) else f"the loss is {loss}")
        lr = self.learning_rate(self.steps_done)
        for group, share in zip(self.optimizer.param_groups, self.lr_shares):
            group["lr"] = lr * share
        self.optimizer.step()
        self.steps_done += 1
        return {**record, "lr": lr, "grad_norm": norm}

    def gradients(self, step: int) -> dict:
        """Leave the gradient of step `step` in the parameters; return the loss and its parts.

        Each part of the loss (masked tokens, pairs, next tokens) is a mean over all that the step's
        batches hold of it, however unevenly: the batches' sums are divided by the counts of all.
        """
        micro_steps = range(step * self.settings.accumulate, (step + 1) * self.settings.accumulate)
        batches = [self.objective.batch(micro_step) for micro_step in micro_steps]
        totals = added_up([self.objective.counts(batch) for batch in batches])
        count = self.settings.workers

        def work(worker: int) -> dict:
            shares = [batch.shard(worker, count) for batch in batches]
            return self._forward_backward(micro_steps, shares, totals, worker)

        if count == 1:
            means = self._forward_backward(micro_steps, batches, totals)
        else:
            means = added_up(self.workers.run(work))
        self.tokens += sum([batch.input_ids.size for batch in batches])
        parts = {f"{name}_loss": mean for name, mean in means.items()} if len(means) > 1 else {}
        return {"loss": sum(means.values()), **parts}

    def _forward_backward(self, micro_steps: range, batches: list, totals: dict, worker: int = 0
                          ) -> dict:
        """Both passes over each batch, or a worker's share of it; -> their part of the means."""
        means = dict.fromkeys(totals, 0.0)
        for micro_step, batch in zip(micro_steps, batches):
            if not len(batch.input_ids):  # more workers than rows
                continue
            rng = np.random.default_rng([self.settings.seed, DROPOUT, micro_step, worker])
            sums, _ = self.objective.losses(self.model, batch, rng)
            loss = None
            for name, total in sums.items():
                if totals[name]:
                    mean = total * (1 / totals[name])
                    means[name] += mean.item()
                    loss = mean if loss is None else loss + mean
            if loss is not None and loss.requires_grad:
                loss.backward()
        return means

    def learning_rate(self, step: int) -> float:
        """The rate for the update after `step` updates."""
        settings = self.settings
        return self.schedule(step, settings.lr, settings.min_lr, settings.warmup, settings.steps)

    # ---- evaluation ------------------------------------------------------------------------------

    def evaluate(self) -> dict:
        """The means over all of the held-out text, dropout off; the model's mode is put back."""
        with evaluating(self.model), no_grad():
            return held_out_means(self.model, self.objective, self.settings.workers)

    def evaluation_seconds(self) -> float:
        """How long an evaluation will take, by its first batch."""
        batches = iter(self.objective.held_out_batches())
        first, started = next(batches), time.perf_counter()
        with evaluating(self.model), no_grad():
            _shared_sums(self.model, self.objective, first, self.settings.workers)
        return (time.perf_counter() - started) * (1 + sum(1 for _ in batches))

    # ---- the loop --------------------------------------------------------------------------------

    def run(self, until: int | None = None) -> bool:
        """Train up to step `until` (the settings' steps), or until patience ends, with evaluations,
        log and checkpoints.

        False if Ctrl-C stopped it: then the step under way was finished and, with a run folder, all
        is saved. Errors: NonFiniteLoss, OSError where the disk is full; `latest` is whole in any
        case.
        """
        until = self.settings.steps if until is None else until
        started, seconds_before = time.perf_counter(), self.seconds
        if self.best is None:  # nothing was evaluated yet: this is the beginning
            self._start_log()
            self._evaluate_and_save()
        self.report.start(self)
        with InterruptHandler() as interrupt:
            while not (self.steps_done >= until or self.out_of_patience() or interrupt.asked):
                step_started = time.perf_counter()
                record = self.step()
                self.step_seconds += time.perf_counter() - step_started
                self._log(record)
                self.report.step(self, record)
                self.seconds = seconds_before + time.perf_counter() - started
                every = self.settings.eval_every
                if self.steps_done == self.settings.steps or every and self.steps_done % every == 0:
                    self._evaluate_and_save()
            if self.steps_saved != self.steps_done:
                self.save()
        self.seconds = seconds_before + time.perf_counter() - started
        return self.steps_done >= until or self.out_of_patience()

    def out_of_patience(self) -> bool:
        """Whether the best evaluation lies `patience` evaluations back. Nothing needs to be
        remembered for it: the steps say so, after a resume as well."""
        waited = self.steps_done - self.best["step"]
        return 0 < self.settings.patience * self.settings.eval_every <= waited

    def _start_log(self) -> None:
        self._log({"kind": "start", "schema": LOG_SCHEMA, "objective": self.objective.name,
                   "parameters": self.parameter_count(), "settings": asdict(self.settings)})

    def _evaluate_and_save(self) -> None:
        """Evaluate, keep the best and the latest, in this order (a kill between the two leaves a
        latest that comes by here again and does the same), and show it with samples. Errors:
        NonFiniteLoss, before anything is written."""
        self.held_out = self.evaluate()
        if not math.isfinite(self.held_out["loss"]):
            raise self._non_finite(self.steps_done, f"the held-out loss is {self.held_out['loss']}")
        self._log({"kind": "eval", "step": self.steps_done, **self.held_out})
        lines = []
        if self.samples is not None and self.steps_done:
            with evaluating(self.model):
                lines = self.samples(self.model)
            self._log({"kind": "sample", "step": self.steps_done, "lines": lines})
        if self._is_best():
            self.best = {"step": self.steps_done, **self.held_out}
            self._save("best")
        self._save("latest")
        self.report.evaluation(self, self.held_out, lines)

    def _is_best(self) -> bool:
        """Whether the latest evaluation beats the best one: by the objective's figure; of equally
        good ones (so much is right, of few examples) by the lower loss."""
        return self.best is None or self._rank(self.held_out) > self._rank(self.best)

    def _rank(self, figures: dict) -> tuple[float, float]:
        chosen = figures[self.objective.metric_for_best_model]
        return chosen if self.objective.greater_is_better else -chosen, -figures["loss"]

    def _log(self, record: dict) -> None:
        if self.run_folder is not None:
            self.run_folder.log(record)

    def _save(self, name: str) -> None:
        if self.run_folder is not None:
            write_checkpoint(self, name)
            if name == "latest":
                self.steps_saved = self.steps_done

    def save(self) -> None:
        """Write the run's latest checkpoint."""
        self._save("latest")

    def resume(self) -> None:
        """Go back to the run's latest checkpoint: weights, moments, step, log."""
        load_training_state(self)

    # ---- figures ---------------------------------------------------------------------------------

    def parameter_count(self) -> int:
        """Numbers to be learned; a tied matrix counts once."""
        return sum([parameter.size for parameter in self.parameters])

    def summary(self) -> dict:
        """What summary.json says about the training itself."""
        return {"settings": asdict(self.settings), "about": self.about,
                "parameters": self.parameter_count(), "steps": self.steps_done,
                "held_out": self.held_out, "best": self.best, "seconds": round(self.seconds, 2),
                "tokens_per_second": round(self.tokens / self.step_seconds) if self.tokens else 0}

    def _non_finite(self, step: int, what: str) -> NonFiniteLoss:
        latest = self.run_folder and self.run_folder.checkpoint("latest")
        kept = f"the last good checkpoint is {latest}" if latest else "the weights are untouched"
        return NonFiniteLoss(
            f"step {step}: {what}: {kept}; try a lower lr (now {self.settings.lr}), or run "
            "trainer.step() under mb.detect_anomaly(), which names the op where it began")


def held_out_means(model, objective, workers: int = 1) -> dict:
    """What `objective` reports of `model`, over all of its held-out batches."""
    counts, losses, metrics = [], [], []
    for batch in objective.held_out_batches():
        counts.append(objective.counts(batch))
        for sums, measured in _shared_sums(model, objective, batch, workers):
            losses.append(sums)
            metrics.append(measured)
    return objective.summary(added_up(losses), added_up(counts), added_up(metrics))


def _shared_sums(model, objective, batch, workers: int) -> list[tuple[dict, dict]]:
    """(losses, metrics) of each worker's share of a batch, in the order of the rows."""
    found = {}

    def work(worker: int) -> None:
        share = batch if workers == 1 else batch.shard(worker, workers)
        if len(share.input_ids):  # else there are more workers than rows
            sums, metrics = objective.losses(model, share, None)
            found[worker] = {name: total.item() for name, total in sums.items()}, metrics

    parallel_for(work, list(range(workers)))
    return [found[worker] for worker in sorted(found)]


def added_up(dictionaries: list[dict]) -> dict:
    """One dictionary with the sums of the values, key by key; lists are joined."""
    totals: dict = {}
    for dictionary in dictionaries:
        for name, value in dictionary.items():
            totals[name] = totals[name] + value if name in totals else value
    return totals
