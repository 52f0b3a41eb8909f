"""Every mutation of the list still applies: its line stands exactly once in its file."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tests.mutations.mutations import MUTATIONS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda b: b.name)
def test_applies_exactly_once(mutation):
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    count = text.count(mutation.line)
    assert count == 1, f"{mutation.file}: {mutation.line!r} must stand exactly once"
    assert mutation.line != mutation.becomes
    compile(text.replace(mutation.line, mutation.becomes), mutation.file, "exec")
    assert (ROOT / mutation.tests).exists()


def test_names_are_unique_and_the_list_is_long():
    assert max(Counter(mutation.name for mutation in MUTATIONS).values()) == 1
    assert len(MUTATIONS) >= 60
