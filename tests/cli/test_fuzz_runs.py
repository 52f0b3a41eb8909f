"""A small, always equal share of `fuzz_runs.py`: damaged runs are refused in one line, or used."""

import os
import tracemalloc

import pytest
from tests.cli.fuzz_runs import run


@pytest.fixture(autouse=True)
def memory():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in the file system")
@pytest.mark.parametrize("share", range(3))
def test_damaged_runs_are_refused_or_used(world, runs, tmp_path, share):
    both = {name: world / "both" / name for name in ("bert", "gpt")}
    outcomes = [run(seed, both | runs, world, tmp_path) for seed in range(share * 25,
                                                                          share * 25 + 25)]
    assert 3 < outcomes.count("done") < 25, "some changes matter"
    assert len(set(outcomes)) > 2, "and they are told apart"
