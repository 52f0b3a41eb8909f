"""`evaluate`: the figures of a fine-tuned model on a labelled file, beside the baseline's."""

from __future__ import annotations

import argparse

from minibert.cli.arguments import add_columns, add_run, add_threshold, path
from minibert.cli.metrics_report import baselines, verdict
from minibert.cli.predict import open_with_examples
from minibert.finetuning.tasks.base import predict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--file", type=path, required=True, help="labelled examples")
    add_columns(parser.add_argument_group("file"))
    add_threshold(parser)


def run(folder: str, file: str, null_threshold: float | None, **columns: str | None) -> int:
    """Print the figures, class by class."""
    found, examples = open_with_examples(folder, "evaluate", file, columns, null_threshold,
                                         labelled=True)
    task = found.task
    # a folder that no run of ours wrote has no baseline
    baseline = {} if found.run is None else baselines(task, found.run.baseline(), examples)
    predictions = predict(task, found.model, examples)
    print(f"{len(examples):,} examples of {file}")
    print("\n".join(verdict(task.compute_metrics(examples, predictions), baseline,
                            task.details(examples, predictions), task)))
    return 0
