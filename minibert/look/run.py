"""The view of trainings: curves with baselines, a verdict, samples, the film. Without JavaScript
the loss is there as SVG, in the terminal as text."""

from __future__ import annotations

import html

import numpy as np

from minibert.look.data import add_array, add_view, coded, table
from minibert.look.verdict import FACT, GOOD, WARNING, verdict
from minibert.training.report import loss_curve

INTRO = ("Each band reaches from the smallest to the largest training loss of some consecutive "
         "steps, the line in it is their mean: nothing is smoothed. Dots are the held-out text. "
         "Dashed lines are what a loss is to be compared with: equal probabilities (ln V), "
         "counting words or pairs of words in the training text and, in the toy world, the exact "
         "probabilities.")
MARKS = {FACT: "", GOOD: "ok", WARNING: "!"}
WIDTH, HEIGHT = 760, 300  # of the SVG
LEFT, RIGHT, TOP, BOTTOM = 56, 570, 12, 266  # the edges of the chart in it
LABEL = 16  # the least distance of two labels
MARGIN = 0.04  # above the largest and below the smallest value


def add_training(data: dict, histories: list[dict]) -> None:
    """Add the view of the trainings in `histories` (see history.read_histories). The bins of a
    chart are the array "m{run}.run.{key}": low, mean and high, (3, B)."""
    runs, pictures, tables, largest = [], [], [], np.finfo(np.float32).max
    for i, history in enumerate(histories):
        charts = [{part: value for part, value in chart.items() if part != "bins"}
                  for chart in history["charts"]]
        for chart in history["charts"]:
            if chart["bins"] is not None:
                bounds = np.stack([chart["bins"][bound] for bound in ("low", "mean", "high")])
                add_array(data, i, f"run.{chart['key']}", bounds.clip(-largest, largest),
                          "bound bin")
        film = history["film"]
        if film is not None:
            places = film["map"] / max(np.abs(film["map"]).max(), 1e-9)  # at most 1 in every frame
            film |= {"causal": history["objective"] == "gpt", "map": coded(places, "f16"),
                     "attention": coded(film["attention"], "u8")}
        found, main = verdict(history), history["charts"][0]
        runs.append({
            "name": history["name"], "steps_done": history["steps_done"], "verdict": found,
            "samples": history["samples"], "charts": charts, "film": film,
            "first": main["bins"]["first"].tolist(), "last": main["bins"]["last"].tolist()})
        pictures.append({"svg": chart_svg(main, history["name"]),
                         "text": chart_text(main, history["name"])})
        tables += run_tables(history, found)
    add_view(data, "run", "Training", INTRO, tables, runs=runs, static=pictures)


def run_tables(history: dict, found: list[tuple[str, str]]) -> list[dict]:
    """The verdict, the evaluations and the samples of a training as tables of texts."""
    name, evaluations = history["name"], history["evaluations"]
    keys = [key for key in (evaluations or [{}])[-1] if key != "step"]
    figures = [[str(record["step"]),
                *[f"{record[key]:.4f}" if key in record else "" for key in keys]]
               for record in evaluations]
    lines = [[chart["key"], line["label"], f"{line['value']:.4f}"] for chart in history["charts"]
             for line in chart["lines"]]
    samples = [[str(sample["step"]), line] for sample in history["samples"]
               for line in sample["lines"]]
    tables = [table(f"{name}: what the curves say", ["", "about this training"],
                    [[MARKS[kind], text] for kind, text in found]),
              table(f"{name}: held out", ["step", *keys], figures),
              table(f"{name}: to compare with", ["of", "what", "value"], lines),
              table(f"{name}: samples", ["step", "text"], samples)]
    return [one for one in tables if len(one["rows"]) > 1]


def chart_text(chart: dict, name: str) -> list[str]:
    """A chart of history.py of the run `name` as lines of at most 80 columns."""
    bins = chart["bins"]
    points = [] if bins is None else list(zip(bins["last"].tolist(), bins["mean"].tolist()))
    lines = [(line["label"], line["value"]) for line in chart["lines"]]
    unit = chart["unit"] and f", {chart['unit']}"
    return [f"{name}: {chart['title'].lower()}{unit}"[:80],
            *loss_curve(points, chart["dots"], lines)]


def chart_svg(chart: dict, name: str) -> str:
    """A chart of history.py of the run `name` as SVG: each bin's band and mean, the held-out
    points, and the baselines with their numbers at the right."""
    bins, lines = chart["bins"], chart["lines"]
    scale = np.log if chart["scale"] == "log" else np.asarray
    shown = [*bins["low"], *bins["high"], *[value for _, value in chart["dots"]],
             *[line["value"] for line in lines]]
    low, high = scale([min(shown), max(shown)])
    margin = MARGIN * (high - low) or 1
    last = max([bins["last"][-1], *[step for step, _ in chart["dots"]]])

    def x(step: float) -> float:
        return np.interp(step, [0, last], [LEFT, RIGHT]).round(1)

    def y(value: float) -> float:
        return np.interp(scale(value), [low - margin, high + margin], [BOTTOM, TOP]).round(1)

    middle = (bins["first"] + bins["last"]) / 2
    upper, lower, mean = [[f"{x(step)},{y(value)}" for step, value in zip(middle, bins[bound])]
                          for bound in ("high", "low", "mean")]
    parts = [f'<polygon class="band" points="{" ".join(upper + lower[::-1])}"/>',
             f'<polyline class="mean" points="{" ".join(mean)}"/>']
    parts += [f'<circle class="dot" cx="{x(step)}" cy="{y(value)}" r="3.5"/>'
              for step, value in chart["dots"]]
    for line, at in zip(lines, apart([y(line["value"]) for line in lines])):
        parts += [f'<path class="baseline" d="M{LEFT} {y(line["value"])}H{RIGHT}"/>',
                  f'<text x="{RIGHT + 8}" y="{at + 4}">{html.escape(line["label"])} '
                  f'{line["value"]:.3f}</text>']
    parts += [f'<text class="end" x="{LEFT - 6}" y="{y(value) + 4}">{value:.4g}</text>'
              for value in (min(shown), max(shown))]
    parts += [f'<path class="axis" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>',
              f'<text x="{LEFT}" y="{HEIGHT - 10}">step 0</text>',
              f'<text class="end" x="{RIGHT}" y="{HEIGHT - 10}">{last:,}</text>']
    caption = html.escape(f"{name}: {chart['title'].lower()} by step; band and line: training, "
                          "dots: held out")
    return (f'<figure><figcaption>{caption}</figcaption><svg class="chart" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{caption}">'
            + "".join(parts) + "</svg></figure>")


def apart(places: list[float]) -> list[float]:
    """Labels' places (from the top down), moved so that two are at least LABEL apart and none is
    below the chart."""
    moved, below = [], BOTTOM
    for place in places:
        moved.append(max(place, moved[-1] + LABEL) if moved else place)
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], below)
        below = moved[i] - LABEL
    return moved
