"""Questions on passages: SQuAD's JSON files, 1.1 and 2.0 (Rajpurkar et al. 2016 and 2018).

    {"data": [{"paragraphs": [{"context": "...", "qas": [
        {"id": "...", "question": "...", "is_impossible": false,
         "answers": [{"text": "...", "answer_start": 17}]}]}]}]}

The context is the passage; answer_start counts its characters. In 2.0 a question that the passage
does not answer has is_impossible true and no answers. JSON has no lines: `where` is the place in
the file.

In a .jsonl file, as Hugging Face's data sets write them, every line is a question with its context;
its answers are an object of two lists, empty ones if there is none:

    {"id": "...", "question": "...", "context": "...",
     "answers": {"text": ["..."], "answer_start": [17]}}
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from minibert.atomic_files import write_text
from minibert.data.text_files import read_text
from minibert.errors import InputError
from minibert.finetuning.examples import Answer, QuestionExample
from minibert.finetuning.files.records import (Fault, check_text, json_value, parse_whole_number,
                                               raise_faults, read_good, records, warn_or_refuse)

Questions = list[tuple[str, object]]  # where, and the question as an object with its context


def read_questions(path: str | Path, labelled: bool = True, strict: bool = False
                   ) -> list[QuestionExample]:
    """Read all questions of a file. `labelled` False: questions only, whatever the file has
    besides.

    An answer whose text does not stand at answer_start is left out, and its question with it if it
    has no other; a warning counts them, `strict` refuses them. Errors: another layout, an empty
    passage or question, an id that occurs twice, no question.
    """
    faults: list[Fault] = []
    layout_faults: list[Fault] = []
    misplaced: list[Fault] = []
    in_lines = Path(path).suffix.lower() == ".jsonl"
    questions = _in_lines(path) if in_lines else _in_paragraphs(path, layout_faults)
    found = read_good(partial(_example, labelled=labelled, misplaced=misplaced, place_of_id={}),
                      read_good(_with_id, questions, faults), faults)
    examples = [example for example in found if example.answers is not None or not labelled]
    raise_faults(faults + layout_faults + (misplaced if strict or not examples else []))
    if not examples:
        raise InputError(f"{path}: there is no question in it; expected SQuAD's layout")
    warn_or_refuse(f"{path}: {len(misplaced):,} answers do not stand at their answer_start: they "
                   f"are left out, and {len(found) - len(examples):,} questions that have no "
                   f"other; the first{misplaced[0][1] if misplaced else ''}",
                   [where for where, _ in misplaced], strict)
    return examples


def _in_paragraphs(path: str | Path, faults: list[Fault]) -> Questions:
    """The questions of SQuAD's own files; `faults` gets those of articles and paragraphs."""
    content = json_value(str(path), read_text(path), "give a file in SQuAD's layout (and call it "
                                                     ".jsonl if every line is a question)")
    found = _items(str(path), content, "data")
    for read_one in (partial(_items, name="paragraphs"), _asked_of):
        found = [item for items in read_good(read_one, found, faults) for item in items]
    return found


def _asked_of(where: str, paragraph: object) -> Questions:
    questions = _items(where, paragraph, "qas")
    passage = check_text(where, "the context", paragraph.get("context"))
    return [(here, question | {"context": passage} if isinstance(question, dict) else question)
            for here, question in questions]


def _in_lines(path: str | Path) -> Questions:
    """The questions of a file with one a line, their answers turned into SQuAD's."""
    found = []
    for where, values in records(path):
        answers = values.get("answers")
        if isinstance(answers, dict):
            texts, starts = answers.get("text"), answers.get("answer_start")
            if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
                answers = [{"text": text, "answer_start": start}
                           for text, start in zip(texts, starts)]
        found.append((where, values | {"answers": answers, "is_impossible": answers == []}))
    return found


def _items(where: str, holder: object, name: str) -> list[tuple[str, object]]:
    """(where, item) of a list in an object: `data[0].paragraphs[3]`."""
    listed = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(listed, list):
        raise InputError(f"{where}: there is no list {name!r} here; expected SQuAD's layout: data, "
                         "in it paragraphs, in each a context and qas")
    joint = "." if where.endswith("]") else ", "
    return [(f"{where}{joint}{name}[{i}]", item) for i, item in enumerate(listed)]


def _with_id(where: str, question: object) -> tuple[str, dict]:
    if not isinstance(question, dict) or not isinstance(question.get("id"), (str, int)):
        raise InputError(f"{where}: the question has no id; expected an object with id and "
                         "question")
    return f"{where} (id {question['id']!s:.40})", question


def _example(where: str, question: dict, labelled: bool, misplaced: list[Fault],
             place_of_id: dict[str, str]) -> QuestionExample:
    passage = check_text(where, "the context", question.get("context"))
    text = check_text(where, "the question", question.get("question"))
    answers = _answers(where, question, passage, misplaced) if labelled else None
    example = QuestionExample(str(question["id"]), text, passage, answers, where)
    first = place_of_id.setdefault(example.id, where)
    if first != where:
        raise InputError(f"{where}: {first.rpartition(' (id ')[0]} has the same id; give each "
                         "question its own")
    return example


def _answers(where: str, question: dict, passage: str, misplaced: list[Fault]
             ) -> tuple[Answer, ...] | None:
    """The answers that stand at their answer_start, None where none of those listed does; the
    others are added to `misplaced`."""
    listed, impossible = question.get("answers"), question.get("is_impossible", False)
    if not isinstance(listed, list) or not isinstance(impossible, bool):
        raise InputError(f"{where}: answers is {listed!r:.40}, is_impossible {impossible!r:.40}; "
                         "expected a list (in .jsonl also an object of two lists of one length, "
                         "text and answer_start) and true or false")
    if bool(listed) == impossible:
        raise InputError(f"{where}: is_impossible is {str(impossible).lower()}, but there are "
                         f"{len(listed)} answers; a question has answers, or is_impossible is true "
                         "and it has none")
    answers = []
    for i, answer in enumerate(listed):
        here = f"{where}.answers[{i}]"
        text = answer.get("text") if isinstance(answer, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{here}: the text is {text!r:.60}; expected a part of the context")
        start = parse_whole_number(here, "answer_start", answer.get("answer_start"))
        if start >= 0 and passage[start:start + len(text)] == text:
            answers.append(Answer(text, start))
            continue
        found = passage.find(text)
        cure = (f"it does at {found}" if found >= 0 else "it is nowhere in the context; copy it "
                "from there, character by character")
        misplaced.append((here, f": {text!r:.60} does not stand at answer_start {start} of the "
                                f"context; {cure}"))
    return tuple(answers) if answers or impossible else None


def write_questions(path: str | Path, examples: Sequence[QuestionExample]) -> None:
    """Write SQuAD 2.0's layout: a paragraph for each context, with all questions to it."""
    paragraphs: dict[str, list] = {}
    for example in examples:
        answers = [{"text": answer.text, "answer_start": answer.start}
                   for answer in example.answers or ()]
        paragraphs.setdefault(example.passage, []).append(
            {"id": example.id, "question": example.question, "answers": answers,
             "is_impossible": example.answers == ()})
    data = [{"title": Path(path).stem, "paragraphs": [
        {"context": passage, "qas": qas} for passage, qas in paragraphs.items()]}]
    content = json.dumps({"version": "v2.0", "data": data}, ensure_ascii=False, indent=1)
    write_text(path, content + "\n")
