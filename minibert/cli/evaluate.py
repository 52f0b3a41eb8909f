"""`evaluate`: the figures of a fine-tuned model on a labelled file, beside the baseline's."""

import argparse

from minibert.cli.arguments import add_columns, add_run, add_threshold, path
from minibert.cli.display import figure, table
from minibert.cli.predict import open_with_examples
from minibert.errors import InputError
from minibert.finetuning.tasks.base import Task, predict
from minibert.training.trainer import Trainer

MOST_COLUMNS = 12  # of a confusion matrix that is shown


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


def summary_of(trainer: Trainer) -> dict:
    """The contents of summary.json for a fine-tuning run; details are of the best checkpoint."""
    task, dev, run = trainer.objective.task, trainer.objective.dev, trainer.run_folder
    best = type(trainer.model).from_pretrained(run.checkpoint("best"))
    return trainer.summary() | {"baselines": baselines(task, run.baseline(), dev), "oracle": None,
                                **task.details(dev, predict(task, best, dev))}


def baselines(task: Task, guess: object, examples: list) -> dict[str, float]:
    """The figures of guessing. Errors: a `guess` from baseline.json that is none for this task."""
    try:
        return task.compute_metrics(examples, task.predict_baseline(guess, examples))
    except (KeyError, TypeError, AttributeError, IndexError):
        raise InputError(f"baseline.json: the guess {guess!r:.60} does not fit finetune "
                         f"{task.name}: the file is damaged") from None


def verdict(figures: dict, baseline: dict, details: dict, task: Task) -> list[str]:
    """Lines: the figures beside the baseline's (empty where there is none), then the scores of each
    class and the confusion matrix, as far as there are such."""
    rows = [["", "this model", *([task.baseline_name] if baseline else [])]]
    rows += [[name, figure(value), *([figure(baseline[name])] if baseline else [])]
             for name, value in figures.items() if name in (baseline or figures)]
    lines = table(rows)
    per_class, confusion = details.get("per_class"), details.get("confusion")
    if per_class:
        names = list(next(iter(per_class.values())))
        lines += ["", *table([["", *names], *[[name, *map(figure, scores.values())]
                                              for name, scores in per_class.items()]])]
    if "best_null_threshold" in details:
        best = details["best_null_threshold"]
        lines += ["", "the best --null-threshold for these questions is "
                      f"{best['threshold']:.3f}, with an f1 of {best['f1']:.4f}"]
    if confusion and len(confusion) <= MOST_COLUMNS:
        names = list(per_class)
        lines += ["", "how often the class on the left was taken for that above",
                  *table([["", *names], *[[name, *map(str, row)]
                                          for name, row in zip(names, confusion)]])]
    return lines
