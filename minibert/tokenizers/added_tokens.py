"""Added tokens: texts that are one token wherever they occur, found before anything is cut.

Special tokens are added tokens, and so are words that were added to a finished vocabulary
(`tokenizer.add_tokens` in Hugging Face). A text is searched once, for the longest added token at
each place.
"""

import re
import unicodedata
from typing import NamedTuple

from minibert.tokenizers.normalization import WHITE_SPACE

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
        rests: dict[str, list[str]] = {}  # first character -> what follows it, the longest first
        for text in sorted(tokens, key=len, reverse=True):
            rests.setdefault(text[0], []).append(re.escape(text[1:]))
        patterns = [f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in rests.items()]
        self._pattern = re.compile("|".join(patterns) or "(?!)")  # (?!): no place

    def cut(self, text: str) -> list[Stretch]:
        """The stretches of `text`, in order and without empty ones."""
        stretches = []
        done = place = 0  # the stretches reach to `done`, the search is at `place`
        while match := self._pattern.search(text, place):
            start, end = match.span()
            place, token = end, self.tokens[match.group()]
            beside = text[start - 1:start] + text[end:end + 1]
            if token.single_word and any(map(_is_word_char, beside)):
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


def _is_word_char(char: str) -> bool:
    r"""Unicode's \w (UTS #18): letters, marks, decimal digits, connectors, joiners."""
    category = unicodedata.category(char)
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc") or char in "\u200c\u200d"
