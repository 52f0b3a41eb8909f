"""Curves without JavaScript: a chart of a run as SVG, and as text."""

from __future__ import annotations

import html
import math

from minibert.training.report import loss_curve

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 300, 56, 190, 12, 34
LABEL = 16  # the least distance of two labels
MARGIN = 0.04  # above the largest and below the smallest value


def chart_text(chart: dict, name: str) -> list[str]:
    """A chart of history.py of the run `name` as lines of at most 80 columns."""
    bins = chart["bins"]
    points = [] if bins is None else list(zip(bins["last"].tolist(), bins["mean"].tolist()))
    lines = [(line["label"], line["value"]) for line in chart["lines"]]
    unit = chart["unit"] and f", {chart['unit']}"
    return [f"{name}: {chart['title'].lower()}{unit}"[:80],
            *loss_curve(points, chart["dots"], lines)]


def chart_svg(chart: dict, name: str) -> str:
    """A chart of history.py of the run `name` as SVG with a caption: the band from the smallest
    to the largest value of each bin, its mean, the held-out points, and the baselines with their
    numbers at the right."""
    bins, lines = chart["bins"], chart["lines"]
    place = math.log if chart["scale"] == "log" else float
    shown = [*bins["low"], *bins["high"], *[value for _, value in chart["dots"]],
             *[line["value"] for line in lines]]
    low, high = place(min(shown)), place(max(shown))
    margin = MARGIN * (high - low) or 1
    low, high = low - margin, high + margin
    last = max([bins["last"][-1], *[step for step, _ in chart["dots"]]])

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * step / last, 1)

    def y(value: float) -> float:
        share = (place(value) - low) / (high - low)
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)

    middle = (bins["first"] + bins["last"]) / 2
    upper = [f"{x(step)},{y(value)}" for step, value in zip(middle, bins["high"])]
    lower = [f"{x(step)},{y(value)}" for step, value in zip(middle, bins["low"])]
    mean = [f"{x(step)},{y(value)}" for step, value in zip(middle, bins["mean"])]
    parts = [f'<polygon class="band" points="{" ".join(upper + lower[::-1])}"/>',
             f'<polyline class="mean" points="{" ".join(mean)}"/>']
    parts += [f'<circle class="dot" cx="{x(step)}" cy="{y(value)}" r="3.5"/>'
              for step, value in chart["dots"]]
    for line, at in zip(lines, apart([y(line["value"]) for line in lines])):
        parts.append(f'<path class="baseline" d="M{LEFT} {y(line["value"])}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{at + 4}">'
                     f'{html.escape(line["label"])} {line["value"]:.3f}</text>')
    parts += [f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>']
    parts += [f'<text class="end" x="{LEFT - 6}" y="{y(value) + 4}">{value:.4g}</text>'
              for value in (min(shown), max(shown))]
    parts += [f'<text x="{LEFT}" y="{HEIGHT - 10}">step 0</text>',
              f'<text class="end" x="{WIDTH - RIGHT}" y="{HEIGHT - 10}">{last:,}</text>']
    caption = html.escape(f"{name}: {chart['title'].lower()} by step; band and line: training, "
                          "dots: held out")
    return (f'<figure><figcaption>{caption}</figcaption><svg class="chart" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{caption}">'
            + "".join(parts) + "</svg></figure>")


def apart(places: list[float]) -> list[float]:
    """Labels' places (from the top down), moved so that two are at least LABEL apart and none is
    below the chart."""
    moved = []
    for place in places:
        moved.append(max(place, moved[-1] + LABEL) if moved else place)
    below = HEIGHT - BOTTOM
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], below)
        below = moved[i] - LABEL
    return moved
