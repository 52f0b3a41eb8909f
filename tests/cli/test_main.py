"""`python -m minibert`: words that are not understood, and output that cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command_line import mistake, pretrain, write_text

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments, words", [
    ((), "required: command"),
    (("train",), "invalid choice: 'train'"),
    (("pretrain",), "required: model"),
    (("pretrain", "elmo"), "invalid choice: 'elmo'"),
    (("pretrain", "gpt", "--layers", "two"), "invalid int value: 'two'"),
    (("pretrain", "gpt", "--resume", "false"), "unrecognized arguments: false"),
    (("pretrain", "bert", "--norm-first", "false"), "unrecognized arguments: false"),
    (("pretrain", "gpt", "--step", "3"), "unrecognized arguments: --step"),
    (("pretrain", "gpt", "--betas", "0.9"), "expected 2 arguments"),
    (("pretrain", "gpt", "--corpus", "toy", "--text", "x"), "not allowed with"),
    (("info",), "required: RUN"),
    (("compare", "x"), "required: RUN"),
    (("generate", "x", "--top-k", "1.5"), "invalid int value"),
    (("gradcheck", "--method", "guess"), "invalid choice: 'guess'"),
])
def test_words_that_are_not_understood(capsys, arguments, words):
    assert words in mistake(capsys, *arguments)


def test_characters_that_a_terminal_cannot_show_do_not_end_a_command(text, tmp_path):
    snow = write_text(tmp_path / "snow.txt")
    snow.write_text(snow.read_text().replace("fish", "\u2603"), encoding="utf-8")
    arguments = pretrain("bert", snow, tmp_path / "run", "--steps", "2")
    done = subprocess.run([sys.executable, "-m", "minibert", *arguments], cwd=ROOT,
                          capture_output=True, env=dict(os.environ, PYTHONIOENCODING="latin-1"))
    assert done.returncode == 0 and b"\\u2603" in done.stdout, done.stderr
