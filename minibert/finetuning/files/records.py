"""What the readers share: the text of a file, its records, and how a fault in it is told.

A fault names the file, the line and the cure; `where` ("dev.tsv, line 12") is the first half of it
and goes with every example, for faults that show only later.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from minibert.data.corpora import read_text
from minibert.errors import InputError

Record = tuple[str, dict]  # where it was read, and its values by the names of the columns

SUFFIXES = (".tsv", ".csv", ".jsonl")
MOST_LINES = 5  # that a message lists
LONGEST_FIELD = 2**31 - 1  # Python's csv has room for 131,072 characters, less than a novel


def text_of(path: str | Path) -> str:
    """The text of a UTF-8 file, without its byte-order mark. Errors: missing, empty, not text."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; check the path")
    return read_text(path)


def lines_of(path: str | Path) -> Iterator[tuple[str, str]]:
    """(where, line) for all lines that are not blank, without their ends (\\n or \\r\\n)."""
    for number, line in enumerate(text_of(path).split("\n"), 1):
        line = line.removesuffix("\r")
        if line.strip():
            yield f"{path}, line {number}", line


def records(path: str | Path, has_header: bool = True) -> list[Record]:
    """The records of a file, by its ending: .csv (quoted where needed, RFC 4180), .tsv (a quote is
    a character as any other, as in GLUE's files) or .jsonl (an object a line).

    Without a header the columns are called "1", "2"... Errors: another ending, a line with more or
    fewer fields than the first, a broken quote, a broken object, no record at all.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: the ending {suffix!r:.60} does not say how to read it: rename "
                         "the file to .tsv (tabs between the columns), .csv (commas) or .jsonl (a "
                         "JSON object a line)")
    if suffix == ".jsonl":
        found = [(where, _object(where, line)) for where, line in lines_of(path)]
    elif suffix == ".csv":
        found = _with_names(list(_csv_rows(path)), has_header)
    else:
        rows = [(where, line.split("\t")) for where, line in lines_of(path)]
        found = _with_names(rows, has_header)
    if not found:
        raise InputError(f"{path}: there is no line after the names of the columns; add examples")
    return found


def _csv_rows(path: str | Path) -> Iterator[tuple[str, list[str]]]:
    """The rows that are not blank. A quoted field may hold line breaks: a row is called by its
    first line."""
    reader = csv.reader(io.StringIO(text_of(path), newline=""), strict=True)
    csv.field_size_limit(LONGEST_FIELD)
    first = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(f"{path}, line {first}: {error}; a field with a comma, a quote or a "
                             "line break stands in quotes, and a quote in it is doubled") from None
        if row is None:
            return
        if "".join(row).strip():
            yield f"{path}, line {first}", row
        first = reader.line_num + 1


def _with_names(rows: list[tuple[str, list[str]]], has_header: bool) -> list[Record]:
    """Each row as a dictionary under the names in the first one."""
    where, names = rows[0]
    if has_header:
        rows = rows[1:]
        twice = [name for name in names if name and names.count(name) > 1]
        if twice:
            raise InputError(f"{where}: two columns are called {twice[0]!r:.60}; rename one")
    else:
        names = [str(number) for number in range(1, len(names) + 1)]
    ragged = [(here, len(row)) for here, row in rows if len(row) != len(names)]
    if ragged:
        here, fields = ragged[0]
        others = [other.rsplit(" ", 1)[1] for other, _ in ragged[1:]]
        raise InputError(f"{here}: {fields} fields, but the first line has {len(names)}; write as "
                         "many, empty ones included, or take the line out"
                         + (f" (so it is in line {_listed(others)}, too)" if others else "")
                         + only_one_column(names))
    return [(here, dict(zip(names, row))) for here, row in rows]


def _listed(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - MOST_LINES:,} more" if len(lines) > MOST_LINES else ""
    return ", ".join(lines[:MOST_LINES]) + more


def only_one_column(names: Sequence[str]) -> str:
    """A hint where a file seems to have one column: what stands between the columns?"""
    if len(names) > 1:
        return ""
    return "; only one column was found: there are tabs between those of a .tsv, commas in a .csv"


def json_value(where: str, text: str, expected: str) -> object:
    """What a JSON text says. Errors: no JSON (`expected` is the cure), half a character in it."""
    try:
        value = json.loads(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: a text has half a character in it (a lone surrogate, "
                         f"{error.object[error.start]!a}); write it whole") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: this is no JSON ({error}); {expected}") from None
    return value


def _object(where: str, line: str) -> dict:
    value = json_value(where, line, "write one object a line")
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a JSON object, found {type(value).__name__}; write "
                         'such as {"text": "...", "label": "..."}')
    return value


def text_in(record: Record, column: str) -> str:
    """The text in a column. Errors: it is missing, blank, or no text."""
    where, values = record
    return checked_text(where, f"{column!r:.60}", values.get(column))


def checked_text(where: str, name: str, value: object) -> str:
    """A text that is not blank."""
    if not isinstance(value, str):
        raise InputError(f"{where}: {name} is {value!r:.60}; expected a text")
    if not value.strip():
        raise InputError(f"{where}: {name} is empty; write a text, or take the example out")
    return value


def whole_number(where: str, name: str, value: object) -> int:
    """A whole number, from JSON or from the text of a column."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if type(value) is not int:
        raise InputError(f"{where}: {name} is {value!r:.60}; expected a whole number")
    return value


def finite_number(where: str, name: str, value: object) -> float:
    """A number that is neither NaN nor infinite, from JSON or from the text of a column."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {name} is {value!r:.60}; expected a finite number: correct it, "
                         "or take the line out")
    return number
