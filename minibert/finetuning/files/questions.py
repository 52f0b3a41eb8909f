"""Questions to texts: SQuAD's JSON files, 1.1 and 2.0 (Rajpurkar et al. 2016 and 2018).

    {"data": [{"paragraphs": [{"context": "...", "qas": [
        {"id": "...", "question": "...", "is_impossible": false,
         "answers": [{"text": "...", "answer_start": 17}]}]}]}]}

answer_start counts characters of the context. In 2.0 a question that the text does not answer has
is_impossible true and no answers. JSON has no lines: a fault is named by its place in the file.

In a .jsonl file, as Hugging Face's data sets write them, every line is a question with its context;
its answers are an object of two lists, empty ones if there is none:

    {"id": "...", "question": "...", "context": "...",
     "answers": {"text": ["..."], "answer_start": [17]}}
"""

from collections.abc import Iterator
from pathlib import Path

from minibert.errors import InputError
from minibert.finetuning.examples import Answer, QuestionExample
from minibert.finetuning.files.records import (checked_text, json_value, records, text_of,
                                               whole_number)


def read_questions(path: str | Path, labelled: bool = True) -> list[QuestionExample]:
    """All questions of a file. `labelled` False reads questions only, whatever else is there.

    Errors: what is not laid out like SQuAD, an empty context or question, an answer that does not
    stand where it is said to, an id that occurs twice.
    """
    examples: list[QuestionExample] = []
    place_of_id: dict[str, str] = {}
    in_lines = Path(path).suffix.lower() == ".jsonl"
    for where, question, context in _in_lines(path) if in_lines else _in_paragraphs(path):
        example = _example(where, question, context, labelled)
        if example.id in place_of_id:
            raise InputError(f"{example.where}: {place_of_id[example.id]} has the same id; give "
                             "each question its own")
        place_of_id[example.id] = where
        examples.append(example)
    if not examples:
        raise InputError(f"{path}: there is no question in it; expected SQuAD's layout")
    return examples


def _in_paragraphs(path: str | Path) -> Iterator[tuple[str, object, str]]:
    """(place, question, context) of SQuAD's own files."""
    content = json_value(str(path), text_of(path), "give a file in SQuAD's layout (and call it "
                                                   ".jsonl if every line is a question)")
    for where, article in _items(str(path), content, "data"):
        for where_paragraph, paragraph in _items(where, article, "paragraphs"):
            questions = _items(where_paragraph, paragraph, "qas")
            context = checked_text(where_paragraph, "the context", paragraph.get("context"))
            for where_question, question in questions:
                yield where_question, question, context


def _in_lines(path: str | Path) -> Iterator[tuple[str, object, str]]:
    """The same of a file with a question a line, its answers turned into SQuAD's."""
    for where, values in records(path):
        context = checked_text(where, "the context", values.get("context"))
        answers = values.get("answers")
        if isinstance(answers, dict):
            texts, starts = (answers.get(name) for name in ("text", "answer_start"))
            if not (isinstance(texts, list) and isinstance(starts, list)
                    and len(texts) == len(starts)):
                raise InputError(f"{where}: answers is {answers!r:.60}; expected two lists of one "
                                 "length, text and answer_start")
            answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts)]
        yield where, values | {"answers": answers, "is_impossible": answers == []}, context


def _items(where: str, holder: object, name: str) -> list[tuple[str, object]]:
    """(place, item) of a list in an object: `data[0].paragraphs[3]`."""
    listed = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(listed, list):
        raise InputError(f"{where}: there is no list {name!r} here; expected SQuAD's layout: data, "
                         "in it paragraphs, in each a context and qas")
    joint = "." if where.endswith("]") else ", "
    return [(f"{where}{joint}{name}[{i}]", item) for i, item in enumerate(listed)]


def _example(where: str, question: object, context: str, labelled: bool) -> QuestionExample:
    if not isinstance(question, dict) or not isinstance(question.get("id"), (str, int)):
        raise InputError(f"{where}: the question has no id; expected an object with id and "
                         "question")
    name = str(question["id"])
    where = f"{where} (id {name:.40})"
    text = checked_text(where, "the question", question.get("question"))
    answers = _answers(where, question, context) if labelled else None
    return QuestionExample(name, text, context, answers, where)


def _answers(where: str, question: dict, context: str) -> tuple[Answer, ...]:
    listed, impossible = question.get("answers"), question.get("is_impossible", False)
    if not isinstance(listed, list) or not isinstance(impossible, bool):
        raise InputError(f"{where}: answers is {listed!r:.40}, is_impossible {impossible!r:.40}; "
                         "expected a list and true or false")
    if bool(listed) == impossible:
        raise InputError(f"{where}: is_impossible is {str(impossible).lower()}, but there are "
                         f"{len(listed)} answers; a question has answers, or is_impossible is true "
                         "and it has none")
    return tuple(_answer(f"{where}.answers[{i}]", answer, context)
                 for i, answer in enumerate(listed))


def _answer(where: str, answer: object, context: str) -> Answer:
    text = answer.get("text") if isinstance(answer, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: the text is {text!r:.60}; expected a stretch of the context")
    start = whole_number(where, "answer_start", answer.get("answer_start"))
    if start < 0 or context[start:start + len(text)] != text:
        found = context.find(text)
        cure = (f"it does at {found}" if found >= 0 else "it is nowhere in the context; copy it "
                "from there, character by character")
        raise InputError(f"{where}: {text!r:.60} does not stand at answer_start {start} of the "
                         f"context; {cure}")
    return Answer(text, start)
