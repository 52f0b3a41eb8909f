"""The schemas of a run's files, and their strict reading. run_folder.py describes the files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from minibert.atomic_files import parse_json, read_bytes, read_json
from minibert.errors import InputError
from minibert.validate import number, shown_value, whole_number

LOG_SCHEMA = "minibert.log.1"
STATE_SCHEMA = "minibert.state.1"
SUMMARY_SCHEMA = "minibert.summary.1"
BASELINE_SCHEMA = "minibert.baseline.1"

LARGEST_LOSS = 1e100  # differences and sums of losses stay finite


def read_record(path: Path, schema: str, fields: dict) -> dict:
    """Read the JSON object in a file with {"schema": `schema`}. `fields` maps each name to a type,
    to a function (name, value) that raises InputError, or to the fields of an object. Errors:
    InputError, a file that is missing or damaged, another schema."""
    record = read_json(path)
    _check_schema(str(path), record, schema)
    _check_record(str(path), record, fields)
    return record


def read_log(path: Path, length: int | None) -> list[dict]:
    """Read the records of log.jsonl in its first `length` bytes, which must be whole lines; None:
    in all whole lines (a kill may have cut the last one). Errors: InputError, a damaged line,
    another schema."""
    lines = read_bytes(path)[:length].split(b"\n")
    if length is None or not lines[-1]:
        lines.pop()  # after the last line break
    records = []
    for line_number, line in enumerate(lines, 1):
        where = f"{path}, line {line_number}"
        record = parse_json(line, where)
        _check_record(where, record, {"kind": str})
        _check_record(where, record, LOG_FIELDS.get(record["kind"], {}))
        records.append(record)
    if records:
        _check_schema(str(path), records[0], LOG_SCHEMA)
    return records


def _check_schema(where: str, record: dict, schema: str) -> None:
    if record.get("schema") != schema:
        raise InputError(f"{where}: schema {shown_value(record.get('schema'))}: expected "
                         f"{schema!r}")


def _check_record(where: str, record: dict, fields: dict) -> None:
    try:
        _check_fields(record, fields)
    except InputError as error:
        raise InputError(f"{where}: {error}: the file is damaged") from None


def _check_fields(record: dict, fields: dict) -> None:
    for name, kind in fields.items():
        if name not in record:
            raise InputError(f"there is no {name} in it")
        value = record[name]
        if isinstance(kind, dict):
            _check_type(name, value, dict)
            _check_fields(value, kind)
        elif isinstance(kind, type):
            _check_type(name, value, kind)
        else:
            kind(name, value)


def _check_type(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise InputError(f"{name} = {shown_value(value)}: expected {JSON_NAMES[kind]}")


JSON_NAMES = {dict: "an object", str: "a text", list: "a list", object: "a value"}


check_count = partial(whole_number, at_most=2 ** 53)  # what JSON's readers agree on
check_loss = partial(number, at_least=-LARGEST_LOSS, at_most=LARGEST_LOSS)
check_seconds = partial(number, at_least=0, at_most=LARGEST_LOSS)


def check_metrics(name: str, value: object, optional: bool = False) -> None:
    """Check {name of a metric: number or null}, or null if it is `optional`. Errors: InputError,
    anything else."""
    if optional and value is None:
        return
    _check_type(name, value, dict)
    for metric, figure in value.items():
        if figure != figure:  # an undefined correlation is NaN
            continue
        if figure is not None:
            check_loss(f"{name}: {shown_value(metric)}", figure)


def check_best(name: str, value: object) -> None:
    """Check null, or {"step", "loss", and other metrics}. Errors: InputError, anything else."""
    if value is not None:
        check_metrics(name, value)
        _check_fields(value, {"step": check_count, "loss": check_loss})


def check_texts(name: str, value: object) -> None:
    """Check a list of texts. Errors: InputError, anything else."""
    _check_type(name, value, list)
    for text in value:
        _check_type(f"a part of {name}", text, str)


STATE_FIELDS = {"step": check_count, "settings": {"steps": check_count}, "about": dict,
                "best": check_best, "held_out": check_metrics, "log_bytes": check_count,
                "seconds": check_seconds, "step_seconds": check_seconds, "tokens": check_count}
SUMMARY_FIELDS = {"settings": dict, "about": dict, "parameters": check_count,
                  "steps": check_count, "held_out": check_metrics, "best": check_best,
                  "baselines": check_metrics, "oracle": partial(check_metrics, optional=True),
                  "seconds": check_seconds, "tokens_per_second": check_seconds}
LOG_FIELDS = {"step": {"step": check_count, "loss": check_loss},
              "eval": {"step": check_count, "loss": check_loss},
              "sample": {"step": check_count, "lines": check_texts},
              "film": {"step": check_count, "tokens": check_texts, "words": check_texts,
                       "attention": dict, "vectors": dict}}
