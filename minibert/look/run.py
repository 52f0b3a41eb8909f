"""The view of trainings: curves with baselines, a verdict, samples, the film."""

from __future__ import annotations

import numpy as np

from minibert.look.curves import chart_svg, chart_text
from minibert.look.data import add_array, add_view, array_name
from minibert.look.film import encoded
from minibert.look.subject import visible
from minibert.look.verdict import FACT, GOOD, WARNING, verdict

INTRO = ("Each band reaches from the smallest to the largest training loss of some consecutive "
         "steps, the line in it is their mean: nothing is smoothed. Dots are the held-out text. "
         "Dashed lines are what a loss is to be compared with: equal probabilities (ln V), "
         "counting words or pairs of words in the training text and, in the toy world, the exact "
         "probabilities.")
MARKS = {FACT: "", GOOD: "ok", WARNING: "!"}


def add_training(data: dict, histories: list[dict]) -> None:
    """Add the view of the trainings in `histories` (see history.read_histories)."""
    runs, pictures, tables = [], [], []
    for i, history in enumerate(histories):
        found = verdict(history)
        charts = [_chart(data, i, chart) for chart in history["charts"]]
        bins = next(chart["bins"] for chart in history["charts"] if chart["bins"])
        runs.append({
            "name": history["name"], "steps_done": history["steps_done"], "verdict": found,
            "samples": history["samples"], "charts": charts, "film": _film(history),
            "first": bins["first"].tolist(), "last": bins["last"].tolist()})
        chart = history["charts"][0]
        pictures.append({"svg": chart_svg(chart, history["name"]),
                         "text": chart_text(chart, history["name"])})
        tables += run_tables(history, found)
    add_view(data, "run", "Training", INTRO, tables, runs=runs, static=pictures)


def _chart(data: dict, run: int, chart: dict) -> dict:
    """The chart for the page; its bins go into the array "m{run}.run.{key}", low, mean and high."""
    bins, name = chart["bins"], f"run.{chart['key']}"
    if bins is not None:
        add_array(data, array_name(run, name),
                  np.stack([bins["low"], bins["mean"], bins["high"]]), "bound bin")
    return {part: value for part, value in chart.items() if part != "bins"} | {
        "array": None if bins is None else name}


def _film(history: dict) -> dict | None:
    """The film with its arrays in base64: attention in 8 bits, places on the map in 16."""
    film = history["film"]
    if film is None:
        return None
    places = film["map"] / max(np.abs(film["map"]).max(), 1e-9)  # at most 1 in every frame
    return {"steps": film["steps"], "tokens": [visible(token) for token in film["tokens"]],
            "words": [visible(word) for word in film["words"]],
            "causal": history["objective"] == "gpt", "map": encoded(places, "f16"),
            "attention": encoded(film["attention"], "u8")}


def run_tables(history: dict, found: list[tuple[str, str]]) -> list[dict]:
    """The verdict, the evaluations and the samples of a training as tables of texts."""
    name = history["name"]
    sentences = [[MARKS[kind], text] for kind, text in found]
    tables = [{"caption": f"{name}: what the curves say",
               "rows": [["", "about this training"], *sentences]}]
    evaluations = history["evaluations"]
    if evaluations:
        keys = [key for key in evaluations[-1] if key != "step"]
        tables.append({"caption": f"{name}: held out", "rows": [
            ["step", *keys], *[[str(record["step"]), *[_figure(record.get(key)) for key in keys]]
                               for record in evaluations]]})
    lines = [[chart["key"], line["label"], _figure(line["value"])] for chart in history["charts"]
             for line in chart["lines"]]
    tables.append({"caption": f"{name}: to compare with",
                   "rows": [["of", "what", "value"], *lines]})
    if history["samples"]:
        tables.append({"caption": f"{name}: samples", "rows": [["step", "text"], *[
            [str(sample["step"]), line] for sample in history["samples"]
            for line in sample["lines"]]]})
    return tables


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
