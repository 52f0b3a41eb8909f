"""The records of a .tsv, .csv or .jsonl file, the parsing of their values, and their faults.

`where` ("dev.tsv, line 12") begins every message about a record and is stored in the example, for
faults that show only later. The faults of all records of a file are in one error; what is read all
the same is in a warning.
"""

import csv
import io
import json
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from minibert.data.text_files import read_text, split_lines
from minibert.errors import InputError

Record = tuple[str, dict]  # where it was read, and its values by the names of the columns
Fault = tuple[str, str]  # where, and what is wrong with its cure

SUFFIXES = (".tsv", ".csv", ".jsonl")
MAX_FIELD = 2**31 - 1  # characters; Python's csv takes 131,072 by default, less than a novel
MAX_DIGITS = 18  # of a whole number: Python refuses to parse some thousand
MOST_PLACES = 5  # that are listed for one fault
MOST_FAULTS = 5  # in one error


@dataclass(frozen=True)
class Columns:
    """The names of the columns; None: one of the usual names. (The label may be a tag.)"""

    text: str | None = None
    pair: str | None = None
    label: str | None = None

    def are_numbers(self) -> bool:
        """Whether all names that are given are numbers: the file then has no header."""
        given = [name for name in (self.text, self.pair, self.label) if name is not None]
        return bool(given) and all(map(is_whole_number, given))


