"""History: a run's log and summary as charts, each with its baselines; read strictly.

A chart is {"key": name of the figure in the log, "title", "unit", "scale": "linear" or "log",
"bins": {"first", "last" (steps), "low", "mean", "high"} (B,) each, or None, "dots": held-out
[step, value] pairs, "lines": [{"key", "label", "value"}]}. The mean and the extremes of a bin are
those of all its steps: nothing is smoothed, and there are at most MOST_BINS.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np

from minibert.atomic_files import read_json
from minibert.data.ngram_baselines import uniform_loss
from minibert.errors import InputError
from minibert.look.film import read_frames
from minibert.look.subject import visible
from minibert.training.run_folder import Run
from minibert.training.run_records import LARGEST_LOSS, check_metrics
from minibert.validate import number, whole_number

MOST_BINS, MOST_RUNS = 200, 4
WIDE = 30  # the quotient of the largest and the smallest loss from which on their scale is log
LABELS = {"uniform": "knowing nothing: ln V", "unigram": "counting words",
          "bigram": "counting pairs of words", "oracle": "the best possible",
          "majority": "always one answer", "labels": "counting the labels",
          "coin": "knowing nothing: ln 2"}
MASKED = ("Loss on masked words", "nats per masked word")
ONLY_LOSS = {"gpt": ("Loss", "nats per token"), "bert": MASKED}  # of a task its own: no unit
TITLES = {"mlm_loss": MASKED,
          "nsp_loss": ("Loss on the next sentence", "nats per pair"),
          "nsp_accuracy": ("Next sentence: share of right answers", ""),
          "lr": ("Learning rate", ""), "grad_norm": ("Norm of the gradient, before clipping", "")}


def find_runs(folder: str | Path) -> list[Run]:
    """The run in `folder`, or the two of a `pretrain both`. Errors: InputError, there is none."""
    folder = Path(folder)
    for places in ([folder], [folder / "bert", folder / "gpt"]):
        found = [Run(place) for place in places if (place / "log.jsonl").exists()]
        if found:
            return found
    lack = "there is no log.jsonl in it" if folder.is_dir() else "there is no such folder"
    raise InputError(f"{folder}: {lack}: expected a run, as pretrain --out makes them; to look "
                     "into a model give a text, too")


def read_histories(folders: Sequence[str | Path]) -> list[dict]:
    """The histories of all runs in `folders`, in their order, each under a name of its own. Errors:
    InputError, no runs, more than MOST_RUNS, the same one twice, and those of read_history."""
    runs = [run for folder in folders for run in find_runs(folder)]
    places = [run.path.resolve() for run in runs]
    if len(runs) > MOST_RUNS:
        raise InputError(f"{len(runs)} runs: expected at most {MOST_RUNS} on one page")
    for run, place in zip(runs, places):
        if places.count(place) > 1:
            raise InputError(f"{run.path}: given twice: expected different runs")
    parts, names = 0, []
    while len(set(names)) < len(places):  # the last parts of the paths, until they differ
        parts += 1
        names = ["/".join(place.parts[-parts:]) for place in places]
    return [read_history(run) | {"name": visible(name)} for run, name in zip(runs, names)]


def read_history(run: Run) -> dict:
    """{"objective", "settings", "about", "steps_done", "finished", "charts", "evaluations":
    [{"step", metrics}], "samples": [{"step", "lines"}], "oracle": that of the summary if it is
    about the last step, "clipped": the share of the steps whose gradient was cut (None without
    clipping), "first_loss": that of the first batch, "film": see film.read_frames}.

    A line of the log that was cut short by a kill is left out; without a summary the baselines are
    missing but for ln V. Errors: InputError that names the file: no finished step, damaged records.
    """
    path = run.path / "log.jsonl"
    records = run.records()
    steps, evaluations, samples, frames = [
        [record for record in records if record["kind"] == kind]
        for kind in ("step", "eval", "sample", "film")]
    if not steps:
        raise InputError(f"{path}: the run has no finished step yet: there is nothing to draw")
    start, done = records[0], steps[-1]["step"]
    if start["kind"] != "start" or not isinstance(start.get("settings"), dict):
        raise InputError(f"{path}, line 1: expected the record of the start, with its settings: "
                         "the file is damaged")
    for before, after in chain(*map(pairwise, (steps, evaluations, frames))):
        if after["step"] <= before["step"]:
            raise InputError(f"{path}: {after['kind']} at step {after['step']} stands behind step "
                             f"{before['step']}: the file is damaged")
    summary = run.summary()
    # a resume may have added steps to those of the start
    state = run.state() if run.checkpoint("latest") else {"about": {}, **start}
    about, settings = (summary or state)["about"], state["settings"]
    evaluations = [_metrics(path, record) for record in evaluations]
    main = "mlm_loss" if "mlm_loss" in steps[0] else "loss"
    lines = _baselines(run, summary, main, "task" in about)
    whole_number(f"{path}: steps", settings.get("steps"), done)
    number(f"{path}: lr", settings.get("lr"), at_least=0)
    clip = number(f"{path}: clip", settings.get("clip"), at_least=0)
    if clip:
        lines["grad_norm"] = [{"key": "clip", "label": "clip", "value": clip}]
    parts = [key for key in steps[0] if key.endswith("_loss") and key != main]
    measured = [key for key in (evaluations or [{}])[0]
                if key in lines and key not in (main, *parts)]
    titles = TITLES | {"loss": ONLY_LOSS.get(str(start.get("objective")), ("Loss", ""))}
    charts = [_chart(path, key, titles, lines, steps, evaluations)
              for key in (main, *parts, *measured, "lr", "grad_norm")]
    finished = summary is not None and summary["steps"] == done
    return {
        "objective": start.get("objective"), "settings": settings, "about": about,
        "steps_done": done, "finished": finished, "charts": charts, "evaluations": evaluations,
        "samples": [{"step": record["step"], "lines": list(map(visible, record["lines"]))}
                    for record in samples],
        "oracle": summary["oracle"] if finished else None,
        "clipped": np.mean([step["grad_norm"] > clip for step in steps]) if clip else None,
        "first_loss": steps[0].get(main, steps[0]["loss"]), "film": read_frames(frames, str(path))}


def _metrics(path: Path, record: dict) -> dict:
    """The step and the figures of an evaluation that are defined (not null, not NaN)."""
    figures = {name: value for name, value in record.items() if name != "kind"}
    check_metrics(f"{path}: evaluation at step {record['step']}", figures)
    return {visible(name): value for name, value in figures.items() if is_defined(value)}


def is_defined(value: float | None) -> bool:
    """Whether a metric is neither null nor NaN."""
    return value is not None and value == value


def _baselines(run: Run, summary: dict | None, main: str, fine_tuned: bool) -> dict[str, list]:
    """{key of a chart: its lines}, from the largest value to the smallest."""
    counted = summary["baselines"] if summary else {}
    if summary is None and not fine_tuned and run.checkpoint("latest"):
        file = run.checkpoint("latest") / "config.json"
        counted = {"uniform": uniform_loss(
            whole_number(f"{file}: vocab_size", read_json(file).get("vocab_size"), 1))}
    oracle = (summary or {}).get("oracle") or {}
    values = [*[(key if fine_tuned or "accuracy" in key else main, key, value)
                for key, value in counted.items()], ("nsp_loss", "coin", uniform_loss(2)),
              *[(chart, "oracle", oracle.get(chart)) for chart in (main, "nsp_accuracy")]]
    values = [one for one in values if is_defined(one[2])]
    found: dict[str, list] = {}
    for chart, key, value in sorted(values, key=itemgetter(2), reverse=True):
        label = key
        if chart != main and key == chart:
            label = "labels" if fine_tuned else "majority"
        found.setdefault(chart, []).append(
            {"key": key, "label": LABELS.get(label) or visible(label), "value": value})
    return found


def _chart(path: Path, key: str, titles: dict, lines: dict[str, list], steps: list[dict],
           evaluations: list[dict]) -> dict:
    """One figure of the log: bins, if the steps have it, and held-out points."""
    values = [number(f"{path}: {key} of step {step['step']}", step[key], -LARGEST_LOSS,
                     LARGEST_LOSS) for step in steps if key in step]
    missing = len(steps) - len(values)
    if missing and (values or key in ("lr", "grad_norm")):
        raise InputError(f"{path}: {missing} of {len(steps)} steps have no {key}: the file is "
                         "damaged")
    dots = [[evaluation["step"], evaluation[key]] for evaluation in evaluations
            if key in evaluation]
    shown = [*values, *[value for _, value in dots]]
    is_log = bool(shown) and min(shown) > 0 and (
        key == "grad_norm" or key.endswith("loss") and max(shown) > WIDE * min(shown))
    title, unit = titles.get(key, (visible(key).replace("_", " ").capitalize(), ""))
    return {"key": key, "title": title, "unit": unit, "lines": lines.get(key, []),
            "bins": bins_of([step["step"] for step in steps], values) if values else None,
            "dots": dots, "scale": "log" if is_log else "linear"}


def bins_of(steps: Sequence[int], values: Sequence[float]) -> dict[str, np.ndarray]:
    """At most MOST_BINS bins of equally many consecutive steps (the last may have fewer): the first
    and the last step, and the smallest, the mean and the largest value of each, (B,)."""
    each = -(-len(steps) // MOST_BINS)
    begins = np.arange(0, len(steps), each)  # (B,)
    values = np.asarray(values, np.float64)
    counts = np.diff([*begins, len(steps)])
    return {"first": np.asarray(steps)[begins], "last": np.asarray(steps)[begins + counts - 1],
            "low": np.minimum.reduceat(values, begins), "high": np.maximum.reduceat(values, begins),
            "mean": np.add.reduceat(values, begins) / counts}
