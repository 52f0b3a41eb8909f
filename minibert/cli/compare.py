"""`compare`: two runs, or models' folders, side by side."""

import argparse
from pathlib import Path

from minibert.cli.arguments import add_run, path
from minibert.cli.display import figure, setting, table
from minibert.cli.folders import description, find_run_or_model
from minibert.cli.info import current_summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("other", type=path, metavar="RUN", help="the second run")


def run(folder: str, other: str) -> int:
    """Print one table: the settings that differ, then all figures."""
    found = [_figures(name) for name in (folder, other)]
    rows = [["", folder, other]]
    for part in ("about", "settings"):
        for name in {**found[0][part], **found[1][part]}:
            values = [setting(figures[part].get(name)) for figures in found]
            if values[0] != values[1]:
                rows.append([name, *values])
    if len(rows) == 1:
        rows.append(["same settings", "", ""])
    for part in ("held_out", "best", "baselines", "oracle"):
        parts = [figures.get(part) or {} for figures in found]
        for name in {**parts[0], **parts[1]}:
            label = name if part == "held_out" else f"{part}: {name}"
            rows.append([label, *[figure(values.get(name)) for values in parts]])
    rows.append(["seconds", *[f"{figures['seconds']:.1f}" if "seconds" in figures else ""
                              for figures in found]])
    print("\n".join(table(rows)))
    return 0


def _figures(name: str) -> dict:
    """The summary of a run or, while there is none, its latest state; of a model's folder the
    sizes."""
    found = find_run_or_model(name)
    if isinstance(found, Path):
        return {"about": description(found), "settings": {}}
    return current_summary(found) or found.state()
