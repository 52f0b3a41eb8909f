"""A run is a folder. Whatever shows, resumes or uses a run reads these files and nothing else.

    latest/        the model as a Hugging Face folder, its tokenizer, and what resuming needs
    best/          the same, as it was at the best evaluation, without optimizer.safetensors
    log.jsonl      one JSON object a line, in the order of the steps
    summary.json   written once at the end

latest/ holds besides the model (config.json, model.safetensors, the tokenizer's files):
    optimizer.safetensors   exp_avg.NAME, exp_avg_sq.NAME, step.NAME for every parameter that was
                            stepped so far
    state.json              {"schema": "minibert.state.1", "step": updates made, "settings": those
                            of the Trainer, "about": what the run trains on, "best": {"step", and
                            the figures of the best evaluation by the objective's
                            `metric_for_best_model`} or null, "held_out": the figures of
                            the latest evaluation, "log_bytes": length of log.jsonl at this step,
                            "seconds": time spent,
                            "step_seconds": without evaluations, "tokens": tokens read}

All randomness of training is a function of the seed in the settings and the step: there is no state
of a generator to store.

log.jsonl ("schema" stands in the first line) has no clock in it, so that a run that was killed and
resumed leaves the same bytes as one that was not:
    {"kind": "start", "schema": "minibert.log.1", "objective", "parameters", "settings"}
    {"kind": "step", "step", "loss", "lr", "grad_norm", and NAME_loss for each of several parts}
    {"kind": "eval", "step", "loss", and what the objective measures}
    {"kind": "sample", "step", "lines": [...]}

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

A checkpoint is written whole beside its place (NAME.new), then the old one steps aside (NAME.old)
and the new one takes the name by one rename. A process that dies in between leaves a whole
checkpoint under NAME or, for that moment, under NAME.old, and `Run.checkpoint` finds either.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from minibert.atomic_files import read_json, write_json
from minibert.errors import InputError

LOG_SCHEMA = "minibert.log.1"
STATE_SCHEMA = "minibert.state.1"
SUMMARY_SCHEMA = "minibert.summary.1"
BASELINE_SCHEMA = "minibert.baseline.1"

# What a file must say to be used, and of which kind it is.
NUMBER, DICT_OR_NULL = (int, float), (dict, type(None))
STATE_FIELDS = {"step": int, "settings": {"steps": int}, "about": dict, "best": DICT_OR_NULL,
                "held_out": dict, "log_bytes": int, "seconds": NUMBER, "step_seconds": NUMBER,
                "tokens": int}
SUMMARY_FIELDS = {"settings": dict, "about": dict, "parameters": int, "steps": int,
                  "held_out": dict, "best": DICT_OR_NULL, "baselines": dict,
                  "oracle": DICT_OR_NULL, "seconds": NUMBER, "tokens_per_second": NUMBER}
LOG_FIELDS = {"step": {"step": int, "loss": NUMBER}, "eval": {"step": int, "loss": NUMBER}}


class Run:
    """One run's folder. `Run.create(path)` for a new one, `Run(path)` for one that exists."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    @classmethod
    def create(cls, path: str | os.PathLike) -> Run:
        """Make the folder. Errors: it exists and is not empty, or is a file."""
        run = cls(path)
        run.check_free()
        run.path.mkdir(parents=True, exist_ok=True)
        return run

    def check_free(self) -> None:
        """Errors: something is there already."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InputError(f"{self.path} exists already and is not touched: "
                             "give another --out, or --resume to go on with it")

    # ---- checkpoints -----------------------------------------------------------------------------

    def save(self, name: str, write: Callable[[Path], None]) -> None:
        """Let `write(folder)` fill a new folder, then put it in the place of `name`.

        Whatever goes wrong before the end of `write` leaves the old checkpoint as it was.
        """
        place, new, old = (self.path / (name + ending) for ending in ("", ".new", ".old"))
        if place.exists():
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

    def checkpoint(self, name: str) -> Path | None:
        """The folder of `name` ("latest" or "best"), also if a save was cut short."""
        for folder in (self.path / name, self.path / (name + ".old")):
            if folder.is_dir():
                return folder
        return None

    def state(self, name: str = "latest") -> dict:
        """state.json of a checkpoint. Errors: no such checkpoint, a damaged or foreign file."""
        folder = self.checkpoint(name)
        if folder is None:
            raise InputError(f"{self.path}: no checkpoint here: expected a folder {name}/ in it")
        return read_record(folder / "state.json", STATE_SCHEMA, STATE_FIELDS)

    # ---- the log and the summary -----------------------------------------------------------------

    def log(self, record: dict) -> None:
        """Append one line to log.jsonl."""
        with open(self.path / "log.jsonl", "a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def log_bytes(self) -> int:
        """How long log.jsonl is now."""
        path = self.path / "log.jsonl"
        return path.stat().st_size if path.exists() else 0

    def cut_log(self, length: int) -> None:
        """Forget what was logged after a checkpoint: those steps will be made again. Errors: what
        stays is damaged; then nothing is cut."""
        path = self.path / "log.jsonl"
        if self.log_bytes() < length:
            raise InputError(f"{path}: {self.log_bytes()} bytes, fewer than the {length} of the "
                             "last checkpoint: the file was changed from outside")
        if path.exists():
            self.records(length)
            os.truncate(path, length)

    def records(self, length: int | None = None) -> list[dict]:
        """All of log.jsonl (a last line that was cut short by a kill is left out), or what stands
        in its first `length` bytes, which are whole lines. Errors: a line that is damaged, another
        schema."""
        path = self.path / "log.jsonl"
        if not path.exists():
            return []
        lines = path.read_bytes()[:length].split(b"\n")
        if length is None or not lines[-1]:
            lines.pop()  # what stands after the last line break
        records = []
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError("this is no JSON object")
                _check_fields(record, {"kind": str})
                _check_fields(record, LOG_FIELDS.get(record["kind"], {}))
            except ValueError as error:
                raise InputError(f"{path}, line {number}: {error}: the file is damaged") from None
            records.append(record)
        if records and records[0].get("schema") != LOG_SCHEMA:
            found = records[0].get("schema")
            raise InputError(f"{path}: schema {found!r:.60}: expected {LOG_SCHEMA!r}")
        return records

    def write_summary(self, summary: dict) -> None:
        """Write summary.json by one rename."""
        write_json(self.path / "summary.json", {"schema": SUMMARY_SCHEMA, **summary})

    def summary(self) -> dict | None:
        """summary.json, or None for a run that has not ended."""
        path = self.path / "summary.json"
        return read_record(path, SUMMARY_SCHEMA, SUMMARY_FIELDS) if path.exists() else None

    # ---- fine-tuning -----------------------------------------------------------------------------

    def write_baseline(self, guess: object) -> None:
        """Write baseline.json: what counting the training labels gives (`guess` of a task)."""
        write_json(self.path / "baseline.json", {"schema": BASELINE_SCHEMA, "guess": guess})

    def baseline(self) -> object:
        """The guess in baseline.json."""
        return read_record(self.path / "baseline.json", BASELINE_SCHEMA, {"guess": object})["guess"]


@contextmanager
def new_runs(paths: Sequence[Path]) -> Iterator[list[Run]]:
    """The runs at `paths`, in folders that are made here. Whatever goes wrong within takes all of
    it away again, but nothing that somebody else has put there meanwhile. Errors: something is
    there already."""
    runs, around = [], []
    try:
        for path in paths:
            around += [folder for folder in path.parents if not folder.exists()]
            runs.append(Run.create(path))
        yield runs
    except BaseException:
        for run in runs:
            shutil.rmtree(run.path, ignore_errors=True)
        for folder in around:  # the inner ones first
            with suppress(OSError):  # not empty
                folder.rmdir()
        raise


def read_record(path: Path, schema: str, fields: dict) -> dict:
    """A JSON object of the given schema, with `fields` of these types (or, in an object, fields in
    their turn). Errors: a file that is missing or damaged, another schema."""
    record = read_json(path)
    if record.get("schema") != schema:
        raise InputError(f"{path}: schema {record.get('schema')!r:.60}: expected {schema!r}")
    try:
        _check_fields(record, fields)
    except ValueError as error:
        raise InputError(f"{path}: {error}: the file is damaged") from None
    return record


def _check_fields(record: dict, fields: dict) -> None:
    for name, kind in fields.items():
        if name not in record:
            raise ValueError(f"there is no {name} in it")
        if not isinstance(record[name], dict if isinstance(kind, dict) else kind):
            raise ValueError(f"{name} is {record[name]!r:.60}")
        if isinstance(kind, dict):
            _check_fields(record[name], kind)
