"""`info`: what a run is, what it reached, and its loss curve; or what a model's folder holds."""

import argparse
from pathlib import Path

from minibert.cli.arguments import add_run
from minibert.cli.display import curve_of, figure, setting
from minibert.cli.folders import description, find_run_or_model
from minibert.training.report import in_words
from minibert.training.run_folder import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)


def run(folder: str) -> int:
    """Print a table of settings and figures, and the curve."""
    found = find_run_or_model(folder)
    if isinstance(found, Path):
        print(f"{found}: a model's folder")
        _print_rows([[name, setting(value)] for name, value in description(found).items()])
        return 0
    state, summary = found.state(), current_summary(found)
    shown = summary or state
    print(f"{found.path}: {state['step']:,} of {state['settings']['steps']:,} steps"
          + _status(state, summary))
    rows = [[name, setting(value)] for part in ("about", "settings")
            for name, value in shown[part].items()]
    if summary:
        rows += [["parameters", f"{summary['parameters']:,}"],
                 ["time", in_words(summary["seconds"])],
                 ["tokens per second", f"{summary['tokens_per_second']:,}"]]
    rows += [[f"{part.replace('_', ' ')}: {name}", figure(value)]
             for part in ("held_out", "best", "baselines", "oracle")
             for name, value in (shown.get(part) or {}).items()]
    _print_rows(rows)
    print("\n".join(curve_of(found.records())))
    return 0


def current_summary(run: Run) -> dict | None:
    """The run's summary, unless training went on after it."""
    summary = run.summary()
    return summary if summary and summary["steps"] == run.state()["step"] else None


def _status(state: dict, summary: dict | None) -> str:
    if summary is not None:
        return ", stopped early" if state["step"] < state["settings"]["steps"] else ""
    command = ("road" if "row" in state["about"] else
               "finetune --resume" if "task" in state["about"] else "pretrain --resume")
    return f", not finished: go on with {command}"


def _print_rows(rows: list[list[str]]) -> None:
    width = max([len(row[0]) for row in rows])
    print("\n".join([f"  {row[0]:<{width}}  {row[1]}" for row in rows]))
