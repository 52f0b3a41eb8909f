"""Every break of the list still applies: its line stands exactly once in its file."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from breaks import BREAKS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda b: b.name)
def test_applies_exactly_once(broken):
    text = (ROOT / broken.file).read_text(encoding="utf-8")
    assert text.count(broken.line) == 1, f"{broken.file}: {broken.line!r} must stand exactly once"
    assert broken.line != broken.becomes
    compile(text.replace(broken.line, broken.becomes), broken.file, "exec")
    assert (ROOT / broken.tests).exists()


def test_names_are_unique_and_the_list_is_long():
    assert max(Counter(broken.name for broken in BREAKS).values()) == 1
    assert len(BREAKS) >= 60
