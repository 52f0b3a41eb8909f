"""Fixtures of the command line: a text, a run of both models; a labelled world, a run of each task.
"""

import os
from pathlib import Path

import pytest
from tests.cli.command_line import pretrain, write_text
from tests.cli.labelled_world import FILES, finetune, make_world

from minibert.__main__ import main


@pytest.fixture(scope="module", autouse=True)
def quick_disk():
    """What is written need not have reached the disk: that is not what these tests are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def runs(world) -> dict[str, Path]:
    """One run of each task."""
    made = {}
    for task in FILES:
        made[task] = world / f"run-{task}"
        assert main(finetune(task, world, made[task])) == 0
    return made


@pytest.fixture(scope="session")
def text(tmp_path_factory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "animals.txt")


@pytest.fixture(scope="session")
def both(text, tmp_path_factory) -> Path:
    """A BERT and a GPT after 12 steps, in bert/ and gpt/."""
    out = tmp_path_factory.mktemp("runs") / "both"
    assert main(pretrain("both", text, out, "--steps", "12", "--eval-every", "6")) == 0
    return out
