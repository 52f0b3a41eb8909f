"""Words with tags in columns, as in CoNLL-2003: a word a line, a blank line after each sentence.

The word stands in the first column, its tag in the last; columns are separated by blanks or tabs.
Lines that begin with -DOCSTART- mark documents and are no words. Tags of entities come in two
schemes (Tjong Kim Sang & Veenstra 1999, "Representing text chunks"): in BIO2 each entity begins
with B-; in BIO (IOB1) with I-, and with B- only directly after another entity of its type. Which of
them a file is in is seen from its tags; the examples always are in BIO2. Tags none of which begins
with B- or I- (parts of speech) are taken as they are.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from minibert.errors import InputError
from minibert.finetuning.examples import TagExample
from minibert.finetuning.reading import text_of

DOCUMENT = "-DOCSTART-"
_ENTITY = re.compile(r"[BI]-.+")

Row = tuple[str, str, str | None]  # where it stands, the word, its tag if there is one


def read_tags(path: str | Path, labelled: bool = True) -> list[TagExample]:
    """The sentences of a file. `labelled` False reads words only, whatever else is there.

    Errors: lines that differ in their number of columns, a word without a tag, a tag of another
    scheme, a sequence that is neither BIO nor BIO2.
    """
    sentences = list(_sentences(path, labelled))
    if not sentences:
        raise InputError(f"{path}: there is no sentence; write a word and its tag a line")
    tags = [tuple(tag for _, _, tag in rows) for rows in sentences] if labelled else None
    if labelled and any(_ENTITY.fullmatch(tag) for sentence in tags for tag in sentence):
        tags = _in_bio2(sentences)
    return [TagExample(tuple(word for _, word, _ in rows), tags[i] if labelled else None,
                       rows[0][0])
            for i, rows in enumerate(sentences)]


def _sentences(path: str | Path, labelled: bool) -> Iterator[list[Row]]:
    rows: list[Row] = []
    first: tuple[str, int] | None = None  # where the first word stands, and its number of columns
    for number, line in enumerate(text_of(path).split("\n"), 1):
        where = f"{path}, line {number}"
        # not str.split(): an ideographic or no-break space may be a word
        columns = [column for column in re.split("[ \t]+", line.strip(" \t\r")) if column]
        if not columns or columns[0] == DOCUMENT:
            if rows:
                yield rows
            rows = []
            continue
        first = first or (where, len(columns))
        if len(columns) != first[1]:
            raise InputError(f"{where}: {len(columns)} columns, but {first[0]} has {first[1]}; "
                             "write as many on every line, and a blank line between sentences")
        if labelled and len(columns) < 2:
            raise InputError(f"{where}: the word {columns[0]!r:.60} has no tag; write it behind "
                             "the word, with a blank or a tab between")
        rows.append((where, columns[0], columns[-1] if labelled else None))
    if rows:
        yield rows


def _in_bio2(sentences: list[list[Row]]) -> list[tuple[str, ...]]:
    """The tags of all sentences in BIO2, from BIO2 or from BIO (IOB1)."""
    no_bio2 = no_iob1 = None  # the first tag that shows that the file is not in this scheme
    converted = []
    for rows in sentences:
        inside, tags = None, []  # the type of the entity that the word before is in
        for where, _, tag in rows:
            if tag != "O" and not _ENTITY.fullmatch(tag):
                raise InputError(f"{where}: the tag {tag!r:.60} is neither O nor B-type nor "
                                 "I-type: other schemes (BIOES, BILOU) must be turned into BIO2")
            kind = None if tag == "O" else tag[2:]
            if kind is not None and tag[0] == "I" and kind != inside:
                no_bio2 = no_bio2 or (where, tag)
                tag = f"B-{kind}"
            elif kind is not None and tag[0] == "B" and kind != inside:
                no_iob1 = no_iob1 or (where, tag)
            tags.append(tag)
            inside = kind
        converted.append(tuple(tags))
    if no_bio2 and no_iob1:
        raise InputError(f"{no_bio2[0]}: {no_bio2[1]} begins an entity, which in BIO2 only B- "
                         f"does, and the file is not in BIO either ({no_iob1[0]}: {no_iob1[1]} "
                         f"where BIO writes I-); write B-{no_bio2[1][2:]} here")
    return converted
