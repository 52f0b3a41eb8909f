"""`trace`: both directions, on the screen and in a file."""

import json

import pytest
from tests.cli.command_line import files_below, mistake, output_of


def test_trace_shows_both_directions(both, tmp_path, capsys):
    shown = output_of(capsys, "trace", both / "bert", "the cat", "--write",
                      tmp_path / "trace.jsonl")
    assert "forward" in shown and "backward" in shown and "layer_norm" in shown
    assert json.loads((tmp_path / "trace.jsonl").read_text().splitlines()[0])["schema"]
    written = files_below(tmp_path)
    assert "exists already" in mistake(capsys, "trace", both / "bert", "a", "--write",
                                       tmp_path / "trace.jsonl")
    assert files_below(tmp_path) == written


def test_a_full_disk_leaves_no_half_trace(both, tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minibert.atomic_files.os.fsync", full)
    line = mistake(capsys, "trace", both / "gpt", "the cat", "--write", tmp_path / "ops.jsonl")
    assert "ops.jsonl: No space left on device: free some space" in line
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command, words", [
    (("trace", "{both}/gpt", "cat " * 60), "positions"),
    (("trace", "{both}/gpt", "cat", "--write", "{no}/file"), "no such folder"),
])
def test_questions_that_cannot_be_answered(both, tmp_path, capsys, command, words):
    (tmp_path / "empty").mkdir()
    places = {"both": both, "no": tmp_path / "nothing", "empty": tmp_path / "empty"}
    assert words in mistake(capsys, *[word.format(**places) for word in command])
