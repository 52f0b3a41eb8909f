"""Running text to paragraphs and sentences, by rules of our own, in linear time."""

import re
from collections.abc import Iterable, Iterator

from minibert.data.text_files import split_lines

# Words with a full stop that ends no sentence; a single capital is an initial, except I.
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st jr sr vs etc e.g i.e cf al fig no vol pp ed eds inc ltd co".split())

_PARAGRAPH_GAP = re.compile(r"\n[^\S\n]*\n\s*")
# After . ! ? and closing quotes, before what may open a sentence; or after their CJK counterparts.
_BOUNDARY = re.compile(r"""(?<=[.!?])["')\]’”]*\s+(?=["'(\[‘“]*[^\W_a-z])|(?<=[。！？])["'”’」』]*""")


def split_paragraphs(text: str) -> list[str]:
    """Split a text at blank lines; empty paragraphs are left out. Line ends become \\n."""
    parts = _PARAGRAPH_GAP.split("\n".join(split_lines(text)))
    return [part for part in parts if part.strip()]


def split_sentences(paragraph: str) -> list[str]:
    """Split a paragraph into sentences; line breaks and runs of blanks become one blank.

    A sentence ends at . ! ? before a blank and what is no lower-case letter (not after an
    abbreviation or an initial), and at 。！？ wherever they stand.
    """
    text = " ".join(paragraph.split())
    sentences = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.end() == start or _is_abbreviation(text, start, match.start()):
            continue
        sentences.append(text[start:match.end()].strip())
        start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def without_repeats(documents: Iterable[list[str]]) -> Iterator[list[str]]:
    """Drop every sentence that occurred before, in its document or in another one, and the
    documents that become empty."""
    known: set[str] = set()
    for sentences in documents:
        fresh = [sentence for sentence in dict.fromkeys(sentences) if sentence not in known]
        known.update(fresh)
        if fresh:
            yield fresh


def _is_abbreviation(text: str, start: int, end: int) -> bool:
    """True if text[start:end] ends in an abbreviation with its full stop."""
    if text[end - 1] != ".":
        return False
    word_start = max(text.rfind(" ", start, end) + 1, start)
    word = text[word_start:end - 1].lstrip("\"'([‘“")
    return word.lower() in ABBREVIATIONS or (len(word) == 1 and word.isupper() and word != "I")
