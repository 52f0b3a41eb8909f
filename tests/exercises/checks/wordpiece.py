"""Exercise 8: wordpiece(word, vocabulary)."""

from hypothesis import strategies as st
from tests.exercises.checker import Part

import minibert as mb

LETTERS = st.text("abc", min_size=1, max_size=3)


@st.composite
def words(draw):
    """A word of a, b and c, and pieces, most of which are parts of words."""
    word = draw(st.text("abc", min_size=1, max_size=7))
    cuts = draw(st.lists(st.integers(0, len(word)), min_size=2, max_size=12))
    inside = {word[a:b] for a, b in zip(cuts, cuts[1:]) if a < b}
    first = {word[:b] for b in cuts if b}
    pieces = first | {"##" + p for p in inside} | {draw(LETTERS), "##" + draw(LETTERS)}
    pieces |= {"##" + letter for letter in draw(st.sets(st.sampled_from("abc")))}
    return {"word": word, "vocabulary": pieces}


def right(word, vocabulary):
    tokenizer = mb.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
                                  *sorted(vocabulary)])
    return tokenizer.tokenize(word)


def nothing_is_lost(function, inputs, pieces):
    if pieces == ["[UNK]"]:
        return None
    text = pieces[0] + "".join([piece.removeprefix("##") for piece in pieces[1:]])
    return None if text == inputs["word"] else (
        f"the pieces joined are {text!r}, not the word {inputs['word']!r}")


# ---- known mistakes ------------------------------------------------------------------------------


def matched(word, vocabulary, ends, prefix="##", written="##", rest=None):
    """The greedy loop with a mistake in it. `ends`: (start, length) -> ends in order of trial."""
    pieces, start = [], 0
    while start < len(word):
        for end in ends(start, len(word)):
            if (prefix if start else "") + word[start:end] in vocabulary:
                break
        else:
            if rest is not None:
                return rest(pieces)
            return ["[UNK]"]
        pieces.append((written if start else "") + word[start:end])
        start = end
    return pieces


def longest_first(start, length):
    return range(length, start, -1)


def shortest_first(word, vocabulary):
    """The shortest piece is taken: begin with the whole rest and make it shorter."""
    return matched(word, vocabulary, lambda start, length: range(start + 1, length + 1))


def without_marks(word, vocabulary):
    """Pieces inside a word are looked up without ##: after the first, look for "##" + piece."""
    return matched(word, vocabulary, longest_first, prefix="", written="")


def marks_not_returned(word, vocabulary):
    """The pieces are found with ## but returned without: "##ing" is the piece's name."""
    return matched(word, vocabulary, longest_first, written="")


def rest_unknown(word, vocabulary):
    """Only the rest becomes [UNK]: the word is [UNK] as a whole, and the pieces found are
    dropped."""
    return matched(word, vocabulary, longest_first, rest=lambda pieces: [*pieces, "[UNK]"])


def rest_dropped(word, vocabulary):
    """The rest that no piece starts is lost without a word: the whole word is [UNK]."""
    return matched(word, vocabulary, longest_first, rest=lambda pieces: pieces)


def never_one_letter(word, vocabulary):
    """Pieces of one letter are never tried: the shortest piece ends at start + 1."""
    return matched(word, vocabulary, lambda start, length: range(length, start + 1, -1))


def never_the_whole(word, vocabulary):
    """The whole rest is never tried: the longest piece ends where the word ends."""
    return matched(word, vocabulary, lambda start, length: range(length - 1, start, -1))


PARTS = (
    Part("wordpiece", words(),
         (shortest_first, without_marks, marks_not_returned, rest_unknown, rest_dropped,
          never_one_letter, never_the_whole),
         right, (nothing_is_lost,), examples=100),)
