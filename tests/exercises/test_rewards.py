"""train.py: micro with a true solution in it trains as micro by itself does."""

import contextlib
import io
import re

import numpy as np
import pytest
from tests.exercises.ladder import FOLDER, LADDER
from tests.exercises.solutions import SOLUTIONS
from tests.exercises.checker import load

from minibert import micro

TRAIN = load(FOLDER / "train.py")
REPLACED = ["VOCABULARY", "softmax", "layer_norm", "attention", "attention_mask", "encode",
            "mask_tokens", "sentence_pairs", "cross_entropy", "adamw_step", "block", "unbroadcast"]


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """What a reward replaces in micro comes back after the test."""
    for name in REPLACED:
        monkeypatch.setattr(micro, name, getattr(micro, name))
    for name in ("__mul__", "__rmul__", "backward"):
        monkeypatch.setattr(micro.Tensor, name, getattr(micro.Tensor, name))


def printed(function, *arguments):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        function(*arguments)
    return output.getvalue()


def learner(name):
    calls = dict.fromkeys([part.function for part in LADDER[name]], 0)

    def counting(key):
        def counted(*arguments):
            calls[key] += 1
            return SOLUTIONS[key](*arguments)
        return counted

    return {key: counting(key) for key in calls}, calls


def test_every_exercise_has_a_reward():
    assert list(TRAIN.REWARDS) == list(LADDER)


@pytest.mark.parametrize("name", LADDER)
def test_three_steps_with_the_true_solution(name):
    install, reward = TRAIN.REWARDS[name]
    functions, calls = learner(name)
    comparable = install and "pieces" not in reward.__name__
    before = printed(reward, functions, 3) if comparable else None
    if install:
        printed(install, functions)
    after = printed(reward, functions, 3)
    assert all(calls.values())
    if comparable:
        assert re.findall(r"\d+\.\d{3}", after) == re.findall(r"\d+\.\d{3}", before)


def test_the_cache_gives_the_same_text():
    text = printed(TRAIN.generate_with_a_cache, learner("16_key_value_cache")[0], 3)
    lines = re.findall(r"^with.*?: +(the .*?)   \((\d+) tokens", text, re.MULTILINE)
    (cached, few), (whole, many) = lines
    assert cached == whole and int(few) < int(many)


def test_vocabularies_of_pieces():
    before = micro.encode(["[CLS] the cat [SEP]"])
    functions, _ = learner("09_byte_pair_encoding")
    printed(TRAIN.install_byte_pair_encoding, functions)
    ids = micro.encode(["[CLS] the cat [SEP]"])
    pieces = [micro.VOCABULARY[i] for i in ids[0]]
    assert "".join(pieces) == "[CLS]the_cat_[SEP]" and len(pieces) >= before.size
    assert np.array_equal(ids[0, [0, -1]], [micro.CLS, micro.SEP])
