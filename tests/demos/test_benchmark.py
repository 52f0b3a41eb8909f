"""demos/benchmark runs, this engine alone, and says what it should."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

DEMOS = Path(__file__).resolve().parents[2] / "demos" / "benchmark"
sys.path.append(str(DEMOS))
import benchmark  # noqa: E402
from cases import BATCHES, make_batches, make_cases  # noqa: E402
import products as products_module  # noqa: E402
from products import products_of_a_share  # noqa: E402

from minibert.autograd.fused import flash_attention  # noqa: E402


def run(*options: str) -> str:
    """What the benchmark of the tiny case prints."""
    command = [sys.executable, str(DEMOS / "benchmark.py"), "--sizes", "TINY", "--threads", "1",
               "--turns", "2", "--dropout", "0", "--torch"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_table_and_json(tmp_path):
    file = tmp_path / "figures.json"
    table = run("--json", str(file))
    figures = json.loads(file.read_text())
    assert figures["machine"]["processors"] >= 1 and figures["machine"]["two_threads"] > 0
    assert "two threads do" in table and table.count("\n| GPT TINY | ") == 1
    assert [case["case"] for case in figures["cases"]] == ["GPT TINY", "BERT TINY"]
    for case in figures["cases"]:
        side = case["sides"]["minibert"]
        assert case["case"] in table and side["ratios"] == [1, 1]
        assert side["seconds"] > 0 and side["peak_bytes"] > 2**20
        chance = 3.912 + (0.693 if "BERT" in case["case"] else 0)  # ln V, and ln 2 for the pairs
        assert len(side["losses"]) == 4
        assert all(abs(loss - chance) < 0.2 for loss in side["losses"])
        products = case["sides"]["products only"]
        assert products["losses"] == [] and case["losses_agree"]
        assert products["seconds"] > 0
    assert figures["import_seconds"]["minibert"] > 0


@pytest.mark.parametrize("worker", [0, 1])
def test_a_step_has_a_product_forward_and_two_backward_for_each_weight(worker):
    case, = make_cases(["TINY"], ["bert"], [0.0], [])
    batch = make_batches(case)[0]
    stages = products_of_a_share(benchmark.build(case), case, batch, worker, 2)
    products = [product for stage in stages for products in stage for product in products]
    V, C, T, H = case.vocabulary, case.width, case.tokens, case.heads
    N, P = T, np.searchsorted(batch["positions"], [0, T, 2 * T])  # one text each
    P = P[worker + 1] - P[worker]  # masked
    sizes = [(N, C, 3 * C), (N, C, C), (N, C, 4 * C), (N, 4 * C, C),  # one layer
             (P, C, C), (P, C, V), (1, C, C), (1, C, 2)]  # the heads
    flops = 3 * sum(2 * a * b * c for a, b, c in sizes) + 6 * 2 * H * T * T * (C // H)
    assert len(products) == 3 * len(sizes) + 6
    assert sum(2 * a.size * b.shape[-1] for a, b, _ in products) == flops
    assert all(out.shape == (a @ b).shape for a, b, out in products)


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_long_texts_have_the_products_of_their_blocks(kind, monkeypatch):
    """7 products for each pair of a query and a key that is in a block."""
    monkeypatch.setattr(products_module, "FLASH_FROM", 64)
    for name, size in (("QUERY_BLOCK", 2), ("KEY_BLOCK", 4)):
        monkeypatch.setattr(flash_attention, name, size)
        monkeypatch.setattr(products_module, name, size)
    case, = make_cases(["TINY"], [kind], [0.0], [])
    stages = products_of_a_share(benchmark.build(case), case, make_batches(case)[0], 0, 1)
    strands = [stage for stage in stages if len(stage) > 1]
    assert [len(stage) for stage in strands] == [case.batch * case.heads] * 2
    D, pairs = case.width // case.heads, 0
    for rows in range(0, 8, 2):
        pairs += 2 * (rows + 2 if kind == "gpt" else 8)
    for stage, count, more in zip(strands, (2, 5), (0, 2)):
        for products in stage:
            assert sum(a.size * b.shape[-1] for a, b, _ in products) == pairs * (count * D + more)
            assert all(out.shape == (a @ b).shape for a, b, out in products)


@pytest.mark.slow
def test_decoding_is_a_case_of_its_own(tmp_path):
    file = tmp_path / "figures.json"
    table = run("--sizes", "--decode", "TINY", "--json", str(file))
    case, = json.loads(file.read_text())["cases"]
    assert "greedy decoding TINY" in table and "tokens/s" in table
    assert case["kind"] == "decoding" and case["tokens"] == 8 and case["losses_agree"]
    means = case["sides"]["minibert"]["losses"]
    assert len(set(means)) > 1 and all(0 <= mean < 50 for mean in means)


def test_an_lstm_is_a_case_of_its_own():
    table = run("--sizes", "--lstm", "TINY", "--profile")
    assert "LSTM TINY" in table and "lstm" in table.split()


def test_profile_counts_the_work():
    lines = run("--profile", "--kinds", "gpt").splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert [cells[op][0] for op in ("linear", "linear_gelu", "linear_cross_entropy")] == list("311")
    assert all(float(cells["linear"][i]) > 0 for i in (1, 2, 4))  # both directions, GFLOP/s
    assert cells["layer_norm"][0] == "3"


@pytest.mark.slow
def test_a_whole_training_is_measured(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be that is the question " * 40)
    lines = run("--sizes", "--recipe", str(text), "--recipe-steps", "4", "--recipe-turns", "1")
    assert "character GPT, 4 steps" in lines and "held-out loss" in lines


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_batches_are_the_same_each_time(kind):
    case, = make_cases(["TINY"], [kind], [0.0], [])
    first, second = make_batches(case), make_batches(case)
    assert len(first) == BATCHES
    for a, b in zip(first, second):
        assert all((a[name] == b[name]).all() for name in a)
    assert (first[0]["ids"] != first[1]["ids"]).any()
    if kind == "gpt":
        assert (first[0]["ids"][:, 1:] == first[0]["targets"][:, :-1]).all()
