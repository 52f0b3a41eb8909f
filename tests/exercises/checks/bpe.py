"""Exercise 9: count_pairs(words) and merge_pair(symbols, pair)."""

from hypothesis import strategies as st
from tests.exercises.checker import Part

from minibert.tokenizers import wordpiece_training

SYMBOLS = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=6)


@st.composite
def counted_words(draw):
    words = draw(st.lists(SYMBOLS.map(tuple), min_size=1, max_size=4, unique=True))
    return {"words": {word: draw(st.integers(1, 5)) for word in words}}


@st.composite
def merges(draw):
    symbols = draw(SYMBOLS)
    pairs = list(zip(symbols, symbols[1:])) or [("a", "b")]
    if draw(st.integers(0, 4)) == 0:
        pairs = [("a", "b")]
    return {"symbols": symbols, "pair": draw(st.sampled_from(pairs))}


def right_counts(words):
    return wordpiece_training.count_pairs([list(word) for word in words], list(words.values()))[0]


def right_merge(symbols, pair):
    return wordpiece_training.merge_word(list(symbols), pair, pair[0] + pair[1])


def nothing_is_lost(function, inputs, symbols):
    before, after = "".join(inputs["symbols"]), "".join(symbols)
    return None if before == after else f"a merge keeps the text {before!r}; here it is {after!r}"


# ---- known mistakes ------------------------------------------------------------------------------


def counted(words, pairs, weigh=True):
    counts = {}
    for word, count in words.items():
        for pair in pairs(word):
            counts[pair] = counts.get(pair, 0) + (count if weigh else 1)
    return counts


def neighbours(word):
    return list(zip(word, word[1:]))


def words_not_weighed(words):
    """How often the word occurs is not used: a pair in a word that occurs 5 times counts 5."""
    return counted(words, neighbours, weigh=False)


def once_per_word(words):
    """A pair counts once for each word: it may stand in a word several times."""
    return counted(words, lambda word: list(dict.fromkeys(neighbours(word))))


def order_ignored(words):
    """(a, b) and (b, a) are counted as one pair: their order matters."""
    return counted(words, lambda word: [tuple(sorted(pair)) for pair in neighbours(word)])


def last_count_only(words):
    """The count of the last word replaces that of the words before: add, counts[pair] += n."""
    return {pair: count for word, count in words.items() for pair in neighbours(word)}


def every_second(words):
    """Only every second pair is counted: (s0, s1), (s1, s2), (s2, s3) ... overlap."""
    return counted(words, lambda word: neighbours(word)[::2])


def across_words(words):
    """The last symbol of a word and the first of the next are counted as a pair: merges stay
    inside words."""
    counts = right_counts(words)
    listed = list(words.items())
    for (word, count), (following, _) in zip(listed, listed[1:]):
        pair = word[-1], following[0]
        counts[pair] = counts.get(pair, 0) + count
    return counts


def merged(symbols, pair, times=None, step=2):
    new, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair and times != 0:
            new.append(pair[0] + pair[1])
            times = None if times is None else times - 1
            i += step
        else:
            new.append(symbols[i])
            i += 1
    return new


def first_only(symbols, pair):
    """Only the first occurrence is merged: go on to the end of the word."""
    return merged(symbols, pair, times=1)


def second_stays(symbols, pair):
    """The second symbol of the pair is kept as well: after a merge go on two places."""
    return merged(symbols, pair, step=1)


def from_the_right(symbols, pair):
    """Merged from right to left: of a a a the first two become one, not the last two."""
    return merged(symbols[::-1], pair[::-1])[::-1] if pair[0] == pair[1] else \
        right_merge(symbols, pair)


def last_lost(symbols, pair):
    """The last symbol is lost when it is not merged: a loop over pairs ends one symbol early."""
    new = right_merge(symbols, pair)
    return new if tuple(symbols[-2:]) == pair and len(new) < len(symbols) else new[:-1]


def either_order(symbols, pair):
    """(b, a) is merged as well as (a, b)."""
    new, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) in (pair, pair[::-1]):
            new.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            new.append(symbols[i])
            i += 1
    return new


PARTS = (
    Part("count_pairs", counted_words(),
         (words_not_weighed, once_per_word, order_ignored, last_count_only, every_second,
          across_words), right_counts, examples=60),
    Part("merge_pair", merges(),
         (first_only, second_stays, from_the_right, last_lost, either_order),
         right_merge, (nothing_is_lost,), examples=100))
