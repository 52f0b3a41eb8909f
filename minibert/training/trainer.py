"""Trainer: one training loop for every objective.

`trainer.step()` is one whole update of the weights, and can be called, and stepped into, by hand:
batches, forward and backward, clipping, learning rate, optimizer. Its random numbers depend on
(seed, step) alone, so that an evaluation in between, a kill and a resume change nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict

from minibert.autograd.fused.threads import parallel_for
from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.nn.module import Module, evaluating
from minibert.pretraining.seeds import Purpose, generator
from minibert.training.checkpoint import load_training_state, write_checkpoint
from minibert.training.data_parallel import Workers
from minibert.training.interrupt import InterruptHandler
from minibert.training.layer_decay import layer_groups
from minibert.training.optim import OPTIMIZERS, clip_grad_norm_, decay_groups
from minibert.training.report import SilentReport
from minibert.training.run_folder import Run
from minibert.training.run_records import LOG_SCHEMA
from minibert.training.schedules import SCHEDULES
from minibert.training.settings import TrainingSettings


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient is NaN or infinite; the message names the step and a cure."""


class Trainer:
    """Train `model` on `objective` (see pretraining/objective.py), in a run folder if one is given.

    `samples(model)` returns lines to show after each evaluation, `film(model, step)` a record for
    the log, or None; `about` is kept in the run's state and summary. `run` must be new and empty
    (`Run.create`), or `resume` is called next. Errors: settings that are no TrainingSettings.
    """

    def __init__(self, model, objective, settings: TrainingSettings = TrainingSettings(), *,
                 run: Run | None = None, tokenizer=None, about: dict | None = None, report=None,
                 samples: Callable[[object], list[str]] | None = None,
                 film: Callable[[object, int], dict | None] | None = None):
        if not isinstance(model, Module):
            raise InputError(f"Trainer: model is a {type(model).__name__}: expected a model")
        if not isinstance(settings, TrainingSettings):
            raise InputError(f"Trainer: settings is a {type(settings).__name__}: expected "
                             "TrainingSettings(steps=..., lr=...)")
        self.model, self.objective, self.settings = model, objective, settings
        self.run_folder, self.tokenizer, self.about = run, tokenizer, about or {}
        self.report, self.samples = report or SilentReport(), samples
        self.film = film
        optimizer_class = OPTIMIZERS[settings.optimizer]
        groups, self.decayed, self.exempt = decay_groups(model, settings.weight_decay)
        groups = optimizer_class.split_groups(model, groups)
        groups, self.lr_factors = layer_groups(model, groups, settings.layer_decay)
        self.optimizer = optimizer_class.from_settings(groups, settings)
        self.parameters = list(model.parameters())
        self.workers = Workers(self.parameters, settings.workers)
        self.schedule = SCHEDULES[settings.schedule]
        self.steps_done = 0
        self.steps_saved = -1  # of `latest`; -1: nothing was saved or resumed yet
        self.best: dict | None = None  # the step and the metrics of the best evaluation
        self.held_out: dict = {}  # the metrics of the latest evaluation
        self.seconds = self.step_seconds = 0.0
        self.tokens = 0

    # ---- one step --------------------------------------------------------------------------------

    def step(self) -> dict:
        """Update the weights once; -> the record for the log: {"kind", "step", "loss", NAME_loss of
        each of several parts, "lr", "grad_norm" before clipping}. Errors: NonFiniteLoss, before the
        weights are changed."""
        if not self.model.training:
            self.model.train()
        self.optimizer.zero_grad()
        losses = self.gradients(self.steps_done)
        grad_norm = clip_grad_norm_(self.parameters, self.settings.clip or math.inf)
        self._check_finite(self.steps_done + 1, "loss", losses["loss"])
        self._check_finite(self.steps_done + 1, "gradient's norm", grad_norm)
        lr = self.learning_rate(self.steps_done)
        for group, factor in zip(self.optimizer.param_groups, self.lr_factors):
            group["lr"] = lr * factor
        self.optimizer.step()
        self.steps_done += 1
        return {"kind": "step", "step": self.steps_done, **losses, "lr": lr, "grad_norm": grad_norm}

    def gradients(self, step: int) -> dict:
        """Leave the gradient of step `step` in the parameters; return {"loss", NAME_loss of each
        of several parts}.

        Each part of the loss (masked tokens, pairs, next tokens) is a mean over all its positions
        in the step's batches: the batches' sums are divided by the counts of all of them.
        """
        numbers = range(step * self.settings.accumulate, (step + 1) * self.settings.accumulate)
        batches = [self.objective.batch(number) for number in numbers]
        counts = sum_by_name([self.objective.counts(batch) for batch in batches])
        workers = self.settings.workers

        def work(worker: int) -> dict:
            shards = [batch.shard(worker, workers) for batch in batches]
            return self._forward_backward(numbers, shards, counts, worker)

        if workers == 1:
            means = self._forward_backward(numbers, batches, counts)
        else:
            means = sum_by_name(self.workers.run(work))
        self.tokens += sum([batch.input_ids.size for batch in batches])
        parts = {f"{name}_loss": mean for name, mean in means.items()} if len(means) > 1 else {}
        return {"loss": sum(means.values()), **parts}

    def _forward_backward(self, numbers: range, batches: list, counts: dict, worker: int = 0
                          ) -> dict[str, float]:
        """Forward and backward of each batch, or a worker's shard of it; -> its part of the
        means."""
        means = dict.fromkeys(counts, 0.0)
        for number, batch in zip(numbers, batches):
            if not len(batch.input_ids):  # more workers than rows
                continue
            rng = generator(self.settings.seed, Purpose.DROPOUT, number, worker)
            sums, _ = self.objective.losses(self.model, batch, rng)
            loss = None
            for name, total in sums.items():
                if counts[name]:
                    mean = total * (1 / counts[name])  # of the whole step, not of this shard
                    means[name] += mean.item()
                    loss = mean if loss is None else loss + mean
            if loss is not None and loss.requires_grad:
                loss.backward()
        return means

    def learning_rate(self, step: int) -> float:
        """Compute the learning rate of the update after `step` updates."""
        settings = self.settings
        return self.schedule(step, settings.lr, settings.min_lr, settings.warmup, settings.steps)

    def _check_finite(self, step: int, name: str, value: float) -> None:
        if math.isfinite(value):
            return
        latest = self.run_folder and self.run_folder.checkpoint("latest")
        kept = f"the last good checkpoint is {latest}" if latest else "the weights are unchanged"
        raise NonFiniteLoss(
            f"step {step}: the {name} is {value}: {kept}; try a lower lr (now {self.settings.lr}), "
            "or run trainer.step() under mb.detect_anomaly(), which names the op where it began")

    # ---- evaluation ------------------------------------------------------------------------------

    def evaluate(self) -> dict[str, float]:
        """Compute the objective's metrics over all held-out batches, without dropout; the model's
        mode is put back."""
        counts, losses, metrics = [], [], []
        with evaluating(self.model), no_grad():
            for batch in self.objective.held_out_batches():
                counts.append(self.objective.counts(batch))
                for loss_sums, metric_sums in self._batch_sums(batch):
                    losses.append(loss_sums)
                    metrics.append(metric_sums)
        return self.objective.summary(sum_by_name(losses), sum_by_name(counts),
                                      sum_by_name(metrics))

    def _batch_sums(self, batch) -> list[tuple[dict, dict]]:
        """(loss sums, metric sums) of each worker's shard of a batch, in the order of the rows."""
        found, workers = {}, self.settings.workers

        def work(worker: int) -> None:
            shard = batch if workers == 1 else batch.shard(worker, workers)
            if len(shard.input_ids):  # else there are more workers than rows
                sums, metrics = self.objective.losses(self.model, shard, None)
                found[worker] = {name: total.item() for name, total in sums.items()}, metrics

        parallel_for(work, list(range(workers)))
        return [found[worker] for worker in sorted(found)]

    def evaluation_seconds(self) -> float:
        """Estimate the time of an evaluation from its first batch."""
        batches = iter(self.objective.held_out_batches())
        first, started = next(batches), time.perf_counter()
        with evaluating(self.model), no_grad():
            self._batch_sums(first)
        return (time.perf_counter() - started) * (1 + sum(1 for _ in batches))

    # ---- the loop --------------------------------------------------------------------------------

    def run(self, until: int | None = None) -> bool:
        """Train up to step `until` (the settings' steps), or until patience ends, with evaluations,
        log and checkpoints. With a run folder it is held: no other process can train in it.

        False if Ctrl-C, SIGTERM or SIGHUP came, also in the last step or its evaluation: then the
        step was finished and, with a run folder, all is saved. Errors: NonFiniteLoss; OSError where
        the disk is full; InputError where another process holds the run, or a run that was begun is
        not resumed. `latest` is whole in any case.
        """
        run = self.run_folder
        if run is None:
            return self._loop(until)
        run.hold()
        try:
            if self.steps_saved == -1 and run.checkpoint("latest") is not None:
                raise InputError(f"{run.path} holds a run already: call resume() to go on with it")
            return self._loop(until)
        finally:
            run.release()

    def _loop(self, until: int | None) -> bool:
        until = self.settings.steps if until is None else until
        started, seconds_before = time.perf_counter(), self.seconds
        with InterruptHandler() as interrupt:
            if self.best is None:  # nothing was evaluated yet: this is the beginning
                self._log({"kind": "start", "schema": LOG_SCHEMA, "objective": self.objective.name,
                           "parameters": self.parameter_count(),
                           "settings": asdict(self.settings)})
                self._log_film()
                self._evaluate_and_save()
            self.report.start(self)
            while not (self.steps_done >= until or self.out_of_patience() or interrupt.requested):
                step_started = time.perf_counter()
                record = self.step()
                self.step_seconds += time.perf_counter() - step_started
                self._log(record)
                self._log_film()
                self.report.step(self, record)
                self.seconds = seconds_before + time.perf_counter() - started
                every = self.settings.eval_every
                if self.steps_done == self.settings.steps or every and self.steps_done % every == 0:
                    self._evaluate_and_save()
            if self.steps_saved != self.steps_done:
                self.save()
        self.seconds = seconds_before + time.perf_counter() - started
        return not interrupt.requested

    def out_of_patience(self) -> bool:
        """True if the best evaluation lies `patience` evaluations back."""
        since_best = self.steps_done - self.best["step"]
        return 0 < self.settings.patience * self.settings.eval_every <= since_best

    def _log_film(self) -> None:
        record = None if self.film is None else self.film(self.model, self.steps_done)
        if record is not None:
            self._log(record)

    def _evaluate_and_save(self) -> None:
        """Evaluate, log, save the best and then the latest checkpoint (a run that is killed between
        the two repeats this evaluation when it is resumed), report. Errors: NonFiniteLoss, before
        anything is written."""
        self.held_out = self.evaluate()
        self._check_finite(self.steps_done, "held-out loss", self.held_out["loss"])
        self._log({"kind": "eval", "step": self.steps_done, **self.held_out})
        lines = []
        if self.samples is not None and self.steps_done:
            with evaluating(self.model):
                lines = self.samples(self.model)
            self._log({"kind": "sample", "step": self.steps_done, "lines": lines})
        if self.best is None or self._rank(self.held_out) > self._rank(self.best):
            self.best = {"step": self.steps_done, **self.held_out}
            self.save("best")
        self.save()
        self.report.evaluation(self, self.held_out, lines)

    def _rank(self, metrics: dict) -> tuple[float, float]:
        """Larger for a better evaluation: by the objective's metric and, where that is equal
        (accuracy on few examples), by the loss."""
        chosen = metrics[self.objective.metric_for_best_model]
        return chosen if self.objective.greater_is_better else -chosen, -metrics["loss"]

    # ---- the run folder --------------------------------------------------------------------------

    def _log(self, record: dict) -> None:
        if self.run_folder is not None:
            self.run_folder.log(record)

    def save(self, name: str = "latest") -> None:
        """Write the checkpoint "latest" or "best" of the run, if there is one."""
        if self.run_folder is not None:
            write_checkpoint(self, name)
            if name == "latest":
                self.steps_saved = self.steps_done

    def resume(self) -> None:
        """Go back to the run's latest checkpoint: weights, moments, step, log. The run is held from
        here to the end of `run`. Errors: InputError where another process holds the run, and as
        load_training_state."""
        if self.run_folder is None:
            raise InputError("Trainer.resume: no run folder: make it with Trainer(run=Run(path))")
        self.run_folder.existing_checkpoint("latest")  # before a lock is put there
        self.run_folder.hold()
        try:
            load_training_state(self)
        except BaseException:
            self.run_folder.release()
            raise
        self.steps_saved = self.steps_done

    def parameter_count(self) -> int:
        """Count the numbers to be learned; a tied matrix counts once."""
        return sum([parameter.size for parameter in self.parameters])

    def summary(self) -> dict:
        """The training's part of summary.json."""
        return {"settings": asdict(self.settings), "about": self.about,
                "parameters": self.parameter_count(), "steps": self.steps_done,
                "held_out": self.held_out, "best": self.best, "seconds": round(self.seconds, 2),
                "tokens_per_second": round(self.tokens / self.step_seconds)
                if self.step_seconds else 0}


def sum_by_name(dictionaries: list[dict]) -> dict:
    """Sum the values of each name; lists are joined."""
    totals: dict = {}
    for dictionary in dictionaries:
        for name, value in dictionary.items():
            totals[name] = totals[name] + value if name in totals else value
    return totals
