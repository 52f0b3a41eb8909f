"""`answer`: the span of a text that answers a question."""

import argparse
import sys

from minibert.cli.arguments import add_run, add_threshold, path
from minibert.cli.highlight import can_colour, marked
from minibert.cli.predict import set_threshold
from minibert.cli.tasks import open_finetuned
from minibert.data.text_files import read_text
from minibert.errors import InputError
from minibert.finetuning.examples import QuestionExample
from minibert.finetuning.tasks.base import predict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--context", type=path, required=True, metavar="FILE", help="the text")
    parser.add_argument("--question", required=True)
    add_threshold(parser)


def run(folder: str, context: str, question: str, null_threshold: float | None) -> int:
    """Print the answer, its probability and the line around it."""
    found = open_finetuned(folder, ("answer",), "answer")
    if null_threshold is not None:
        set_threshold(found, null_threshold, folder)
    if not question.strip():
        raise InputError("--question is empty: expected a question")
    text = read_text(context)
    [best] = predict(found.task, found.model, [QuestionExample("", question, text)])
    if best.answer is None:
        print(f"the text does not say ({best.probability:.1%})")
        if best.best is not None:
            print(f"if it did: {best.best.text}")
        return 0
    print(f"{best.text}  ({best.probability:.1%})")
    start, end = best.answer.start, best.answer.start + len(best.text)
    before = text.rfind("\n", 0, start) + 1
    after = text.find("\n", end)
    line = text[before:after if after >= 0 else len(text)]
    print(marked(line, [(start - before, end - before, "")], can_colour(sys.stdout)))
    return 0
