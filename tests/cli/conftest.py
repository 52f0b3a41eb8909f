"""What the tests of fine-tuning share: a small world, and a run of each task."""

import os
from pathlib import Path

import pytest
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
