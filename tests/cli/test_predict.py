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


def test_columns_that_are_named_are_read(world, runs, tmp_path, capsys):
    for task, text in (("classify", "said,x\nanna likes rome .,bob\n"),
                       ("pair", "said,x\nanna likes rome .,bob sleeps .\n")):
        file = tmp_path / f"{task}.csv"
        file.write_text(text)
        out = ["--out", tmp_path / f"{task}.jsonl"]
        assert "column" in mistake(capsys, "predict", runs[task], "--file", file, *out)
        pair = ["--pair-column", "x"] if task == "pair" else []
        output_of(capsys, "predict", runs[task], "--file", file, "--text-column", "said", *pair,
                  *out)
        assert len((tmp_path / f"{task}.jsonl").read_text().splitlines()) == 1


def test_a_file_that_could_not_be_written_is_refused_before_anything_is_opened(tmp_path, capsys):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, words in (("no/file", "no such folder"), ("dangling", "exists already"),
                        ("x" * 250, "too long")):
        line = mistake(capsys, "predict", tmp_path / "no run", "--file", "no file", "--out",
                       tmp_path / name)
        assert words in line


def test_a_threshold_reaches_the_task(world, runs, tmp_path, capsys):
    shown = output_of(capsys, "evaluate", runs["answer"], "--file", world / "dev.json",
                      "--null-threshold", "-1000")
    scores = {line.split("  ")[0]: line.split()[-3:] for line in shown.splitlines()
              if line.startswith("with")}
    assert scores["without one"][0] == "1.0000" and scores["with an answer"][0] == "0.0000"
    output_of(capsys, "predict", runs["answer"], "--file", world / "dev.json", "--out",
              tmp_path / "out", "--null-threshold", "-1000")
    assert set(json.loads((tmp_path / "out").read_text()).values()) == {""}
