"""Run: a folder. All that shows, resumes or uses a run reads these files and nothing else.

    latest/        the model as a Hugging Face folder, its tokenizer, and what resuming needs
    best/          the same, as it was at the best evaluation, without optimizer.safetensors
    log.jsonl      one JSON object a line, in the order of the steps
    summary.json   written once at the end

latest/ holds besides the model (config.json, model.safetensors, the tokenizer's files):
    optimizer.safetensors   for every parameter that was stepped so far its moments and the number
                            of its steps: MOMENT.NAME (exp_avg, exp_avg_sq; of Muon's
                            matrices momentum_buffer), step.NAME
    state.json              {"schema": "minibert.state.1", "step": updates made, "settings": those
                            of the Trainer, "about": what the run trains on, "best": {"step", and
                            the metrics of the best evaluation by the objective's
                            `metric_for_best_model`} or null, "held_out": the metrics of the latest
                            evaluation, "log_bytes": length of log.jsonl at this step, "seconds":
                            time spent, "step_seconds": without evaluations, "tokens": tokens read}

All randomness of training is a function of seed and step: no generator's state is stored.

log.jsonl ("schema" stands in the first line) has no clock in it, so that a run that was killed and
resumed leaves the same bytes as one that was not:
    {"kind": "start", "schema": "minibert.log.1", "objective", "parameters", "settings"}
    {"kind": "step", "step", "loss", "lr", "grad_norm", and NAME_loss for each of several parts}
    {"kind": "eval", "step", "loss", and what the objective measures}
    {"kind": "sample", "step", "lines": [...]}
    {"kind": "film", ...}: see look/film.py

summary.json: {"schema": "minibert.summary.1", "settings", "about", "parameters", "steps",
"held_out": {"loss", "mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy", "bits_per_character"}
as far as the objective has them, "best": as in state.json, "baselines", "oracle" (null but on the
toy world), "seconds", "tokens_per_second"}.

A run of fine-tuning has "task" (classify, pair, choice, tag or answer) in "about", with "labels",
the names of its classes, and all that reading a file needs; "held_out" and "best" hold "loss" and
the figures of the task on the dev file ("accuracy", "macro_f1", "matthews"; "pearson", "spearman",
"mean_squared_error"; "f1", "precision", "recall"; "exact_match", "f1"), and so does "baselines".
Its summary has besides, both for the best checkpoint:
    "per_class"       by class, type of entity or kind of question: {"precision", "recall", "f1",
                      "support"}, or {"exact_match", "f1", "support"}
    "confusion"       where there are classes: [[how often an example of the class of the row was
                      taken for that of the column]], in the order of per_class
    "best_null_threshold"  where questions may have no answer: {"threshold", "f1" with it}
and in its folder stands one file more:
    baseline.json     {"schema": "minibert.baseline.1", "guess": what counting the training labels
                      says: the commonest class, or place; the mean; {"other": the commonest tag,
                      "words": those of words that have another}; "no answer" or "first sentence"}

A checkpoint is written whole as NAME.new, then the old one is renamed to NAME.old and the new one
to NAME. A process that dies in between leaves a whole checkpoint under NAME or, for that moment,
under NAME.old; `Run.checkpoint` finds either. Besides:
    .lock       while a training holds the run: see file_locks.py
    .beginning  until the first checkpoints of a command are whole: files beside it were left by a
                start that was killed, and a new start removes them
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from minibert.atomic_files import read_bytes, remove_side_files, write_json
from minibert.errors import InputError
from minibert.file_locks import LOCK_FILE, lock_folder, unlock_folder
from minibert.training.run_records import (BASELINE_SCHEMA, STATE_FIELDS, STATE_SCHEMA,
                                           SUMMARY_FIELDS, SUMMARY_SCHEMA, read_log, read_record)

BEGINNING = ".beginning"
# Left by a killed beginning, beside side files.
_LEFTOVERS = {BEGINNING, LOCK_FILE, "baseline.json", "latest", "latest.new"}


class Run:
    """One run's folder. `Run.create(path)` for a new one, `Run(path)` for one that exists."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.log_path = self.path / "log.jsonl"

    @classmethod
    def create(cls, path: str | os.PathLike) -> Run:
        """Make the folder. Errors: it exists and is not empty, or is a file."""
        run = cls(path)
        run.check_free()
        run.path.mkdir(parents=True, exist_ok=True)
        return run

    def check_free(self, parts: Sequence[str] = ()) -> None:
        """Check that nothing is here; leftovers of a killed beginning do not count, here or in the
        runs named `parts`. Errors: something is here already."""
        if not self.path.exists() or self._holds_nothing() or self.path.is_dir() and all(
                entry.name in parts and Run(entry)._holds_nothing()
                for entry in self.path.iterdir()):
            return
        raise InputError(f"{self.path} exists already and is not touched: "
                         "give another --out, or --resume to go on with it")

    def _holds_nothing(self) -> bool:
        if not self.path.is_dir():
            return False
        names = set(os.listdir(self.path))
        return names <= {BEGINNING, LOCK_FILE} or BEGINNING in names and all(
            name in _LEFTOVERS or name.startswith(".") and name.endswith(".tmp") for name in names)

    # ---- one training at a time ------------------------------------------------------------------

    def hold(self) -> None:
        """Lock the run for this process, until `release` or its end, and put right what a killed
        process left. Errors: another process holds it."""
        lock_folder(self.path)
        self.begun()
        remove_side_files(self.path)
        for name in ("latest", "best"):
            place, new, old = self._places(name)
            if place.exists():
                shutil.rmtree(old, ignore_errors=True)
            elif old.exists():
                os.rename(old, place)
            shutil.rmtree(new, ignore_errors=True)

    def release(self) -> None:
        """Unlock the run."""
        unlock_folder(self.path)

    def begin(self) -> None:
        """Make the folder, hold it and mark it as a beginning. Errors: something is here already,
        another process holds it."""
        Run.create(self.path)
        lock_folder(self.path)
        try:
            self.check_free()  # again: another process may have been faster
            (self.path / BEGINNING).touch()
            for entry in self.path.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name not in (BEGINNING, LOCK_FILE):
                    entry.unlink()
        except BaseException:
            self.release()
            raise

    def begun(self) -> None:
        """Remove the mark of `begin`: the first checkpoint is whole."""
        (self.path / BEGINNING).unlink(missing_ok=True)

    # ---- checkpoints -----------------------------------------------------------------------------

    def save(self, name: str, write: Callable[[Path], None]) -> None:
        """Fill a new folder by `write(folder)`, then put it in the place of `name`. An exception in
        `write` leaves the old checkpoint unchanged."""
        place, new, old = self._places(name)
        if place.exists():  # else the one set aside is the only whole one
            shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(new, ignore_errors=True)
        try:
            new.mkdir()
            write(new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        if place.exists():
            os.rename(place, old)
        os.rename(new, place)
        shutil.rmtree(old, ignore_errors=True)

    def _places(self, name: str) -> tuple[Path, Path, Path]:
        """A checkpoint's folder, the one in which it is written, the one of the old checkpoint."""
        return self.path / name, self.path / f"{name}.new", self.path / f"{name}.old"

    def checkpoint(self, name: str) -> Path | None:
        """The folder of `name` ("latest" or "best"), also if a save was cut short."""
        for folder in (self.path / name, self.path / f"{name}.old"):
            if folder.is_dir():
                return folder
        return None

    def existing_checkpoint(self, name: str) -> Path:
        """As `checkpoint`. Errors: there is none."""
        folder = self.checkpoint(name)
        if folder is None:
            raise InputError(f"{self.path}: no checkpoint here: expected a folder {name}/ in it")
        return folder

    def state(self, name: str = "latest") -> dict:
        """Read state.json of a checkpoint. Errors: no checkpoint, a damaged or foreign file."""
        folder = self.existing_checkpoint(name)
        return read_record(folder / "state.json", STATE_SCHEMA, STATE_FIELDS)

    # ---- the log and the summary -----------------------------------------------------------------

    def log(self, record: dict) -> None:
        """Append one line to log.jsonl. Errors: OSError with the file's name (a full disk)."""
        try:
            with open(self.log_path, "a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        except OSError as error:
            error.filename = str(self.log_path)
            raise

    def log_bytes(self) -> int:
        """Measure log.jsonl as it is now."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def cut_log(self, length: int) -> None:
        """Cut off what was logged after a checkpoint: those steps will be made again. Errors: the
        file is shorter than that."""
        if self.log_bytes() < length:
            raise InputError(f"{self.log_path}: {self.log_bytes()} bytes, fewer than the {length} "
                             "of the last checkpoint: the file was changed from outside")
        if self.log_path.exists():
            os.truncate(self.log_path, length)

    def records(self, length: int | None = None) -> list[dict]:
        """Read log.jsonl (without a last line that a kill cut short), or its first `length` bytes,
        which are whole lines. Errors: a line that is damaged, another schema."""
        return read_log(self.log_path, length) if self.log_path.exists() else []

    def logged_steps(self, length: int) -> tuple[list[int], list[int]]:
        """List the steps in the first `length` bytes of log.jsonl, and those behind them, where a
        kill may have left anything. Errors: as `records(length)`."""
        before = [record["step"] for record in self.records(length) if record["kind"] == "step"]
        behind = read_bytes(self.log_path)[length:] if self.log_path.exists() else b""
        return before, list(map(int, re.findall(rb'"kind": "step", "step": (\d{1,18}),', behind)))

    def write_summary(self, summary: dict) -> None:
        """Write summary.json by one rename."""
        write_json(self.path / "summary.json", {"schema": SUMMARY_SCHEMA, **summary})

    def summary(self) -> dict | None:
        """Read summary.json; None: the run has not ended. Errors: a damaged or foreign file."""
        path = self.path / "summary.json"
        return read_record(path, SUMMARY_SCHEMA, SUMMARY_FIELDS) if path.exists() else None

    # ---- fine-tuning -----------------------------------------------------------------------------

    def write_baseline(self, guess: object) -> None:
        """Write baseline.json: what counting the training labels gives (`guess` of a task)."""
        write_json(self.path / "baseline.json", {"schema": BASELINE_SCHEMA, "guess": guess})

    def baseline(self) -> object:
        """Read the guess in baseline.json. Errors: a damaged or foreign file."""
        return read_record(self.path / "baseline.json", BASELINE_SCHEMA, {"guess": object})["guess"]


@contextmanager
def new_runs(paths: Sequence[Path]) -> Iterator[list[Run]]:
    """Begin the runs at `paths`, in folders that are made here and held from here on (Trainer.run
    releases its own). An exception within removes all of it, but nothing that another process has
    put there meanwhile. Errors: something is there already."""
    runs, around = [], []
    try:
        for path in paths:
            around += [folder for folder in path.parents if not folder.exists()]
            run = Run(path)
            run.begin()
            runs.append(run)
        yield runs
        for run in runs:
            run.begun()
    except BaseException:
        for run in runs:
            shutil.rmtree(run.path, ignore_errors=True)
            run.release()
        for folder in around:  # the inner ones first
            with suppress(OSError):  # not empty
                folder.rmdir()
        raise
