"""`tag`: the entities of a sentence, or the tag of every word."""

import argparse
import sys

from minibert.cli.arguments import add_run
from minibert.cli.highlight import can_colour, marked
from minibert.cli.tasks import open_finetuned
from minibert.errors import InputError
from minibert.finetuning.encoding import Reading
from minibert.finetuning.entity_metrics import get_entities
from minibert.finetuning.examples import TagExample
from minibert.finetuning.tasks.base import predict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("text")


def run(folder: str, text: str) -> int:
    """Print the sentence with its marks."""
    found = open_finetuned(folder, ("tag",), "tag")
    spans = word_spans(found.task.reading, text)
    if not spans:
        raise InputError("the text is empty: there is nothing to tag")
    words = tuple(text[start:end] for start, end in spans)
    [tags] = predict(found.task, found.model, [TagExample(words)])
    if found.task.metric_for_best_model == "f1":
        marks = [(spans[entity.start][0], spans[entity.end - 1][1], entity.kind)
                 for entity in get_entities(tags)]
    else:
        marks = [(start, end, tag) for (start, end), tag in zip(spans, tags)]
    print(marked(text, marks, can_colour(sys.stdout)))
    return 0


def word_spans(reading: Reading, text: str) -> list[tuple[int, int]]:
    """(start, end) of each word of a text, split as the tokenizer splits before WordPiece: at
    blanks, around punctuation and Chinese characters. (##pieces continue a word.)"""
    spans = []
    for token, start, end in reading.pieces(text):
        if reading.tokenizer.convert_ids_to_tokens(token).startswith("##") and spans:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans
