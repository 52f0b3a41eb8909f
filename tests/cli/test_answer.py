"""`answer`: the answer and its line."""

import pytest
from tests.cli.command_line import output_of

from minibert.finetuning.examples import Answer
from minibert.finetuning.tasks.question_answering import PredictedAnswer


def test_questions_on_the_command_line(world, runs, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("\ufeffAnna lives in Rome.\nBob lives in Oslo, too.\n", encoding="utf-8")
    shown = output_of(capsys, "answer", runs["answer"], "--context", text, "--question",
                      "where does bob live ?", "--null-threshold", "1e9")
    answer, line = shown.splitlines()
    found = answer.rsplit("  (", 1)[0]
    assert f"[{found}]" in line and line.replace("[", "").replace("]", "") in text.read_text()
    shown = output_of(capsys, "answer", runs["answer"], "--context", text, "--question", "where ?",
                      "--null-threshold", "-1000")
    assert shown.startswith("the text does not say (")


@pytest.mark.parametrize("found, shown", [
    ("Anna", "[Anna] lives here."), ("Bob", "Where is [Bob]?"), ("Carla", "[Carla] is there.")])
def test_the_line_of_an_answer_is_shown(runs, tmp_path, capsys, monkeypatch, found, shown):
    context = "Anna lives here.\nNothing.\nWhere is Bob?\nNobody knows.\nCarla is there."
    answer = Answer(found, context.index(found))
    monkeypatch.setattr("minibert.cli.answer.predict",
                        lambda *_: [PredictedAnswer(answer, answer, 0.5, 0.0)])
    (tmp_path / "text.txt").write_text(context)
    assert output_of(capsys, "answer", runs["answer"], "--context", tmp_path / "text.txt",
                     "--question", "who ?") == f"{found}  (50.0%)\n{shown}\n"


def test_a_text_without_words_has_no_other_answer(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minibert.cli.answer.predict",
                        lambda *_: [PredictedAnswer(None, None, 1.0, float("inf"))])
    (tmp_path / "text.txt").write_text("\u200d")
    assert output_of(capsys, "answer", runs["answer"], "--context", tmp_path / "text.txt",
                     "--question", "who ?") == "the text does not say (100.0%)\n"
