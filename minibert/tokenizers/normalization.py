"""BERT's normalization of Unicode, and its words.

A text is cut at white space into chunks; each chunk is cleaned of control characters, its CJK
characters are set apart, its accents are stripped, it is lower-cased, and at last it is cut at
punctuation into words. Each character is kept with its place in the original text, from which the
offsets of tokens follow.

The rules are those of Hugging Face's fast BertTokenizer, which differs from Google's
`tokenization.py` in details: private-use characters are removed, every kind of white space of
Unicode separates words (Google: category Zs), lower-casing looks at one character at a time (no
final sigma), and of the CJK block 2B820-2CEAF the first 256 characters are left out. The
categories of characters are those of Python's Unicode tables; the reference's are older, so
characters that came later than Unicode 8 may be classed differently.
"""

import re
import string
import unicodedata
from collections.abc import Iterator
from operator import itemgetter

# Unicode's White_Space.
WHITE_SPACE = ("\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
               "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000")
# \x0b, \x0c and \x85 are control characters here, which vanish and leave no gap. Nothing below
# looks across white space, so that a text may be cut there first.
_CHUNKS = re.compile("[^" + re.sub("[\x0b\x0c\x85]", "", WHITE_SPACE) + "]+")

_CJK_BLOCKS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)

# One character and the slice of the original text that it stands for.
AlignedChar = tuple[str, int, int]


def chunks(text: str) -> Iterator[tuple[int, str]]:
    """The stretches of `text` between white space, each with the place where it starts."""
    for match in _CHUNKS.finditer(text):
        yield match.start(), match.group()


def is_removed(char: str) -> bool:
    """Control, format, private-use and surrogate characters, and U+FFFD, which stands for a broken
    one."""
    return char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs")


def is_cjk(char: str) -> bool:
    """A Chinese character (or a Japanese or Korean one of Chinese origin): these stand alone, as
    words do."""
    code = ord(char)
    return code >= 0x3400 and any(low <= code <= high for low, high in _CJK_BLOCKS)


def is_punctuation(char: str) -> bool:
    """Unicode's punctuation, and ASCII's ($ + < = > ^ ` | ~ among it)."""
    return char in string.punctuation or unicodedata.category(char).startswith("P")


def clean_chunk(chunk: str, lowercase: bool, strip_accents: bool,
                split_cjk: bool) -> list[AlignedChar]:
    """The cleaned characters of a chunk, each with its slice of the chunk. May contain blanks
    (around CJK)."""
    chars = [(char, i, i + 1) for i, char in enumerate(chunk) if not is_removed(char)]
    if split_cjk and not chunk.isascii():
        chars = [(part, start, end) for char, start, end in chars
                 for part in (f" {char} " if is_cjk(char) else char)]
    if strip_accents and not chunk.isascii():
        decomposed = _decompose(chars)
        chars = [aligned for aligned in decomposed if unicodedata.category(aligned[0]) != "Mn"]
    if lowercase:
        chars = [(lower, start, end) for char, start, end in chars for lower in char.lower()]
    return chars


def split_words(chars: list[AlignedChar]) -> Iterator[list[AlignedChar]]:
    """The words of a cleaned chunk: cut at blanks; every punctuation character is a word of its
    own."""
    word: list[AlignedChar] = []
    for aligned in chars:
        alone = is_punctuation(aligned[0])
        if word and (alone or aligned[0] == " "):
            yield word
            word = []
        if alone:
            yield [aligned]
        elif aligned[0] != " ":
            word.append(aligned)
    if word:
        yield word


def _decompose(chars: list[AlignedChar]) -> list[AlignedChar]:
    """Unicode's NFD (UAX #15): each character decomposed, then every run of marks sorted by
    combining class.

    Sorting moves marks. As in the reference, the places are then assigned anew in order: a first
    part gets the place of the next original character, every further part the place before it.
    """
    parts = []  # (starters so far, combining class, character, is it a further part?)
    n_starters = 0
    for char, _, _ in chars:
        for k, part in enumerate(unicodedata.normalize("NFD", char)):
            combining_class = unicodedata.combining(part)
            n_starters += combining_class == 0
            parts.append((n_starters, combining_class, part, k > 0))
    aligned = []
    place = -1
    for _, _, char, is_further in sorted(parts, key=itemgetter(0, 1)):
        place += not is_further
        aligned.append((char, *chars[place][1:]))
    return aligned
