"""GPT-2's pre-tokenizer: words, inside which bytes are merged, and a character for each byte.

A word is a run of letters, of digits or of other signs, with the one blank before it; English
contractions ('s, 'll) and white space stand alone (Radford et al. 2019, encoder.py of
github.com/openai/gpt-2). The pattern there has \\p{L} and \\p{N}, Unicode's letters and
numbers, which Python's `re` does not have: the two classes are written out from Python's Unicode
tables. Characters that came to Unicode later than those tables count as other signs.
"""

import re
import sys
import unicodedata
from functools import cache

from minibert.tokenizers.normalization import WHITE_SPACE

# Printable characters of Latin-1 stand for their own byte, the other bytes are written from U+0100
# on, so that a token is never blank or invisible (a blank is Ġ, a line break Ċ). In the order of
# GPT-2's vocabulary.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTE_TO_CHAR = {byte: chr(byte) for byte in _PRINTABLE}
BYTE_TO_CHAR |= {byte: chr(0x100 + k)
                 for k, byte in enumerate(b for b in range(256) if b not in BYTE_TO_CHAR)}
CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}


@cache
def word_pattern() -> re.Pattern:
    """The pattern that finds the words of a text one after another, leaving nothing out."""
    white = WHITE_SPACE  # Python's \s has U+001C to U+001F too
    letters, numbers = category_ranges("L"), category_ranges("N")
    return re.compile(
        rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{letters}]+| ?[{numbers}]+"
        rf"| ?[^{white}{letters}{numbers}]+|[{white}]+(?![^{white}])|[{white}]+")


def category_ranges(major: str) -> str:
    """Every character of a major category ("L", "N"), as the inside of a character class."""
    codes = [code for code in range(sys.maxunicode + 1)
             if unicodedata.category(chr(code))[0] == major]
    starts = [code for before, code in zip([-2, *codes], codes) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -2]) if after != code + 1]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends))


def as_byte_chars(word: str) -> str:
    """The UTF-8 bytes of a word, each written as its character. (A surrogate escape stands for a
    byte that is not UTF-8.)"""
    return "".join(map(BYTE_TO_CHAR.__getitem__, word.encode("utf-8", "surrogateescape")))


def as_bytes(token: str) -> bytes:
    """The bytes that a token stands for. A special token with other characters is its own text."""
    if all(char in CHAR_TO_BYTE for char in token):
        return bytes(map(CHAR_TO_BYTE.__getitem__, token))
    return token.encode("utf-8")
