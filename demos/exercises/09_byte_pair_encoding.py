"""Exercise 9: byte-pair encoding: count pairs, merge one.

Read first: nothing of the engine; exercise 8 shows what such pieces are used for.

GPT's vocabulary is learned from a text (Sennrich et al. 2016, algorithm 1). Each word begins as
its characters. Then, again and again: count all pairs of neighbours, and merge the most frequent
pair into one new symbol, everywhere.

    l o w        x 5        pairs: (l, o) 7   (o, w) 7   (w, e) 2   (e, r) 2
    l o w e r    x 2
                            merge (l, o):     lo w   x 5
                                              lo w e r   x 2

A word that occurs 5 times counts 5 times; a pair that stands in it twice counts twice as often. No
pair crosses the end of a word. In a a a the pair (a, a) stands twice, at places 0 and 1, but a
merge from left to right can use the middle a only once: aa a.

`merge_pair` is also how a new text is encoded: all learned merges are applied in their order.

Check: python -m pytest demos/exercises/09_byte_pair_encoding.py
Then train with it: python demos/exercises/train.py 9
"""


def count_pairs(words: dict[tuple[str, ...], int]) -> dict[tuple[str, str], int]:
    """How often each pair of neighbours occurs in the text. `words`: a word's symbols -> how often
    the word occurs. Pairs that never occur are not in the result."""
    raise NotImplementedError


def merge_pair(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """A new list of symbols, in which each occurrence of `pair`, from left to right, is replaced by
    one symbol, pair[0] + pair[1]. `symbols` stays as it was."""
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
# 1. zip(word, word[1:]) gives the pairs of neighbours of one word.
# 2. counts.get(pair, 0) is 0 for a pair that is new.
# 3. merge_pair: a while loop with an index i, which moves on by 2 after a merge and by 1 otherwise.
# 4. The last symbol has no right neighbour: do not lose it, and do not read past it.
