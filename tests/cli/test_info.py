"""`info`: runs at every stage, and models' folders."""

import pytest
from tests.cli.command_line import mistake, output_of, pretrain

from minibert.__main__ import main


def test_info_and_compare(both, capsys):
    shown = output_of(capsys, "info", both / "bert")
    assert "12 of 12 steps" in shown and "held out: mlm_accuracy" in shown and "o held out" in shown
    shown = output_of(capsys, "compare", both / "bert", both / "gpt")
    assert "mlm_loss" in shown and "bits_per_character" in shown and "seconds" in shown


def test_info_of_a_run_that_was_stopped_before_its_first_step(text, tmp_path, capsys, monkeypatch):
    def stopped(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("minibert.training.trainer.Trainer.run", stopped)
    assert main(pretrain("gpt", text, tmp_path / "run", "--steps", "9")) == 130
    monkeypatch.undo()
    capsys.readouterr()
    assert "0 of 9 steps, not finished" in output_of(capsys, "info", tmp_path / "run")
    output_of(capsys, "pretrain", "gpt", "--resume", "--out", tmp_path / "run")
    assert "9 of 9 steps" in output_of(capsys, "info", tmp_path / "run")


@pytest.mark.parametrize("command, words", [
    (("info", "{no}"), "no such folder"),
    (("info", "{both}"), "name one of its runs"),
    (("info", "{empty}"), "no run is in this folder"),
    (("compare", "{both}/bert", "{no}"), "no such folder"),
])
def test_questions_that_cannot_be_answered(both, tmp_path, capsys, command, words):
    (tmp_path / "empty").mkdir()
    places = {"both": both, "no": tmp_path / "nothing", "empty": tmp_path / "empty"}
    assert words in mistake(capsys, *[word.format(**places) for word in command])
