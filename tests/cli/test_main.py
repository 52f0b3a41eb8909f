"""`python -m minibert`: words that are not understood, and output that cannot be written."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command_line import mistake, pretrain, write_text

import minibert as mb
from minibert.__main__ import main
from minibert.cli.parser import SUMMARIES, command_module, parse

ROOT = Path(__file__).parents[2]


def run(*arguments, shell: str = "", **environment) -> subprocess.CompletedProcess:
    """A command in a process of its own; `shell` redirects its output."""
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTHONPATH=str(ROOT),
                       PYTHONUNBUFFERED="", **environment)  # as most users have it
    command = [sys.executable, "-m", "minibert", *map(str, arguments)]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, env=environment)


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
    (("pretrain", "gpt", "--seed", "9" * 5000), "invalid int value"),
    (("info",), "required: RUN"),
    (("compare", "x"), "required: RUN"),
    (("generate", "x", "--top-k", "1.5"), "invalid int value"),
    (("gradcheck", "--method", "guess"), "invalid choice: 'guess'"),
    (("info", ""), "argument RUN: expected a name"),
    (("pretrain", "gpt", "--out", ""), "argument --out: expected a name"),
    (("pretrain", "gpt", "--text", ""), "argument --text: expected a name"),
    (("finetune", "tag", "--train", ""), "argument --train: expected a name"),
    (("predict", "x", "--file", "y", "--out", "a\0b"), "zero byte"),
])
def test_words_that_are_not_understood(capsys, arguments, words):
    line = mistake(capsys, *arguments)
    assert words in line and len(line) < 400


@pytest.mark.parametrize("command", SUMMARIES)
def test_every_command_lists_its_options(capsys, command):
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert leaving.value.code == 0 and SUMMARIES[command].split()[0] in shown
    assert ("RUN" in shown) == (command not in ("pretrain", "finetune", "gradcheck", "road"))
    module = command_module(command)
    assert module.__name__ == f"minibert.cli.{command.replace('-', '_')}"


def test_a_command_is_parsed_to_the_arguments_of_its_function():
    module, arguments = parse(["fill-mask", "run", "a [MASK]", "--top", "3"])
    assert module.__name__ == "minibert.cli.fill_mask"
    assert arguments == {"folder": "run", "text": "a [MASK]", "top": 3}


def test_the_version_stands_in_one_place(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"minibert {mb.__version__}\n"
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["metadata"]["version"] == "attr: minibert.version.__version__"


def test_characters_that_a_terminal_cannot_show_do_not_end_a_command(tmp_path):
    snow = write_text(tmp_path / "snow.txt")
    snow.write_text(snow.read_text().replace("fish", "\u2603"), encoding="utf-8")
    done = run(*pretrain("bert", snow, tmp_path / "run", "--steps", "2"),
               PYTHONIOENCODING="latin-1")
    assert done.returncode == 0 and b"\\u2603" in done.stdout, done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux' /dev/full")
@pytest.mark.parametrize("shell, words", [
    (">&-", b"standard output is closed"), (">/dev/full", b"standard output: No space left"),
    (">/dev/full 2>&-", b""), (">&- 2>&-", b"")])
def test_output_that_is_closed_or_full(both, shell, words):
    for command in (["info", both / "gpt"], ["generate", both, "--tokens", "3"],
                    ["score", both, "the cat"]):
        done = run(*command, shell=shell)
        assert done.returncode == 2 and done.stdout == b"", done
        assert len(done.stderr.splitlines()) == bool(words) and words in done.stderr


def test_a_reader_that_has_enough_is_no_error(both):
    done = run("info", both / "gpt", shell="| head -n 1")
    assert done.stdout.count(b"\n") == 1 and done.stderr == b""


def test_ctrl_c_ends_a_command_without_a_traceback(both, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("minibert.cli.score.scored", interrupted)
    assert main(["score", str(both), "the cat"]) == 130
    assert capsys.readouterr().err == "minibert: stopped\n"


def test_an_error_of_the_system_names_its_file(both, capsys, monkeypatch):
    def damaged(*arguments):
        raise OSError(5, "Input/output error", "model.safetensors")

    monkeypatch.setattr("minibert.cli.score.open_model", damaged)
    line = mistake(capsys, "score", both, "the cat")
    assert line == "minibert score: model.safetensors: Input/output error"
