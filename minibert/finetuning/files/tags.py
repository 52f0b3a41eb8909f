"""Words with tags in columns, as in CoNLL-2003: a word a line, a blank line after each sentence.

The word stands in the first column, its tag in the last, unless others are named. Columns are
separated by blanks and tabs; by tabs alone where all lines then have as many, and by blanks not, or
no more (a word may have blanks in it). Lines that begin with -DOCSTART- mark documents, lines that
begin with # and have not as many columns as the others are comments (GermEval, CoNLL-U); both are
no words.

In a .jsonl file, as Hugging Face's data sets write them, every line is a sentence:

    {"tokens": ["She", "left", "Paris"], "ner_tags": ["O", "O", "B-LOC"]}

Tags of entities come in two schemes (Tjong Kim Sang & Veenstra 1999, "Representing text chunks"):
in BIO2 each entity begins with B-; in BIO (IOB1) with I-, and with B- only directly after another
entity of its type. Which of them a file is in is seen from its tags; the examples always are in
BIO2. Tags none of which begins with B- or I- (parts of speech) are taken as they are.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from minibert.errors import InputError
from minibert.finetuning.examples import TagExample
from minibert.finetuning.files.records import records, text_of

DOCUMENT = "-DOCSTART-"
WORDS, TAGS = ("tokens", "words"), ("ner_tags", "tags", "labels")  # usual names in JSON
BLANKS, TABS = re.compile("[ \t]+"), re.compile("\t[ \t]*")  # between two columns
_ENTITY = re.compile(r"[BI]-.+")
# CoNLL-U: two words that are written as one, and a word that is not written at all
_NO_WORD = re.compile(r"\d+[-.]\d+")

Line = tuple[str, list[str]]  # where it stands, and its columns
Row = tuple[str, str, str | None]  # where it stands, the word, its tag if there is one


def read_tags(path: str | Path, labelled: bool = True, word_column: str | None = None,
              tag_column: str | None = None) -> list[TagExample]:
    """The sentences of a file. `labelled` False reads words only, whatever else is there. Columns
    are named by their numbers, from "1"; in a .jsonl file by their names.

    Errors: lines that differ in their number of columns, a column that is not there or only counts
    the words, a word without a tag, a tag of another scheme, a sequence that is neither BIO nor
    BIO2.
    """
    if Path(path).suffix.lower() == ".jsonl":
        sentences = list(_in_json(path, labelled, word_column, tag_column))
    else:
        sentences = _in_columns(path, labelled, word_column, tag_column)
    tags = [tuple(tag for _, _, tag in rows) for rows in sentences] if labelled else None
    if labelled and any(_ENTITY.fullmatch(tag) for sentence in tags for tag in sentence):
        tags = _in_bio2(sentences)
    return [TagExample(tuple(word for _, word, _ in rows), tags[i] if labelled else None,
                       rows[0][0])
            for i, rows in enumerate(sentences)]


def _in_json(path: str | Path, labelled: bool, word_column: str | None, tag_column: str | None
             ) -> Iterator[list[Row]]:
    """The sentences of a file with a JSON object a line."""
    for where, values in records(path):
        words = _texts(where, values, word_column, WORDS, "text")
        tags = [None] * len(words)
        if labelled:
            tags = _texts(where, values, tag_column, TAGS, "label")
        if len(words) != len(tags):
            raise InputError(f"{where}: {len(words)} words, but {len(tags)} tags; write one tag "
                             "for each word")
        yield [(where, word, tag) for word, tag in zip(words, tags)]


def _texts(where: str, values: dict, given: str | None, usual: tuple[str, ...], what: str
           ) -> list[str]:
    """The list of texts under a name: the given one, or the first of the usual ones."""
    name = given or next((name for name in usual if name in values), usual[0])
    texts = values.get(name)
    if not isinstance(texts, list) or not texts:
        raise InputError(f"{where}: there is no list {name!r:.60}; the names are "
                         f"{list(values)!r:.200}: say which with --{what}-column")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{where}: {text!r:.60} in {name!r:.60} is no text; write words, and "
                             "tags by their names (such as B-PER), not by numbers")
    return texts


def _in_columns(path: str | Path, labelled: bool, word_column: str | None,
                tag_column: str | None) -> list[list[Row]]:
    """The sentences of a file with a word a line."""
    lines = _lines(path)
    width = _width(lines)
    if width == 0:
        raise InputError(f"{path}: there is no sentence; write a word and its tag a line")
    word = _place(path, word_column, "text", 0, width)
    tag = _place(path, tag_column, "label", width - 1, width) if labelled else None
    if word_column is None:
        _check_words(lines)
    return list(_sentences(lines, word, tag))


def _lines(path: str | Path) -> list[Line]:
    """Every line that is no comment, all with as many columns; a blank one has none."""
    text = text_of(path)
    numbered = [(f"{path}, line {number}", line) for number, line in enumerate(text.split("\n"), 1)]
    lines = _cut(numbered, BLANKS)
    by_tabs = _cut(numbered, TABS) if "\t" in text else []
    if _width(by_tabs) > 1 and not _ragged(by_tabs):
        loses_words = _ragged(lines) or len(lines) < len(by_tabs)
        if loses_words or _width(lines) == _width(by_tabs):
            lines = by_tabs
    if _ragged(lines):
        (first_where, first), (where, columns) = _ragged(lines)
        raise InputError(f"{where}: {len(columns)} columns, but {first_where} has {len(first)}; "
                         "write as many on every line, and a blank line between sentences")
    return lines


def _cut(numbered: list[tuple[str, str]], joint: re.Pattern) -> list[Line]:
    """The lines in columns; without those that begin with # and have not as many as the first line
    that does not."""
    lines = []
    for where, line in numbered:
        line = line.strip(" \t\r")  # not all blanks: an ideographic or no-break space may be a word
        empty = not line or line.startswith(DOCUMENT)
        lines.append((where, [] if empty else joint.split(line)))
    widths = [len(columns) for _, columns in lines if columns and columns[0][0] != "#"]
    return [(where, columns) for where, columns in lines
            if not widths or not columns or columns[0][0] != "#" or len(columns) == widths[0]]


def _width(lines: list[Line]) -> int:
    return max([len(columns) for _, columns in lines], default=0)


def _ragged(lines: list[Line]) -> tuple[Line, Line] | None:
    """The first word's line, and the first one that has not as many columns, if there is one."""
    words = [line for line in lines if line[1]]
    odd = [line for line in words if len(line[1]) != len(words[0][1])]
    return (words[0], odd[0]) if odd else None


