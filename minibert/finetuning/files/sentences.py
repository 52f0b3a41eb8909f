"""Sentences and pairs with a class or a number: TSV, CSV and JSONL files.

The columns are found by the names that GLUE's files and others have, or by the names that are
given. A file without a header has numbers for names: --text-column 4 --label-column 2 reads CoLA's.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minibert.errors import InputError
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.files.records import (Record, finite_number, only_one_column, records,
                                               text_in)

TEXTS = ("sentence", "text", "review", "content", "text_a")
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
         ("question", "sentence"), ("#1 String", "#2 String"), ("text", "text_pair"),
         ("question", "passage"), ("text_a", "text_b"))
LABELS = ("label", "gold_label", "Quality", "is_duplicate", "score", "sentiment", "Class Index")

UNDECIDED = ("gold_label", "-")  # SNLI and MNLI, where no three annotators agreed


@dataclass(frozen=True)
class Columns:
    """What the columns are called; None where one of the usual names is to be looked for."""

    text: str | None = None
    pair: str | None = None
    label: str | None = None

    def are_numbers(self) -> bool:
        """Whether the columns are counted: the file then begins with its first example."""
        given = [name for name in (self.text, self.pair, self.label) if name is not None]
        return bool(given) and all(name.isdecimal() for name in given)


def read_sentences(path: str | Path, columns: Columns = Columns(), pairs: bool = False,
                   numbers: bool = False, labelled: bool = True) -> list[SentenceExample]:
    """The examples of a file. `pairs`: two texts each; `numbers`: labels are numbers, to be
    predicted as such; `labelled` False reads texts only, whatever else is there. A warning counts
    what is left out because its annotators did not agree.

    Errors: a column that is not there, an empty text, a label that is missing or no finite number.
    """
    if not labelled:
        columns = replace(columns, label=None)
    found = records(path, has_header=not columns.are_numbers())
    names = list(found[0][1])
    text, pair = _text_columns(path, names, columns, pairs)
    label = _usual_or_given(path, names, columns.label, LABELS, "label") if labelled else None
    if label == UNDECIDED[0]:
        found = _decided(path, found)
    return [SentenceExample(text_in(record, text), text_in(record, pair) if pair else None,
                            _label(record, label, numbers) if labelled else None, record[0])
            for record in found]


def _decided(path: str | Path, found: Sequence[Record]) -> list[Record]:
    """The records about whose label the annotators agreed, as SNLI is used."""
    column, mark = UNDECIDED
    kept = [record for record in found if record[1].get(column) != mark]
    if not kept:
        raise InputError(f"{path}: {column} is {mark!r} on every line: nobody says what is right")
    if len(kept) < len(found):
        warnings.warn(f"{path}: {len(found) - len(kept):,} of {len(found):,} examples are left "
                      f"out, on whose {column} the annotators did not agree ({mark!r})",
                      stacklevel=2)
    return kept


def _text_columns(path: str | Path, names: Sequence[str], columns: Columns, pairs: bool
                  ) -> tuple[str, str | None]:
    """The column of the text, and of the second text where there are pairs."""
    if not pairs:
        return _usual_or_given(path, names, columns.text, TEXTS, "text"), None
    if columns.text is None and columns.pair is None:
        for first, second in PAIRS:
            if first in names and second in names:
                return first, second
    return (_usual_or_given(path, names, columns.text, [first for first, _ in PAIRS], "text"),
            _usual_or_given(path, names, columns.pair, [second for _, second in PAIRS], "pair"))


def _usual_or_given(path: str | Path, names: Sequence[str], given: str | None,
                    usual: Sequence[str], what: str) -> str:
    """The first of the usual names that is there, or the given one if it is."""
    wanted = dict.fromkeys(usual if given is None else [given])
    for name in wanted:
        if name in names:
            return name
    raise InputError(f"{path}: no column is called {' or '.join(map(repr, wanted))}: there are "
                     f"{', '.join(map(repr, names))[:200]}; name the right one with "
                     f"--{what}-column (a number, if the file has no line of names)"
                     f"{only_one_column(names)}")


def _label(record: Record, column: str, numbers: bool) -> str | float:
    where, values = record
    value = values.get(column)
    if value is None or value == "":
        raise InputError(f"{where}: the label ({column!r:.60}) is empty; write one, or take the "
                         "line out")
    if numbers:
        return finite_number(where, f"the label ({column!r:.60})", value)
    if isinstance(value, bool):
        return str(value).lower()  # as it is written in JSON
    if not isinstance(value, (str, int)):
        raise InputError(f"{where}: the label ({column!r:.60}) is {value!r:.60}; expected the name "
                         "of a class (numbers to be predicted need --regression)")
    return str(value)
