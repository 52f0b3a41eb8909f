"""What a fine-tuned model says: `predict`, `evaluate`, `answer`, `tag`."""

from __future__ import annotations

import math
import os
import sys

from minibert.atomic_files import write_text
from minibert.cli.finetune_options import TASKS
from minibert.cli.highlight import can_colour, marked
from minibert.cli.metrics_report import baselines, verdict
from minibert.cli.tasks import open_finetuned, read_examples
from minibert.errors import InputError
from minibert.finetuning.encoding import Reading
from minibert.finetuning.entity_metrics import entities_of
from minibert.finetuning.examples import QuestionExample, TagExample
from minibert.finetuning.files.records import text_of
from minibert.finetuning.tasks.base import Task, predict
from minibert.training.run_folder import Run

# Which tasks read files in which this column can be named.
HAS_COLUMN = {"text_column": ("classify", "pair", "tag"), "pair_column": ("pair",),
              "label_column": ("classify", "pair", "tag")}


def run_predict(options) -> int:
    """`predict RUN --file FILE --out FILE`: the predictions whole, or no file at all."""
    if os.path.exists(options.out):
        raise InputError(f"{options.out} exists already and is not touched: give another --out")
    task, model, examples = opened(options, labelled=False)
    predictions = predict(task, model, examples)
    write_text(options.out, task.written(examples, predictions))
    print(f"{len(examples):,} predictions in {options.out}")
    return 0


def run_evaluate(options) -> int:
    """`evaluate RUN --file FILE`"""
    task, model, examples = opened(options, labelled=True)
    predictions = predict(task, model, examples)
    print(f"{len(examples):,} examples of {options.file}")
    baseline = baselines(task, Run(options.run).baseline(), examples)
    figures = task.figures(examples, predictions)
    print("\n".join(verdict(figures, baseline, task.details(examples, predictions), task)))
    return 0


def opened(options, labelled: bool) -> tuple[Task, object, list]:
    """(task, model, examples) of a run and a file. Errors: an option that this task has no use
    for."""
    stored, task, model = open_finetuned(options.run, tuple(TASKS), options.command)
    for name in HAS_COLUMN:
        if getattr(options, name, None) is not None:
            if task.name not in HAS_COLUMN[name]:
                raise InputError(f"--{name.replace('_', '-')}: {options.run} is a run of finetune "
                                 f"{task.name}, which has no use for it: leave it out")
            stored = stored | {name: getattr(options, name)}
    if options.null_threshold is not None:
        set_threshold(task, options)
    return task, model, read_examples(stored, options.file, labelled)


def set_threshold(task: Task, options) -> None:
    """How much better no answer must be than the best one to be given. Errors: a task without
    empty answers, a threshold that is NaN."""
    if math.isnan(options.null_threshold):
        raise InputError("--null-threshold is nan: expected a number")
    if task.name != "answer" or not task.may_be_empty:
        raise InputError(f"--null-threshold: {options.run} did not learn that questions may have "
                         "no answer (SQuAD 2.0)")
    task.null_threshold = options.null_threshold


def run_answer(options) -> int:
    """`answer RUN --context FILE --question TEXT`"""
    _, task, model = open_finetuned(options.run, ("answer",), options.command)
    if options.null_threshold is not None:
        set_threshold(task, options)
    if not options.question.strip():
        raise InputError("--question is empty: ask something")
    context = text_of(options.context)
    [found] = predict(task, model, [QuestionExample("", options.question, context)])
    if found.answer is None:
        print(f"the text does not say ({found.probability:.1%})")
        if found.best is not None:
            print(f"if it did: {found.best.text}")
        return 0
    print(f"{found.text}  ({found.probability:.1%})")
    start, end = found.answer.start, found.answer.start + len(found.text)
    before = context.rfind("\n", 0, start) + 1
    after = context.find("\n", end)
    line = context[before:after if after >= 0 else len(context)]
    print(marked(line, [(start - before, end - before, "")], can_colour(sys.stdout)))
    return 0


def run_tag(options) -> int:
    """`tag RUN TEXT`"""
    _, task, model = open_finetuned(options.run, ("tag",), options.command)
    places = word_places(task.reading, options.text)
    if not places:
        raise InputError("the text is empty: there is nothing to tag")
    words = tuple(options.text[start:end] for start, end in places)
    [tags] = predict(task, model, [TagExample(words)])
    if task.metric_for_best_model == "f1":
        marks = [(places[entity.start][0], places[entity.end - 1][1], entity.kind)
                 for entity in entities_of(tags)]
    else:
        marks = [(start, end, tag) for (start, end), tag in zip(places, tags)]
    print(marked(options.text, marks, can_colour(sys.stdout)))
    return 0


def word_places(reading: Reading, text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end, as the tokenizer sees words: it cuts at blanks,
    around punctuation and Chinese characters. (##pieces go on with a word.)"""
    places = []
    for token, start, end in reading.pieces(text):
        if reading.tokenizer.convert_ids_to_tokens(token).startswith("##") and places:
            places[-1] = (places[-1][0], end)
        else:
            places.append((start, end))
    return places
