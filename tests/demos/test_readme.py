"""demos/README.md and tests/README.md: their files, commands and figures exist and are right."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minibert as mb
from minibert.data.corpora import toy_corpus
from minibert.pretraining.gpt_objective import NextTokenObjective
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.oracle import Oracle

ROOT = Path(__file__).resolve().parents[2]
DEMOS = (ROOT / "demos/README.md").read_text(encoding="utf-8")
TESTS = (ROOT / "tests/README.md").read_text(encoding="utf-8")


def test_the_ladder_lists_every_demo_in_order():
    numbered = [path.name for path in sorted((ROOT / "demos").glob("[0-9]*.py"))]
    assert re.findall(r"^\| `(\d\d_\w+\.py)` \|", DEMOS, re.MULTILINE) == numbered
    for path in (ROOT / "demos").glob("*.py"):
        assert path.name in DEMOS


@pytest.mark.parametrize("text, folder", [(DEMOS, "demos"), (TESTS, "tests")])
def test_named_files_exist(text, folder):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    names = re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|txt|md))`", text)
    assert links or names
    for name in [*links, *names]:
        assert any((root / name).exists() for root in (ROOT, ROOT / folder)), name


def test_the_benchmark_has_the_options_that_are_shown():
    options = set(re.findall(r"benchmark\.py.*", DEMOS))
    options = set(re.findall(r" (--[\w-]+)", " ".join(options)))
    shown = subprocess.run([sys.executable, str(ROOT / "demos/benchmark/benchmark.py"), "--help"],
                           capture_output=True, text=True, check=True).stdout
    assert len(options) >= 8 and all(f" {option}" in shown for option in options)


def test_every_script_that_makes_reference_numbers_is_listed():
    for path in (ROOT / "tests").rglob("make_*reference.py"):
        assert path.name in TESTS


@pytest.fixture(scope="module")
def world():
    return ToyWorld()


def test_the_toy_world_is_as_described(world):
    assert f"with {world.num_states} states" in DEMOS
    assert re.search(rf"sentences of {len(world.words)}\s+words", DEMOS)


def test_what_one_sided_reading_costs(world):
    texts = toy_corpus(n_documents=1).held_out_texts[:300]
    objective = NextTokenObjective(mb.BertTokenizer.from_words(world.words), texts, texts, 48, 1)
    windows = np.concatenate([b.input_ids for b in objective.held_out_batches()])[:-1]
    left, both = Oracle(world, objective.tokenizer).leave_one_out(windows)
    assert f"{-left.mean():.3f} nats" in DEMOS and f"{-both.mean():.3f} nats" in DEMOS
    assert f"{both.mean() - left.mean():.2f} nats" in DEMOS
