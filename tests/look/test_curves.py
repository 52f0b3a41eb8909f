"""Curves without JavaScript: what stands where, in SVG and in text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.look.small_runs import falling, records, write_run

from minibert.look.history import read_histories
from minibert.look.run import BOTTOM, LABEL, TOP, apart, chart_svg, chart_text


@pytest.fixture
def chart(tmp_path):
    run = write_run(tmp_path / "a", records(falling(), {0: 4.2, 20: 2.7, 40: 1.25}))
    return read_histories([run])[0]["charts"][0]


def test_higher_losses_stand_higher_and_each_line_has_its_name_and_number(chart):
    svg = chart_svg(chart, "a <run>")
    mean = [float(y) for y in re.findall(r",([\d.]+)", re.search(
        r'class="mean" points="([^"]*)"', svg)[1])]
    assert mean == sorted(mean) and len(mean) == 40
    dots = [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]
    assert len(dots) == 3 and dots == sorted(dots)
    for label in ("knowing nothing: ln V 4.000", "counting words 3.000",
                  "counting pairs of words 2.000", "the best possible 1.000"):
        assert f">{label}</text>" in svg
    baselines = [float(y) for y in re.findall(r'class="baseline" d="M56 ([\d.]+)H', svg)]
    # 4, 3, 2 and 1 nats are evenly spaced
    assert baselines[1] - baselines[0] == pytest.approx(baselines[3] - baselines[2], abs=0.2)
    assert "a <run>" not in svg and "a &lt;run&gt;" in svg and "style=" not in svg


@given(st.lists(st.floats(TOP, BOTTOM), min_size=1, max_size=7))
def test_labels_never_overlap_nor_leave_the_chart(places):
    moved = apart(sorted(places))
    assert all(b - a >= LABEL - 1e-9 for a, b in zip(moved, moved[1:]))
    assert moved[-1] <= BOTTOM
    if all(b - a >= LABEL for a, b in zip(sorted(places), sorted(places)[1:])):
        assert moved == sorted(places)


def test_a_loss_of_many_powers_of_ten_has_a_scale_of_powers(tmp_path):
    run = write_run(tmp_path / "a", records([1.0, 10.0, 100.0, 1000.0], {0: 1.0}), baselines={},
                    oracle=None)
    chart = read_histories([run])[0]["charts"][0]
    ys = [float(y) for y in re.findall(r",([\d.]+)", re.search(
        r'class="mean" points="([^"]*)"', chart_svg(chart, "a"))[1])]
    steps = [a - b for a, b in zip(ys, ys[1:])]
    assert chart["scale"] == "log" and max(steps) - min(steps) < 0.3


def test_the_chart_as_text_fits_80_columns_and_names_its_lines(chart):
    first, *lines = chart_text(chart, "a")
    assert first == "a: loss, nats per token"
    assert max(map(len, lines)) <= 80 and all(line.isascii() for line in lines)
    assert lines[-4:] == ["   4.000 - - knowing nothing: ln V", "   3.000 - - counting words",
                          "   2.000 - - counting pairs of words", "   1.000 - - the best possible"]
    assert lines[0].startswith("   4.200 |") and "   1.000 |" in "\n".join(lines)
    assert sum(line.count("o") for line in lines[:12]) == 3
