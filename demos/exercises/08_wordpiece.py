"""Exercise 8: WordPiece's greedy match.

Read first: demos/04_bert_input.py (run it as well).

BERT has a vocabulary of pieces: whole words, and parts of words. A piece that continues a word is
written with ## in front. A word is cut from left to right, and the longest piece that fits is taken
each time (Wu et al. 2016, section 4.1):

    vocabulary: play, un, ##ing, ##in, ##g, ##affable, ##aff

    p l a y i n g                      u n a f f a b l e
    [play]                             [un]
           [##ing]    not ##in ##g        [##affable]        -> un ##affable

Greedy means that a choice is never taken back: with the pieces ab, a, ##bc the word "abc" begins
with ab, the longest, and then "##c" is missing. A word with a rest that no piece starts becomes
["[UNK]"] as a whole, though a ##bc would have worked.

Check: python -m pytest demos/exercises/08_wordpiece.py
Then train with it: python demos/exercises/train.py 8
"""


def wordpiece(word: str, vocabulary: set[str]) -> list[str]:
    """The pieces of a word of at least one letter, longest match first, or ["[UNK]"].

    All pieces but the first are looked up, and returned, with ## in front.
    """
    raise NotImplementedError


# ---- hints: scroll down --------------------------------------------------------------------------
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
#
# 1. `start` is where the next piece begins. Loop while start < len(word).
# 2. Try end = len(word), len(word) - 1, ..., start + 1: range(len(word), start, -1).
# 3. The text to look up is word[start:end], with "##" in front if start > 0.
# 4. Nothing found: return the unknown token alone. Python's for ... else may help.