def _place(path: str | Path, given: str | None, what: str, usual: int, width: int) -> int:
    """The place of a column that is given by its number, from 1."""
    if given is None:
        return usual
    if not given.isdecimal() or not 1 <= int(given) <= width:
        raise InputError(f"{path}: --{what}-column is {given!r:.60}; the columns of this file have "
                         f"no names: expected a number from 1 to {width}")
    return int(given) - 1


def _check_words(lines: list[Line]) -> None:
    """The first column must not count the words."""
    begins = True
    for (where, columns), (_, following) in zip(lines, lines[1:]):
        if begins and columns and following:
            if not (columns[0] == "1" and following[0] == "2" and len(columns) > 1):
                return
            raise InputError(f"{where}: the first column counts the words; name the columns of the "
                             "words and the tags, such as --text-column 2 --label-column 3")
        begins = not columns


def _sentences(lines: list[Line], word: int, tag: int | None) -> Iterator[list[Row]]:
    """The words between blank lines, with their tags."""
    rows: list[Row] = []
    for where, columns in [*lines, ("", [])]:
        if not columns:
            if rows:
                yield rows
            rows = []
            continue
        if word > 0 and _NO_WORD.fullmatch(columns[0]):
            continue
        if tag is not None and len(columns) < 2:
            raise InputError(f"{where}: the word {columns[0]!r:.60} has no tag; write it behind "
                             "the word, with a blank or a tab between")
        rows.append((where, columns[word], None if tag is None else columns[tag]))


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
