"""Faults of a file: those of all its records in one error, and what is read all the same in a
warning. A fault has a place (`where`, "dev.tsv, line 12") and a text, which ends in the cure.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Sequence

from minibert.errors import InputError

Fault = tuple[str, str]  # where, and what is wrong with its cure

MOST_PLACES = 5  # that are listed for one text
MOST_TEXTS = 5  # in one error


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
    """Do the same for the records that are as they should be; add the others' to `faults`."""
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
    for text, wheres in list(places.items())[:MOST_TEXTS]:
        here = wheres[0] if not parts else _short([faults[0][0], wheres[0]])[1]
        others = _short(wheres)[1:]
        also = f" (so it is in {listed(others, MOST_PLACES)}, too)" if others else ""
        parts.append(here + text + also)
    untold = sum(map(len, list(places.values())[MOST_TEXTS:]))
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
