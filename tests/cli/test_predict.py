"""`predict`: files of predictions, whole or not at all."""

import json

from tests.cli.command_line import files_below, mistake, output_of
from tests.cli.labelled_world import FILES


def test_predictions_are_written_whole_in_the_form_of_the_field(world, runs, tmp_path, capsys):
    written = {}
    for task, ending in FILES.items():
        out = tmp_path / f"predicted-{task}"
        output_of(capsys, "predict", runs[task], "--file", world / f"dev.{ending}", "--out", out)
        written[task] = out.read_text(encoding="utf-8")
        before = files_below(tmp_path)
        assert "exists already" in mistake(capsys, "predict", runs[task], "--file",
                                           world / f"dev.{ending}", "--out", out)
        assert files_below(tmp_path) == before
    for task in ("classify", "pair", "choice"):
        lines = [json.loads(line) for line in written[task].splitlines()]
        assert len(lines) == 20 and all(set(line) == {"label", "probabilities"} for line in lines)
    assert written["tag"].count("\n\n") == 19 and "lives\t" in written["tag"]
    answers = json.loads(written["answer"])
    assert len(answers) == 27 and "0n" in answers
    other = tmp_path / "other.tsv"
    other.write_text("sentence\tlabel\nanna sleeps .\tunheard of\n")
    output_of(capsys, "predict", runs["classify"], "--file", other, "--out", tmp_path / "other")
    assert json.loads((tmp_path / "other").read_text())["label"] in ("neg", "pos")
    unlabelled = tmp_path / "words.txt"
    unlabelled.write_text("anna\nsleeps\n")
    output_of(capsys, "predict", runs["tag"], "--file", unlabelled, "--out", tmp_path / "tags.txt")
    assert (tmp_path / "tags.txt").read_text().startswith("anna\t")
    endings = tmp_path / "endings.csv"
    endings.write_text("context,ending0,ending1\nanna,sleeps,lives\n")
    output_of(capsys, "predict", runs["choice"], "--file", endings, "--out", tmp_path / "chosen")
    assert json.loads((tmp_path / "chosen").read_text())["label"] in (0, 1)


def test_a_full_disk_leaves_no_predictions(world, runs, tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minibert.atomic_files.os.fsync", full)
    mistake(capsys, "predict", runs["tag"], "--file", world / "dev.conll", "--out",
            tmp_path / "tags.txt")
    assert files_below(tmp_path) == {}
