"""Running text to paragraphs and sentences, by plain rules."""

import re
from collections.abc import Iterable, Iterator

# Words with a full stop that ends no sentence. A single letter is taken for an initial.
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st jr sr vs etc e.g i.e cf al fig no vol pp ed eds inc ltd co".split())

_PARAGRAPH_GAP = re.compile(r"\n[^\S\n]*\n\s*")
# After . ! ? and closing quotes, before what may open a sentence; or after their CJK counterparts.
_BOUNDARY = re.compile(r"""(?<=[.!?])["')\]’”]*\s+(?=["'(\[‘“]*[^\W_a-z])|(?<=[。！？])["'”’」』]*""")


def split_paragraphs(text: str) -> list[str]:
    """The paragraphs of a text: what stands between blank lines. Empty ones are left out."""
    parts = _PARAGRAPH_GAP.split(text.replace("\r\n", "\n").replace("\r", "\n"))
    return [part for part in parts if part.strip()]


def split_sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, in order, its line breaks and runs of blanks made one blank."""
    text = " ".join(paragraph.split())
    sentences = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.end() == start or _ends_in_abbreviation(text[start:match.start()]):
            continue
        sentences.append(text[start:match.end()].strip())
        start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def without_repeats(documents: Iterable[list[str]]) -> Iterator[list[str]]:
    """The documents with every sentence only where it occurs first; what is left empty is
    dropped."""
    seen: set[str] = set()
    for sentences in documents:
        fresh = [sentence for sentence in dict.fromkeys(sentences) if sentence not in seen]
        seen.update(fresh)
        if fresh:
            yield fresh


def _ends_in_abbreviation(text: str) -> bool:
    if not text.endswith("."):
        return False
    word = text[:-1].rsplit(" ", 1)[-1].lstrip("\"'([‘“")
    return word.lower() in ABBREVIATIONS or (len(word) == 1 and word.isupper() and word != "I")
