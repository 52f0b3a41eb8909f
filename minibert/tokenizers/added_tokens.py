"""Added tokens: texts that are one token wherever they occur, found before anything is cut.

Special tokens are added tokens, and so are words that were added to a finished vocabulary
(`tokenizer.add_tokens` in Hugging Face). A text is searched once for the longest added token at
each place; the time is linear in the text and does not depend on their number.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

# Unicode's White_Space.
WHITE_SPACE = ("\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
               "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000")
_BLANKS = re.compile(f"[{WHITE_SPACE}]*")


class AddedToken(NamedTuple):
    """A text and its id, with Hugging Face's options.

    special: left out by decode(skip_special_tokens=True). normalized: searched in the normalized
    text (lower-cased by BertTokenizer) instead of the text itself. lstrip, rstrip: the white space
    before or after it is part of the token. single_word: only where no letter, digit or underscore
    is next to it. in_vocab: whether the model's vocabulary has the text as well, as a piece of
    words (no option of Hugging Face: vocab.txt or vocab.json says so).
    """

    content: str
    id: int
    special: bool = True
    normalized: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    in_vocab: bool = True


# A stretch of a text: start, end, and the id of the added token there, None for other text.
Stretch = tuple[int, int, int | None]


class AddedTokenFinder:
    """Cuts texts at added tokens. `tokens` maps the text to be found to its AddedToken."""

    def __init__(self, tokens: dict[str, AddedToken]):
        self.tokens = tokens
        lengths: dict[str, set[int]] = {}
        for text in tokens:
            lengths.setdefault(text[0], set()).add(len(text))
        self._lengths = {char: sorted(found, reverse=True) for char, found in lengths.items()}
        firsts = "".join(map(re.escape, lengths))
        self._first = re.compile(f"[{firsts}]") if firsts else None

    def cut(self, text: str) -> list[Stretch]:
        """The stretches of `text`, in order and without empty ones."""
        stretches = []
        done = place = 0  # the stretches reach to `done`, the search is at `place`
        while self._first is not None and (match := self._first.search(text, place)) is not None:
            start = match.start()
            length, token = self._longest(text, start)
            place = end = start + length
            if token is None:
                continue
            if token.single_word and (_ends_with_word(text, start) or _begins_with_word(text, end)):
                continue
            if token.lstrip:
                start = done + len(text[done:start].rstrip(WHITE_SPACE))
            if token.rstrip:
                place = end = _BLANKS.match(text, end).end()
            if start > done:
                stretches.append((done, start, None))
            stretches.append((start, end, token.id))
            done = end
        if done < len(text):
            stretches.append((done, len(text), None))
        return stretches

    def _longest(self, text: str, start: int) -> tuple[int, AddedToken | None]:
        """(length, token) of the longest added token that begins at `start`; (1, None): none."""
        for length in self._lengths[text[start]]:
            found = text[start:start + length]  # shorter at the text's end
            if found in self.tokens:
                return len(found), self.tokens[found]
        return 1, None


def _ends_with_word(text: str, end: int) -> bool:
    return end > 0 and _is_word_char(text[end - 1])


def _begins_with_word(text: str, start: int) -> bool:
    return start < len(text) and _is_word_char(text[start])


def _is_word_char(char: str) -> bool:
    r"""Unicode's \w (UTS #18): letters, marks, decimal digits, connectors, joiners."""
    category = unicodedata.category(char)
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc") or char in "\u200c\u200d"
