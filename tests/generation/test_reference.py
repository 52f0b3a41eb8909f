"""The same tokens as Hugging Face's `generate`, greedy and with beams, from a model it saved."""

import json
from pathlib import Path

import numpy as np
import pytest

import minibert as mb

REFERENCE = Path(__file__).parent / "reference"
CASES = json.loads((REFERENCE / "generate.json").read_text(encoding="utf-8"))
BART_CASES = json.loads((REFERENCE / "bart" / "generate.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model():
    return mb.GPT2LMHeadModel.from_pretrained(REFERENCE)


@pytest.fixture(scope="module")
def bart():
    return mb.BartForConditionalGeneration.from_pretrained(REFERENCE / "bart")


def test_the_cases_are_worth_something():
    """Texts that end early and late, with every kind of early stopping and of penalty."""
    options = [case["options"] for case in CASES]
    for name, least in (("num_beams", 4), ("early_stopping", 3), ("length_penalty", 5),
                        ("repetition_penalty", 4)):
        assert len({option.get(name) for option in options} - {None}) >= least, name
    early = [len(case["expected"][0]) < len(case["ids"][0]) + case["options"]["max_new_tokens"]
             for case in CASES if case["options"]]
    assert 10 < sum(early) < 70


@pytest.mark.parametrize("case", CASES, ids=[str(i) for i in range(len(CASES))])
def test_the_same_tokens(model, case):
    ids = np.array(case["ids"])
    mask = case.get("mask", np.ones_like(ids)) if case["options"] else None
    found = model.generate(ids, mask, **case["options"])
    assert found.tolist() == case["expected"], case["options"]


@pytest.mark.parametrize("case", BART_CASES, ids=[str(i) for i in range(len(BART_CASES))])
def test_the_same_tokens_from_an_encoder_decoder(bart, case):
    ids = np.array(case["ids"])
    found = bart.generate(ids, case.get("mask", np.ones_like(ids)), **case["options"])
    assert found.tolist() == case["expected"], case["options"]
