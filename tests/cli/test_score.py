"""`score`: the tokens add up."""

import numpy as np
import pytest
from tests.cli.command_line import mistake, output_of


def test_score_adds_up(both, capsys):
    lines = output_of(capsys, "score", both, "the cat sees milk .").splitlines()
    *tokens, last = [float(line.split()[0]) for line in lines]
    assert last == pytest.approx(sum(tokens), abs=1e-3) and all([log_p < 0 for log_p in tokens])
    assert f"{len(tokens)} tokens" in lines[-1]
    perplexity = float(lines[-1].split()[-1])
    assert perplexity == pytest.approx(np.exp(-last / len(tokens)), rel=1e-3)


@pytest.mark.parametrize("name, damage", [
    ("model.safetensors", lambda data: data[:len(data) // 2]),
    ("model.safetensors", lambda data: b"oops"),
    ("config.json", lambda data: b"{"), ("config.json", lambda data: b"[]"),
    ("config.json", lambda data: data.replace(b'"gpt2"', b'"llama"')),
    ("config.json", lambda data: data.replace(b'"n_embd": 16', b'"n_embd": 18')),
    ("vocab.txt", lambda data: data[:9])])
def test_damaged_checkpoints_are_named(both, tmp_path, capsys, name, damage):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for source in (both / "gpt" / "best").iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    line = mistake(capsys, "score", folder, "the cat")
    assert "damaged" in line or "vocabulary" in line


@pytest.mark.parametrize("command, words", [
    (("score", "{both}", ""), "empty"),
    (("score", "{both}", "cat " * 60), "positions"),
    (("score", "{both}/bert", "a"), "holds BertForPreTraining"),
])
def test_questions_that_cannot_be_answered(both, tmp_path, capsys, command, words):
    (tmp_path / "empty").mkdir()
    places = {"both": both, "no": tmp_path / "nothing", "empty": tmp_path / "empty"}
    assert words in mistake(capsys, *[word.format(**places) for word in command])
