"""`trace`: every op that a model computes for a text, forward and backward."""

import argparse

import numpy as np

from minibert.autograd.trace import trace
from minibert.cli.arguments import add_run, check_new_file, path
from minibert.cli.folders import ANY_MODEL, LANGUAGE_MODEL, open_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("text")
    parser.add_argument("--write", type=path, metavar="FILE",
                        help="write the records as JSON lines, too")


def run(folder: str, text: str, write: str | None) -> int:
    """Print the ops of the forward pass and of the backward pass from the sum of the output."""
    if write is not None:
        check_new_file("--write", write)
    model, tokenizer = open_model(folder, ANY_MODEL, "trace")
    if isinstance(model, LANGUAGE_MODEL):
        ids = [tokenizer.sep_token_id] + tokenizer.encode(text, add_special_tokens=False)
    else:
        ids = tokenizer.encode(text)
    with trace() as records:
        outputs = model(np.array([ids]))
        output = next(value for value in vars(outputs).values() if value is not None)
        output.backward(np.ones(output.shape, output.dtype))
    print(records)
    if write is not None:
        records.write(write)
    return 0
