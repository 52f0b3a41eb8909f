"""Words with tags in columns, as in CoNLL-2003: a word a line, a blank line after each sentence.

The word stands in the first column, its tag in the last, unless others are named. Columns are
separated by blanks and tabs; by tabs alone where all lines then have as many, and by blanks not, or
no more (a word may have blanks in it). Lines that begin with -DOCSTART- mark documents, lines that
begin with # and have not as many columns as the others are comments (GermEval, CoNLL-U); neither
is a word.

In a .jsonl file, as Hugging Face's data sets write them, every line is a sentence:

    {"tokens": ["She", "left", "Paris"], "ner_tags": ["O", "O", "B-LOC"]}

Tags of entities come in two schemes (Tjong Kim Sang & Veenstra 1999, "Representing text chunks"):
in BIO2 each entity begins with B-; in BIO (IOB1) with I-, and with B- only directly after another
entity of its type. The examples always are in BIO2: an I- that continues no entity of its type
begins one, as in IOB1, in conlleval and in seqeval; in a file that has B- where IOB1 writes I-, a
warning counts them. B, I and O alone, without types, are entities of one kind. Other tags (parts of
speech) are taken as they are.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from minibert.atomic_files import write_text
from minibert.data.text_files import read_text, split_lines
from minibert.errors import InputError
from minibert.finetuning.entity_metrics import entity_type, has_entity_tags, is_entity_tag
from minibert.finetuning.examples import TagExample
from minibert.finetuning.files.records import (Columns, is_whole_number, raise_faults, read_each,
                                               records, warn_or_refuse)

DOCUMENT = "-DOCSTART-"
WORDS, TAGS = ("tokens", "words"), ("ner_tags", "tags", "labels")  # usual names in JSON
BLANKS, TABS = re.compile("[ \t]+"), re.compile("\t[ \t]*")  # between two columns
# CoNLL-U: two words that are written as one, and a word that is not written at all
_NO_WORD = re.compile(r"\d+[-.]\d+")

Line = tuple[str, list[str]]  # where it stands, and its columns: none in a blank line
Row = tuple[str, str, str | None]  # where it stands, the word, its tag if there is one


def read_tags(path: str | Path, columns: Columns = Columns(), labelled: bool = True,
              strict: bool = False) -> list[TagExample]:
    """Read the sentences of a file. `labelled` False: words only, whatever the file has besides.
    `columns`, text and label, are called by their numbers, from "1"; in a .jsonl file by names.

    Warnings count sentences without words (passed over) and, in BIO2, I- tags that begin an entity;
    `strict` refuses them. Errors: lines that differ in their number of columns, a column that does
    not exist or only counts the words, a word without a tag, a tag of another scheme, no sentence.
    """
    if Path(path).suffix.lower() == ".jsonl":
        sentences = _in_json(path, columns, labelled, strict)
    else:
        sentences = _in_columns(path, columns, labelled)
    if not sentences:
        raise InputError(f"{path}: there is no sentence; write a word and its tag a line")
    if labelled and has_entity_tags({tag for rows in sentences for _, _, tag in rows}):
        _turn_into_bio2(path, sentences, strict)
    return [TagExample(tuple(word for _, word, _ in rows),
                       tuple(tag for _, _, tag in rows) if labelled else None, rows[0][0])
            for rows in sentences]


def _in_json(path: str | Path, columns: Columns, labelled: bool, strict: bool) -> list[list[Row]]:
    """The sentences of a file with a JSON object a line."""
    found = read_each(partial(_sentence_in_json, columns=columns, labelled=labelled), records(path))
    empty = [where for where, rows in found if not rows]
    warn_or_refuse(f"{path}: {len(empty):,} of {len(found):,} sentences have no words and are "
                   "passed over", empty, strict)
    return [rows for _, rows in found if rows]


def _sentence_in_json(where: str, values: dict, columns: Columns, labelled: bool
                      ) -> tuple[str, list[Row]]:
    words = _texts(where, values, columns.text, WORDS, "text")
    tags = _texts(where, values, columns.label, TAGS, "label") if labelled else [None] * len(words)
    if len(words) != len(tags):
        raise InputError(f"{where}: {len(words)} words, but {len(tags)} tags; write one tag for "
                         "each word")
    return where, [(where, word, tag) for word, tag in zip(words, tags)]


def _texts(where: str, values: dict, given: str | None, usual: tuple[str, ...], what: str
           ) -> list[str]:
    """The list of texts under a name: the given one, or the first of the usual ones."""
    name = given or next((name for name in usual if name in values), usual[0])
    texts = values.get(name)
    if not isinstance(texts, list):
        raise InputError(f"{where}: there is no list {name!r:.60}; the names are "
                         f"{list(values)!r:.200}: say which with --{what}-column")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{where}: {text!r:.60} in {name!r:.60} is no text; write words, and "
                             "tags by their names (such as B-PER), not by numbers")
    return texts


def _in_columns(path: str | Path, given: Columns, labelled: bool) -> list[list[Row]]:
    """The sentences of a file with a word a line."""
    lines = _lines(path)
    words = [line for line in lines if line[1]]
    if not words:
        return []
    width = len(words[0][1])
    word = _place(path, given.text, "text", 0, width)
    tag = _place(path, given.label, "label", width - 1, width) if labelled else None
    if labelled and width == 1:
        raise InputError(f"{words[0][0]}: the word {words[0][1][0]!r:.60} has no tag; write it "
                         "behind the word, with a blank or a tab between")
    sentences: list[list[Row]] = [[]]
    for where, columns in lines:
        if not columns:
            sentences.append([])
        elif word == 0 or not _NO_WORD.fullmatch(columns[0]):
            sentences[-1].append((where, columns[word], None if tag is None else columns[tag]))
    several = next((rows for rows in sentences if len(rows) > 1), [])  # the first such sentence
    if given.text is None and width > 1 and [word for _, word, _ in several[:2]] == ["1", "2"]:
        raise InputError(f"{several[0][0]}: the first column counts the words; name the columns of "
                         "the words and the tags, such as --text-column 2 --label-column 3")
    return [rows for rows in sentences if rows]


def _lines(path: str | Path) -> list[Line]:
    """Every line that is no comment, all with as many columns; a blank one has none."""
    numbered = [(f"{path}, line {number}", line)
                for number, line in enumerate(split_lines(read_text(path)), 1)]
    lines, by_tabs = _cut(numbered, BLANKS), _cut(numbered, TABS)
    widths, widths_by_tabs = ({len(columns) for _, columns in cut if columns}
                              for cut in (lines, by_tabs))
    if len(widths_by_tabs) == 1 and widths_by_tabs != {1}:
        loses_words = len(widths) > 1 or len(lines) < len(by_tabs)
        if loses_words or widths == widths_by_tabs:
            lines = by_tabs
    words = [line for line in lines if line[1]]
    raise_faults([(where, f": {len(columns)} columns, but {words[0][0]} has {len(words[0][1])}; "
                          "write as many on every line, and a blank line between sentences")
                  for where, columns in words if len(columns) != len(words[0][1])])
    return lines


def _cut(numbered: list[tuple[str, str]], joint: re.Pattern) -> list[Line]:
    """The lines in columns; without those that begin with # and have not as many as the first line
    that does not."""
    lines = []
    for where, line in numbered:
        line = line.strip(" \t")  # not all blanks: an ideographic or no-break space may be a word
        empty = not line or line.startswith(DOCUMENT)
        lines.append((where, [] if empty else joint.split(line)))
    widths = [len(columns) for _, columns in lines if columns and columns[0][0] != "#"]
    return [(where, columns) for where, columns in lines
            if not widths or not columns or columns[0][0] != "#" or len(columns) == widths[0]]


def _place(path: str | Path, given: str | None, what: str, usual: int, width: int) -> int:
    """The place of a column that is given by its number, from 1."""
    if given is None:
        return usual
    if not is_whole_number(given) or not 1 <= int(given) <= width:
        raise InputError(f"{path}: --{what}-column is {given!r:.60}; the columns of this file have "
                         f"no names: expected a number from 1 to {width}")
    return int(given) - 1


def _turn_into_bio2(path: str | Path, sentences: list[list[Row]], strict: bool) -> None:
    """Replace the tags of all sentences, in BIO2 or in BIO (IOB1), by those of BIO2."""
    rows = [row for sentence in sentences for row in sentence]
    typed = any(len(tag) > 1 for _, _, tag in rows)
    raise_faults([(where, f": the tag {tag!r:.60} is neither O nor B-type nor I-type: other "
                          "schemes (BIOES, BILOU) must be turned into BIO2")
                  for where, _, tag in rows
                  if tag != "O" and not (is_entity_tag(tag) and (len(tag) > 1) == typed)])
    begun_by_i, is_iob1 = [], True
    for sentence in sentences:
        inside = None  # the type of the entity that the word before is in
        for i, (where, word, tag) in enumerate(sentence):
            kind = entity_type(tag)
            if kind is not None and kind != inside:
                if tag[0] == "I":
                    begun_by_i.append(where)
                    sentence[i] = where, word, "B" + tag[1:]
                else:
                    is_iob1 = False
            inside = kind
    if not is_iob1:
        warn_or_refuse(f"{path}: {len(begun_by_i):,} entities begin with I- where BIO2 writes B-: "
                       "they are read so, as conlleval and seqeval do", begun_by_i, strict)


def write_tags(path: str | Path, examples: Sequence[TagExample]) -> None:
    """Write a word and its tag a line, with a blank line after each sentence."""
    sentences = ["".join([f"{word} {tag}\n" for word, tag in zip(example.words, example.tags)])
                 for example in examples]
    write_text(path, "\n".join(sentences))
