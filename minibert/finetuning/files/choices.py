"""Multiple choice: SWAG's CSV files, and JSONL (Zellers et al. 2018, "SWAG").

SWAG's columns are sent1 (the context), sent2 (the first words of every ending), ending0 to ending3
and label. In JSONL the endings may also be a list; context and start are our names for the others,
ctx_a and ctx_b those of HellaSwag (Zellers et al. 2019).
"""

import csv
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from minibert.atomic_files import write_text
from minibert.errors import InputError
from minibert.finetuning.examples import ChoiceExample
from minibert.finetuning.files.records import (check_text, parse_whole_number, raise_faults,
                                               read_each, records)

CONTEXTS = ("context", "sent1", "ctx_a")
STARTS = ("start", "sent2", "ctx_b")


def read_choices(path: str | Path, labelled: bool = True, strict: bool = False
                 ) -> list[ChoiceExample]:
    """Read the examples of a .csv, .tsv or .jsonl file, all with as many endings as the first one.
    `labelled` False: texts only, whatever the file has besides; `strict`: see records.

    Errors: a column that is not there, an empty context or ending, choices that differ in number, a
    label that is none of them.
    """
    examples = read_each(partial(_example, labelled=labelled), records(path, strict=strict))
    first = examples[0]
    raise_faults([(example.where, f": {len(example.endings)} endings, but {first.where} has "
                                  f"{len(first.endings)}; give every example as many")
                  for example in examples if len(example.endings) != len(first.endings)])
    return examples


def _example(where: str, values: dict, labelled: bool) -> ChoiceExample:
    context = next((name for name in CONTEXTS if name in values), None)
    if context is None:
        raise InputError(f"{where}: neither {' nor '.join(CONTEXTS[:2])} is there: there are "
                         f"{', '.join(values)[:200]}; call the text before the endings so")
    start = next((values[name] for name in STARTS if name in values), "")
    if not isinstance(start, str):
        raise InputError(f"{where}: the start of the endings is {start!r:.60}; expected a text")
    endings = _endings(where, values)
    text = check_text(where, repr(context), values[context])
    label = _label(where, values.get("label"), len(endings)) if labelled else None
    return ChoiceExample(text, start, endings, label, where)


def _label(where: str, value: object, endings: int) -> int:
    if value is None or value == "":
        raise InputError(f"{where}: the label is empty; write the number of the right ending, or "
                         "take the line out")
    label = parse_whole_number(where, "the label", value)
    if not 0 <= label < endings:
        raise InputError(f"{where}: the label is {label}; expected the number of an ending, 0 to "
                         f"{endings - 1}")
    return label


def _endings(where: str, values: dict) -> tuple[str, ...]:
    """The list `endings`, or ending0, ending1... as far as they go."""
    if "endings" in values:
        listed = values["endings"]
        if not isinstance(listed, list):
            raise InputError(f"{where}: endings is {listed!r:.60}; expected a list of texts")
        values = {f"ending{number}": ending for number, ending in enumerate(listed)}
    names = []
    while f"ending{len(names)}" in values:
        names.append(f"ending{len(names)}")
    if len(names) < 2:
        full = "gold-ending" in values
        raise InputError(f"{where}: {len(names)} endings; expected two or more, as ending0, "
                         'ending1... or, in JSONL, as a list "endings"'
                         + ("; of SWAG take train.csv, not train_full.csv" if full else ""))
    return tuple(check_text(where, repr(name), values[name]) for name in names)


def write_choices(path: str | Path, examples: Sequence[ChoiceExample]) -> None:
    """Write a .csv file with SWAG's columns: sent1, sent2, ending0, ending1... and label."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    endings = [f"ending{k}" for k in range(len(examples[0].endings))]
    writer.writerow(["sent1", "sent2", *endings, "label"])
    for example in examples:
        label = "" if example.label is None else example.label
        writer.writerow([example.context, example.start, *example.endings, label])
    write_text(path, text.getvalue())
