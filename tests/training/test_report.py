"""What a person sees of a run: the estimate, the line that renews itself, the curve."""

import io
import os
from dataclasses import replace

import numpy as np
import pytest
from tests.training.small_objective import SmallObjective, small_model

from minibert.training.report import Report, estimate, estimate_line, in_words, loss_curve
from minibert.training.trainer import Trainer, TrainingSettings

SETTINGS = TrainingSettings(steps=6, lr=1e-2, warmup=2, eval_every=3)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_estimate_leaves_no_trace(optimizer):
    settings = replace(SETTINGS, optimizer=optimizer)
    estimated, plain = (Trainer(small_model(), SmallObjective(), settings) for _ in range(2))
    figures = estimate(estimated)
    assert figures["parameters"] == sum([p.size for p in plain.model.parameters()])
    assert figures["seconds"] > 0 and (figures["bytes"] is None or figures["bytes"] > 10 ** 7)
    assert "parameters" in estimate_line(figures, 6)
    estimated.run(), plain.run()
    assert estimated.tokens == plain.tokens
    for name, array in plain.model.state_dict().items():
        assert np.array_equal(array, estimated.model.state_dict()[name]), name


@pytest.mark.parametrize("every, evaluations", [(3, 3), (4, 3), (6, 2), (0, 2)])
def test_the_estimate_counts_every_evaluation_the_first_one_too(monkeypatch, every, evaluations):
    monkeypatch.setattr(Trainer, "evaluation_seconds", lambda trainer: 1e6)
    trainer = Trainer(small_model(), SmallObjective(), replace(SETTINGS, eval_every=every))
    assert estimate(trainer)["seconds"] // 1e6 == evaluations
    made = []
    monkeypatch.setattr(Trainer, "evaluate", lambda trainer: made.append(0) or {"loss": 1.0})
    trainer.run()
    assert len(made) == evaluations


def test_the_estimate_counts_the_optimizers_moments(monkeypatch):
    monkeypatch.setattr("minibert.training.report.peak_memory", lambda: 1000)
    trainer = Trainer(small_model(), SmallObjective(), SETTINGS)
    weights = sum([parameter.data.nbytes for parameter in trainer.parameters])
    assert estimate(trainer)["bytes"] == 1000 + 2 * weights
    muon = Trainer(small_model(), SmallObjective(), replace(SETTINGS, optimizer="muon"))
    matrices = 2 * (4 + 8) * 12 * 12 * 4  # of 2 blocks, width 12, in float32
    assert estimate(muon)["bytes"] == 1000 + 2 * weights - matrices


def test_a_terminal_sees_one_line_that_renews_itself_and_a_file_whole_lines(monkeypatch):
    monkeypatch.setattr("minibert.training.report.REFRESH", 0.0)
    monkeypatch.setattr("minibert.training.report.QUIET", 0.0)
    for stream in (Terminal(), io.StringIO()):
        Trainer(small_model(), SmallObjective(), SETTINGS, report=Report(stream),
                samples=lambda model: ["a sample"]).run()
        text = stream.getvalue()
        assert text.count("held out: loss") == 3 and text.count("a sample") == 2
        assert text.count(" left") == 6 and "tokens/s" in text
        if stream.isatty():
            assert text.count("\r") == 6 + 3 + 2 and "left\n" not in text
        else:
            assert "\r" not in text and text.count("left\n") == 6


@pytest.mark.parametrize("seconds, words", [
    (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (12000, "3 h 20 min")])
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


def test_the_curve_falls_from_left_to_right():
    points = [(step, 5.0 - step / 25) for step in range(1, 101)]
    lines = loss_curve(points, [(0, 5.0), (100, 1.5)], width=20, height=5)
    assert len(lines) == 8
    assert lines[0].startswith("   5.000 |o")
    assert lines[4].startswith("   1.080 |"), "a column shows the mean of five steps"
    columns = [lines[row].find(".", 10) for row in range(5) if "." in lines[row][10:]]
    assert columns == sorted(columns)
    assert lines[-2].strip().startswith("step 0") and "100" in lines[-2]


def test_curves_of_nothing_of_one_point_and_of_a_flat_line():
    assert loss_curve([], []) == []
    assert len(loss_curve([(1, 2.0)], [])) == 15
    assert "." in "".join(loss_curve([(step, 1.0) for step in range(5)], []))


def test_a_reader_who_leaves_does_not_end_the_training():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        trained = Trainer(small_model(), SmallObjective(), SETTINGS, report=Report(stream))
        assert trained.run() and trained.steps_done == 6