def read_lines(path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield (where, line) for all lines that are not blank, without their line ends."""
    for number, line in enumerate(split_lines(read_text(path)), 1):
        if line.strip():
            yield f"{path}, line {number}", line


def records(path: str | Path, has_header: bool = True, strict: bool = False) -> list[Record]:
    """Read the records of a file by its ending: .csv (RFC 4180, quoted where needed), .tsv (without
    quotes, as in GLUE's files) or .jsonl (an object a line).

    Without a header the columns are called "1", "2"... Rows of a .tsv file that a line break cut
    into several lines (as in GLUE's QQP) are passed over with a warning, or refused (`strict`).
    Errors: another ending, other lines with more or fewer fields than the first, a broken quote, a
    broken object, no record at all.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: the ending {suffix!r:.60} does not say how to read it: rename "
                         "the file to .tsv (tabs between the columns), .csv (commas) or .jsonl (a "
                         "JSON object a line)")
    if suffix == ".jsonl":
        return read_each(_object, read_lines(path))
    if suffix == ".csv":
        rows = list(_csv_rows(path))
    else:
        rows = [(where, line.split("\t")) for where, line in read_lines(path)]
        broken = _broken_rows([len(row) for _, row in rows])
        places = [where for i, (where, _) in enumerate(rows) if i in broken]
        warn_or_refuse(f"{path}: {len(broken):,} lines are parts of rows that a line break cut: "
                       "they are passed over", places, strict)
        rows = [row for i, row in enumerate(rows) if i not in broken]
    found = _with_names(rows, has_header)
    if not found:
        raise InputError(f"{path}: there is no line after the names of the columns; add examples")
    return found


def _csv_rows(path: str | Path) -> Iterator[tuple[str, list[str]]]:
    """The rows that are not blank. A quoted field may hold line breaks: a row is called by its
    first line."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    csv.field_size_limit(MAX_FIELD)
    first = 1
    try:
        for row in reader:
            if "".join(row).strip():
                yield f"{path}, line {first}", row
            first = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {first}: {error}; a field with a comma, a quote or a line "
                         "break stands in quotes, and a quote in it is doubled") from None


def _broken_rows(widths: Sequence[int]) -> set[int]:
    """The numbers of the lines that are parts of one row: neighbours with fewer fields than the
    first line, which together have as many (a field that was cut counts once in each part)."""
    broken: set[int] = set()
    start, joined = 0, 0  # of the run of short lines that ends here; its number of fields
    for i, width in enumerate(widths):
        start, joined = (i, width) if not joined else (start, joined + width - 1)
        if width >= widths[0]:
            joined = 0
        elif joined > widths[0]:
            start, joined = i, width
        elif joined == widths[0]:
            broken.update(range(start, i + 1))
            joined = 0
    return broken


def _with_names(rows: list[tuple[str, list[str]]], has_header: bool) -> list[Record]:
    """Each row as a dictionary under the names in the first one."""
    where, names = rows[0]
    if has_header:
        rows = rows[1:]
        twice = [name for name, count in Counter(names).items() if name and count > 1]
        if twice:
            raise InputError(f"{where}: two columns are called {twice[0]!r:.60}; rename one")
    else:
        names = [str(number) for number in range(1, len(names) + 1)]
    raise_faults([(here, f": {len(row)} fields, but the first line has {len(names)}; write as "
                         f"many, empty ones included, or take the line out"
                         f"{single_column_hint(names)}")
                  for here, row in rows if len(row) != len(names)])
    return [(here, dict(zip(names, row))) for here, row in rows]


def single_column_hint(names: Sequence[str]) -> str:
    """A hint for a file that seems to have one column: the separator that its first line has."""
    if len(names) != 1:
        return ""
    hint = "there are tabs between those of a .tsv, commas in a .csv"
    for separator, cure in ((";", "semicolons: write commas (.csv) or tabs (.tsv)"),
                            (",", "commas: rename the file to .csv"),
                            ("\t", "tabs: rename the file to .tsv")):
        hint = f"its name has {cure}" if separator in names[0] else hint
    return f"; only one column was found: {hint}"


def json_value(where: str, text: str, expected: str) -> object:
    """Parse a JSON text. Errors: no JSON (`expected` is the cure), a lone surrogate in it."""
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


def _object(where: str, line: str) -> Record:
    value = json_value(where, line, "write one object a line")
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a JSON object, found {type(value).__name__}; write "
                         'such as {"text": "...", "label": "..."}')
    return where, value


def check_text(where: str, name: str, value: object, may_be_empty: bool = False) -> str:
    """Return `value`, a text. Errors: it is missing (None), no text, or blank and may not be."""
    if not isinstance(value, str):
        raise InputError(f"{where}: {name} is {value!r:.60}; expected a text")
    if not value.strip() and not may_be_empty:
        raise InputError(f"{where}: {name} is empty; write a text, or take the example out")
    return value


def parse_whole_number(where: str, name: str, value: object) -> int:
    """Parse a whole number, from JSON or from the text of a column."""
    if isinstance(value, str) and is_whole_number(value.strip()):
        return int(value)
    if type(value) is not int:
        raise InputError(f"{where}: {name} is {value!r:.60}; expected a whole number")
    return value


def is_whole_number(text: str) -> bool:
    """Whether a text is decimal digits alone, not more than MAX_DIGITS."""
    return text.isdecimal() and len(text) <= MAX_DIGITS


def parse_number(where: str, name: str, value: object) -> float:
    """Parse a number that is neither NaN nor infinite, from JSON or from the text of a column."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {name} is {value!r:.60}; expected a finite number: correct it, "
                         "or take the line out")
    return number


# ---- faults ----------------------------------------------------------------------------------


def read_each(read_one: Callable, records: Iterable[tuple[str, object]]) -> list:
    """Call read_one(where, value) for every record (where, value) and return the results.

    Errors: an InputError of read_one, together with those of all other records.
    """
    faults: list[Fault] = []
    examples = read_good(read_one, records, faults)
    raise_faults(faults)
    return examples


def read_good(read_one: Callable, records: Iterable[tuple[str, object]], faults: list[Fault]
              ) -> list:
    """Return read_one(where, value) of every record that it accepts; `faults` gets its InputErrors
    of the others."""
    examples = []
    for where, value in records:
        try:
            examples.append(read_one(where, value))
        except InputError as error:
            faults.append((where, str(error).removeprefix(where)))
    return examples


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raise an InputError that lists (where, text) of all faults, if there are any: each text once,
    with the places that have it, both up to a limit."""
    if not faults:
        return
    places: dict[str, list[str]] = {}
    for where, text in faults:
        places.setdefault(text, []).append(where)
    parts = []
    for text, wheres in list(places.items())[:MOST_FAULTS]:
        here = wheres[0] if not parts else _short([faults[0][0], wheres[0]])[1]
        others = _short(wheres)[1:]
        also = f" (so it is in {listed(others, MOST_PLACES)}, too)" if others else ""
        parts.append(here + text + also)
    untold = sum(map(len, list(places.values())[MOST_FAULTS:]))
    raise InputError("; ".join(parts) + (f"; and {untold:,} more faults" if untold else ""))


def warn_or_refuse(text: str, places: Sequence[str], strict: bool) -> None:
    """Warn of what is wrong in a file and how it is read (`text`), with the first places, if there
    are any. Errors: `strict`, the same as an error."""
    if not places:
        return
    text = f"{text} ({listed(_short(places), MOST_PLACES)})"
    if strict:
        raise InputError(f"{text}: refused because of --strict; correct the file, or leave the "
                         "option out")
    warnings.warn(text, stacklevel=3)


def _short(places: Sequence[str]) -> list[str]:
    """The places without the name of the file, which all of them begin with."""
    common = os.path.commonprefix(places)
    start = common.rfind(", ") + 2 if ", " in common else 0
    return [place[start:] for place in places]


def listed(names: Sequence[str], most: int) -> str:
    """The first `most` names, and the number of the others: "a, b and 3 more"."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
