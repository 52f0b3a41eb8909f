"""Every mutation of the list still applies and could prove something; so says the runner."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from tests.mutations.mutations import MUTATIONS, undefined_names
from tests.mutations.run import outcome_of

ROOT = Path(__file__).resolve().parents[2]


@cache
def known(file: str) -> tuple[str, set[str]]:
    """A file's text, and the names that nothing in it defines (such as __annotations__)."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return text, undefined_names(text)


def names_in(line: str) -> set[str]:
    return set(re.findall(r"[^\W\d]\w*", line))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_applies_exactly_once_and_defines_all_its_names(mutation):
    assert mutation.line.split() != mutation.becomes.split(), "only the layout changes"
    assert (ROOT / mutation.tests).exists()
    if not mutation.file.endswith(".py"):  # the page's JavaScript
        mutation.mutated((ROOT / mutation.file).read_text(encoding="utf-8"))
        return
    text, undefined = known(mutation.file)
    mutated = mutation.mutated(text)
    if names_in(mutation.line) == names_in(mutation.becomes):  # most: nothing to look for
        compile(mutated, mutation.file, "exec")
    else:
        assert undefined_names(mutated) <= undefined, "its test would fail by a NameError"


def test_names_are_unique_and_the_list_is_long():
    assert max(Counter(mutation.name for mutation in MUTATIONS).values()) == 1
    assert len(MUTATIONS) >= 60


def test_names_that_nothing_defines_are_found():
    text = "import os\ndef f(a):\n    b = a\n    return [os, b, len(a), c]\nclass D:\n    e = f\n"
    assert undefined_names(text) == {"c"}
    assert undefined_names(text.replace("b = a", "d = a")) == {"b", "c"}


@pytest.mark.parametrize("status, output, verdict", [
    (0, "12 passed", "SURVIVED"),
    (1, "E       assert 1 == 2\nFAILED tests/test_x.py::test_y - assert", "red"),
    (1, "E       NameError: name 'x' is not defined\nFAILED tests/test_x.py::test_y", "NO PROOF"),
    (1, "E   UnboundLocalError: cannot access\nFAILED tests/test_x.py::test_y", "NO PROOF"),
    (2, "E   ImportError: cannot import\nERROR tests/test_x.py", "NO PROOF"),
    (1, "E   assert 'NameError' in text\nFAILED tests/test_x.py::test_y", "red"),
    (3, "something else", "red")])
def test_what_the_output_of_the_tests_says(status, output, verdict):
    assert outcome_of(status, output).verdict == verdict
