"""The experiment on a small setting: every figure is computed once and kept; it goes on where it
was stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = str(ROOT / "demos" / "13_does_pretraining_pay.py")
SMALL = ["--sizes", "8", "--largest", "8", "--seeds", "1", "--steps", "1", "--epochs", "1",
         "--dev", "6", "--test", "10", "--documents", "100"]


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, DEMO, "--out", "out", *SMALL, *arguments], capture_output=True, text=True,
        cwd=folder, env=dict(os.environ, PYTHONPATH=str(ROOT), PYTHONIOENCODING="utf-8"))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """All sources on two tasks, one of them for GPT, too."""
    folder = tmp_path_factory.mktemp("pays")
    result = run(folder, "--tasks", "same-topic", "questions", "--rates", "1e-3")
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def figures(folder):
    return json.loads((folder / "out" / "figures.json").read_text())["figures"]


@pytest.mark.slow
def test_every_source_has_its_row_and_gpt_only_for_sentences(first):
    folder, said = first
    tables = said[said.index("same-topic, accuracy on the test"):].split("\n\n")
    rows = [[line.split()[0] for line in table.splitlines()[2:]] for table in tables[:2]]
    sources = ["scratch", "both", "frozen", "mlm", "nsp", "gpt"]
    assert rows[0] == ["baseline", "counting", *sources, "best"]
    assert rows[1] == ["baseline", "counting", *sources[:-1], "best"]
    assert "What it shows:" in said and "points under the best possible score" in said
    assert sorted(path.name for path in (folder / "out" / "pretrained").iterdir()) == [
        "both-1", "gpt-1", "mlm-1", "nsp-1"]


@pytest.mark.slow
def test_what_is_known_is_kept_and_the_rate_is_chosen_on_dev(first):
    """One figure is changed, one is taken out, and a rate that is best on dev comes in."""
    folder, _ = first
    path = folder / "out" / "figures.json"
    content = json.loads(path.read_text())
    content["figures"]["questions best"]["expected"] = 0.123
    content["figures"]["questions scratch 8 seed 1 rate 0.002"] = {"dev": 2.0, "test": 0.777}
    del content["figures"]["questions scratch 8 seed 1 rate 0.001"]
    path.write_text(json.dumps(content))
    said = run(folder, "--tasks", "questions", "--sources", "scratch", "--rates", "1e-3",
               "2e-3").stdout
    assert "best possible score is 12.3%" in said
    computed = [line for line in said.splitlines() if line.startswith("  ") and "(" in line]
    assert len(computed) == 1 and "scratch 8 seed 1 rate 0.001" in computed[0]
    assert "questions scratch 8 seed 1 rate 0.001" in figures(folder)
    [row] = [line for line in said.splitlines() if line.startswith("scratch")]
    assert row.split() == ["scratch", "77.7"]


@pytest.mark.slow
def test_figures_of_other_settings_are_not_mixed(first):
    folder, _ = first
    result = run(folder, "--tasks", "questions", "--test", "11")
    assert result.returncode != 0 and "give another --out" in result.stderr
