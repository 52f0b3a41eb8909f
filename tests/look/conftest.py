"""One browser for all tests (without one they skip, but not where CI=true), and the folder of a
small BERT and GPT."""

import os

import pytest
from tests.look.browser import HOW_TO_GET, Browser, find_browser
from tests.look.small_pages import bert, gpt, tokenizer

from minibert.__main__ import main


@pytest.fixture(scope="session")
def browser():
    program = find_browser()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail(HOW_TO_GET)
        pytest.skip(HOW_TO_GET)
    started = Browser(program)
    yield started
    started.close()


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A folder with two models, as `pretrain both` makes it: bert/best/ and gpt/best/."""
    folder = tmp_path_factory.mktemp("look") / "both"
    words = tokenizer()
    for name, model in (("bert", bert(words)), ("gpt", gpt(words))):
        model.save_pretrained(folder / name / "best")
        words.save_pretrained(folder / name / "best")
    return folder


@pytest.fixture(scope="session")
def pages(folders, tmp_path_factory):
    """The pages of a BERT, a GPT, both side by side, and a sentence pair, by name."""
    out = tmp_path_factory.mktemp("pages")
    commands = {"bert": [folders / "bert", "the bank is [MASK] ."],
                "gpt": [folders / "gpt", "the bank is"],
                "both": [folders, "the bank is muddy ."],
                "against": [folders, "the bank is muddy .", "--against", "the river is deep ."],
                "pair": [folders / "bert", "the bank is muddy .", "--pair", "he sat by a [MASK] ."]}
    for name, command in commands.items():
        assert main(["look", *map(str, command), "--out", str(out / f"{name}.html")]) == 0
    return {name: out / f"{name}.html" for name in commands}
