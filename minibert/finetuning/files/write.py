"""Examples written as the files that the readers read, each whole or not at all.

Sentences and pairs become .tsv, choices .csv with SWAG's columns, tags CoNLL's columns and
questions SQuAD 2.0's .json.
"""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from minibert.atomic_files import write_text
from minibert.errors import InputError
from minibert.finetuning.examples import ChoiceExample, QuestionExample, SentenceExample, TagExample


def write_sentences(path: str | Path, examples: Sequence[SentenceExample]) -> None:
    """The columns text (and text_pair) and label. Errors: a tab or a line break in a text, which
    .tsv cannot hold."""
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


def write_choices(path: str | Path, examples: Sequence[ChoiceExample]) -> None:
    """The columns sent1, sent2, ending0, ending1... and label."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    endings = [f"ending{k}" for k in range(len(examples[0].endings))]
    writer.writerow(["sent1", "sent2", *endings, "label"])
    for example in examples:
        label = "" if example.label is None else example.label
        writer.writerow([example.context, example.start, *example.endings, label])
    write_text(path, text.getvalue())


def write_tags(path: str | Path, examples: Sequence[TagExample]) -> None:
    """A word and its tag a line, a blank line after each sentence."""
    sentences = ["".join([f"{word} {tag}\n" for word, tag in zip(example.words, example.tags)])
                 for example in examples]
    write_text(path, "\n".join(sentences))


def write_questions(path: str | Path, examples: Sequence[QuestionExample]) -> None:
    """A paragraph for each context, with all questions to it."""
    paragraphs: dict[str, list] = {}
    for example in examples:
        answers = [{"text": answer.text, "answer_start": answer.start}
                   for answer in example.answers or ()]
        paragraphs.setdefault(example.passage, []).append(
            {"id": example.id, "question": example.question, "answers": answers,
             "is_impossible": example.answers == ()})
    data = [{"title": Path(path).stem, "paragraphs": [
        {"context": passage, "qas": qas} for passage, qas in paragraphs.items()]}]
    content = {"version": "v2.0", "data": data}
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
