"""A small, always equal share of `fuzz.py`: damaged folders are refused, in one line, at once."""

import sys
import tracemalloc
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tests.checkpoints.fuzz import make_folders, run, use  # noqa: E402


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def folders(root):
    folders = make_folders(root)
    for folder, model_class in folders:  # sound before anything is changed
        use(folder, model_class)
    return folders


@pytest.fixture(autouse=True)
def memory():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("share", range(4))
def test_damaged_folders_are_refused_or_opened(root, folders, share):
    outcomes = [run(seed, folders, root) for seed in range(share * 60, share * 60 + 60)]
    assert 5 < outcomes.count("opened") < 30, "most mutations matter"
    assert len(set(outcomes)) > 15, "and they are told apart"
