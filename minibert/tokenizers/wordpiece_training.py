"""Learning a WordPiece vocabulary from counted words.

Every word starts as its characters, all but the first written with ##. Then, again and again, the
pair of neighbours that occurs most often in the text becomes one new piece. This is byte-pair
encoding (Sennrich et al. 2016) on pieces with ##, and it is what Hugging Face's WordPieceTrainer
does; `byte_level_bpe` merges bytes with the same `learn_merges`. Google's own trainer was
never published; by its description (Schuster and Nakajima 2012) it picks the pair that raises the
likelihood most, count(ab) / (count(a) count(b)), which prefers rare pairs of rare characters; the
plain count finds common stems and endings sooner.

The counts are kept up to date instead of being made anew: a merge changes only the words in which
its pair occurs.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from minibert.errors import InputError

CONTINUATION = "##"

Pair = tuple[str, str]


def learn_pieces(word_counts: Mapping[str, int], n_pieces: int,
                 min_frequency: int = 2) -> list[str]:
    """At most `n_pieces` pieces: the characters in code point order, then merged pieces as learned.

    A pair that occurs less than `min_frequency` times is not merged. Of equal counts the pair that
    comes first in the alphabet wins, so the same text always gives the same vocabulary.
    """
    words = [[word[0], *(CONTINUATION + char for char in word[1:])] for word in sorted(word_counts)]
    weights = [word_counts[word] for word in sorted(word_counts)]
    alphabet = sorted({piece for word in words for piece in word})
    if not alphabet:
        raise InputError("vocabulary: the text has no words to learn from; give a longer text")
    if len(alphabet) > n_pieces:
        raise InputError(f"vocabulary: its characters alone need {len(alphabet)} pieces, but only "
                         f"{max(n_pieces, 0)} are allowed beside the special tokens; raise the "
                         "size")
    return learn_merges(words, weights, alphabet, n_pieces, min_frequency, joined)[0]


def learn_merges(words: list[list[str]], weights: list[int], alphabet: Iterable[str],
                 n_pieces: int, min_frequency: int, join: Callable[[Pair], str]
                 ) -> tuple[list[str], list[Pair]]:
    """(pieces, merges): the alphabet and what was merged, the pairs in the order of their merges.

    The most frequent pair is merged in `words` (which are changed), until there are `n_pieces` or
    it occurs less than `min_frequency` times. `weights`: the number of occurrences of each word;
    `join`: the piece that a pair becomes.
    """
    pieces, merges = dict.fromkeys(alphabet), []  # an ordered set: two pairs may spell one piece
    counts, places = count_pairs(words, weights)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    while heap and len(pieces) < n_pieces:
        negative_count, pair = heapq.heappop(heap)
        if -negative_count != counts[pair]:  # an old entry: the count has changed since
            continue
        if counts[pair] < max(min_frequency, 1):
            break
        piece, changed = join(pair), defaultdict(int)
        pieces[piece] = None
        merges.append(pair)
        for i in places.pop(pair):
            before, words[i] = words[i], merge_word(words[i], pair, piece)
            for lost in zip(before, before[1:]):
                changed[lost] -= weights[i]
            for won in zip(words[i], words[i][1:]):
                changed[won] += weights[i]
                places[won].add(i)
        for neighbour, change in changed.items():
            if change:
                counts[neighbour] += change
                heapq.heappush(heap, (-counts[neighbour], neighbour))
    return list(pieces), merges


def count_pairs(words: list[list[str]], weights: list[int]) -> tuple[dict, dict]:
    """(pair of neighbours -> its occurrences in the text, pair -> the indices of its words)."""
    counts: dict[Pair, int] = defaultdict(int)
    places: dict[Pair, set[int]] = defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            counts[pair] += weights[i]
            places[pair].add(i)
    return counts, places


def merge_word(word: list[str], pair: Pair, piece: str) -> list[str]:
    """The pieces of a word with each `pair`, from left to right, merged into `piece`."""
    first, second = pair
    merged: list[str] = []
    for part in word:
        if part == second and merged and merged[-1] == first:
            merged[-1] = piece
        else:
            merged.append(part)
    return merged


def joined(pair: Pair) -> str:
    """The piece that a pair becomes: play + ##ing = playing, ##in + ##g = ##ing."""
    return pair[0] + pair[1].removeprefix(CONTINUATION)
