"""Sentences and pairs with a class or a number: TSV, CSV and JSONL files.

The columns are found by the names that GLUE's files and others have, or by the names that are
given. A file without a header has numbers for names: --text-column 4 --label-column 2 reads CoLA's.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from minibert.atomic_files import write_text
from minibert.errors import InputError
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.files.records import (Columns, Record, check_text, parse_number, read_each,
                                               records, single_column_hint, warn_or_refuse)

TEXTS = ("sentence", "text", "review", "content", "text_a")
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
         ("question", "sentence"), ("#1 String", "#2 String"), ("text", "text_pair"),
         ("question", "passage"), ("text_a", "text_b"))
LABELS = ("label", "gold_label", "Quality", "is_duplicate", "score", "sentiment", "Class Index")

UNDECIDED = ("gold_label", "-")  # SNLI and MNLI, where no three annotators agreed


def read_sentences(path: str | Path, columns: Columns = Columns(), pairs: bool = False,
                   numbers: bool = False, labelled: bool = True, strict: bool = False
                   ) -> list[SentenceExample]:
    """Read the examples of a file. `pairs`: two texts each; `numbers`: labels are numbers, for
    regression; `labelled` False: texts only, whatever the file has besides.

    Warnings count rows that a line break cut, examples without a decided label (both are passed
    over) and pairs of which one text is empty (QQP has some: read as they are); `strict` refuses
    them. Errors: a column that is not there, an empty text, a label that is missing or no finite
    number.
    """
    if not labelled:
        columns = replace(columns, label=None)
    found = records(path, not columns.are_numbers(), strict)
    names = list(found[0][1])
    text, pair = _text_columns(path, names, columns, pairs)
    label = _usual_or_given(path, names, columns.label, LABELS, "label") if labelled else None
    if label == UNDECIDED[0]:
        found = _decided(path, found, strict)
    examples = read_each(partial(_example, text=text, pair=pair, label=label, numbers=numbers),
                         found)
    halves = [example.where for example in examples
              if pair is not None and not (example.text.strip() and example.text_pair.strip())]
    warn_or_refuse(f"{path}: of {len(halves):,} of {len(examples):,} pairs one text is empty: they "
                   "are read as they are", halves, strict)
    return examples


def _example(where: str, values: dict, text: str, pair: str | None, label: str | None,
             numbers: bool) -> SentenceExample:
    first = check_text(where, f"{text!r:.60}", values.get(text), may_be_empty=pair is not None)
    second = None if pair is None else check_text(
        where, f"{pair!r:.60}", values.get(pair), may_be_empty=bool(first.strip()))
    return SentenceExample(first, second, None if label is None else _label(
        where, f"the label ({label!r:.60})", values.get(label), numbers), where)


def _decided(path: str | Path, found: Sequence[Record], strict: bool) -> list[Record]:
    """The records with a label on which the annotators agreed, as SNLI is used."""
    column, mark = UNDECIDED
    undecided = [where for where, values in found if values.get(column) == mark]
    if len(undecided) == len(found):
        raise InputError(f"{path}: {column} is {mark!r} on every line: there is no label")
    warn_or_refuse(f"{path}: {len(undecided):,} of {len(found):,} examples are left out, on whose "
                   f"{column} the annotators did not agree ({mark!r})", undecided, strict)
    return [record for record in found if record[1].get(column) != mark]


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
                     f"{single_column_hint(names)}")


def _label(where: str, name: str, value: object, numbers: bool) -> str | float:
    if value is None or value == "":
        raise InputError(f"{where}: {name} is empty; write one, or take the line out")
    if numbers:
        return parse_number(where, name, value)
    if isinstance(value, bool):
        return str(value).lower()  # as it is written in JSON
    if not isinstance(value, (str, int)):
        raise InputError(f"{where}: {name} is {value!r:.60}; expected the name of a class (numbers "
                         "to be predicted need --regression)")
    return str(value)


def write_sentences(path: str | Path, examples: Sequence[SentenceExample]) -> None:
    """Write a .tsv file with the columns text (and text_pair) and label. Errors: a tab or a line
    break in a text."""
    are_pairs = any(example.text_pair is not None for example in examples)
    rows = [("text", *(("text_pair",) if are_pairs else ()), "label")]
    for example in examples:
        pair = (example.text_pair or "",) if are_pairs else ()
        rows.append((example.text, *pair, "" if example.label is None else str(example.label)))
    for number, row in enumerate(rows, 1):
        if any(set(field) & {"\t", "\n", "\r"} for field in row):
            raise InputError(f"{path}, line {number}: a text has a tab or a line break in it, and "
                             "a .tsv file cannot hold that; take it out")
    write_text(path, "".join(["\t".join(row) + "\n" for row in rows]))
