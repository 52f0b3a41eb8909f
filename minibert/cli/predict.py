"""`predict`: the predictions of a fine-tuned model for every example of a file."""

import argparse
import math

from minibert.atomic_files import write_text
from minibert.cli.arguments import (add_columns, add_run, add_threshold, check_new_file, flag_name,
                                    given, path)
from minibert.cli.tasks import TASKS, FineTuned, open_finetuned, read_examples
from minibert.errors import InputError
from minibert.finetuning.tasks.base import predict

# The tasks whose files have a column of this name.
HAS_COLUMN = {"text_column": ("classify", "pair", "tag"), "pair_column": ("pair",),
              "label_column": ("classify", "pair", "tag")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--file", type=path, required=True, help="examples; labels are ignored")
    parser.add_argument("--out", type=path, required=True, help="a file that does not exist yet")
    add_columns(parser.add_argument_group("file"), labelled=False)
    add_threshold(parser)


def run(folder: str, file: str, out: str, null_threshold: float | None, **columns: str | None
        ) -> int:
    """Write the predictions by one rename."""
    check_new_file("--out", out)
    found, examples = open_with_examples(folder, "predict", file, columns, null_threshold,
                                         labelled=False)
    predictions = predict(found.task, found.model, examples)
    write_text(out, found.task.format_predictions(examples, predictions))
    print(f"{len(examples):,} predictions in {out}")
    return 0


def open_with_examples(name: str, purpose: str, file: str, columns: dict[str, str | None],
                       null_threshold: float | None, labelled: bool) -> tuple[FineTuned, list]:
    """The model in the folder `name`, and the examples of a file. Errors: InputError, an option
    that this task has no use for."""
    changes = given(columns)
    found = open_finetuned(name, TASKS, purpose, **changes)
    for column in changes:
        if found.task.name not in HAS_COLUMN[column]:
            raise InputError(f"{flag_name(column)}: {name} is a model of finetune "
                             f"{found.task.name}, which has no use for it: leave it out")
    if null_threshold is not None:
        set_threshold(found, null_threshold, name)
    return found, read_examples(found.options, file, labelled)


def set_threshold(found: FineTuned, threshold: float, name: str) -> None:
    """Set how much the score of no answer must exceed that of the best one to be preferred. Errors:
    InputError, a task without empty answers, a threshold that is NaN."""
    if math.isnan(threshold):
        raise InputError("--null-threshold is nan: expected a number")
    if found.task.name == "answer" and found.run is None:
        found.task.may_be_empty = True  # a folder does not say whether it was trained for it
    if found.task.name != "answer" or not found.task.may_be_empty:
        raise InputError(f"--null-threshold: {name} did not learn that questions may have no "
                         "answer (SQuAD 2.0)")
    found.task.null_threshold = threshold
