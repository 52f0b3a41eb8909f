"""The README files tell the truth: their Python runs, their commands parse, their files exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minibert.cli.parser import parse

ROOT = Path(__file__).resolve().parents[1]
READMES = sorted(path for path in ROOT.rglob("README.md") if ".venv" not in path.parts)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for found, block in blocks if found == language]


def test_the_first_lines_of_python_give_the_outputs_beside_them():
    """A comment behind two blanks is what the expression before it prints."""
    names, shown = {}, 0
    for line in code_blocks(text_of("README.md"), "python")[0].splitlines():
        code, _, comment = line.partition("  #")
        if comment:
            value = eval(code, names)
            assert comment.strip().startswith(str(value)), line
            shown += 1
        else:
            exec(code, names)
    assert shown >= 4 and names["np"] is np


def commands() -> list[str]:
    """Every `python -m minibert COMMAND ...` in a block of the front door."""
    return [line.partition("  #")[0].strip()
            for block in code_blocks(text_of("README.md"), "")
            for line in block.splitlines() if re.match(r"python -m minibert \w", line)]


@pytest.mark.parametrize("command", commands())
def test_commands_parse(command):
    words = shlex.split(command)[3:]
    module, _ = parse(words)
    assert module.__name__ == f"minibert.cli.{words[0].replace('-', '_')}"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(readme):
    text = readme.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("http") or (readme.parent / target).exists(), target
    for target in re.findall(r"`((?:minibert|tests|demos)/[\w/]+\.(?:py|txt|md|npz))`", text):
        assert (ROOT / target).exists(), target


def test_the_front_door_is_short():
    assert text_of("README.md").count("\n") <= 200


def test_the_debugger_stops_where_the_table_says(tmp_path):
    text = text_of("README.md")
    section = text[text.index("## Step through"):]
    (tmp_path / "step.py").write_text(code_blocks(section, "python")[0], encoding="utf-8")
    stops = code_blocks(section, "")[0]
    looks = ["batch.input_ids[0]", "heads[0].shape", "mean.shape", "grad.shape", "step, w.size"]
    session = stops + "".join([f"c\np {look}\n" for look in looks]) + "c\n"
    done = subprocess.run([sys.executable, "step.py"], input=session, cwd=tmp_path, text=True,
                          capture_output=True, env=dict(os.environ, PYTHONPATH=str(ROOT)))
    assert done.returncode == 0 and "***" not in done.stdout, done.stdout + done.stderr
    places = re.findall(r"^> .*?(\w+)\.py\(\d+\)(\w+)\(\)", done.stdout.replace("(Pdb) ", "\n"),
                        re.MULTILINE)
    assert places == [("gpt_objective", "losses"), ("attention", "attention_forward"),
                      ("layers", "layer_norm_backward"), ("attention", "attention_backward"),
                      ("optim", "update")]
    assert "(4, 3, 8, 4)" in done.stdout
