"""Learning a WordPiece vocabulary from counted words.

Every word starts as its characters, all but the first written with ##. Then, again and again, the
pair of neighbours that occurs most often in the text becomes one new piece. This is byte-pair
encoding (Sennrich et al. 2016) on pieces with ##, and it is what Hugging Face's WordPieceTrainer
does; `byte_level_bpe` merges bytes with the same `merged_pairs`. Google's own trainer was
never published; by its description (Schuster and Nakajima 2012) it picks the pair that raises the
likelihood most, count(ab) / (count(a) count(b)), which prefers rare pairs of rare characters; the
plain count finds common stems and endings sooner.

The counts are kept up to date instead of being made anew: a merge changes only the words in which
its pair occurs.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping

from minibert.errors import InputError

CONTINUATION = "##"

Pair = tuple[str, str]


def learn_pieces(word_counts: Mapping[str, int], n_pieces: int,
                 min_frequency: int = 2) -> list[str]:
    """At most `n_pieces` pieces: the characters in code point order, then merged pieces as learned.

    A pair that occurs less than `min_frequency` times is not merged. Of equal counts the pair that
    comes first in the alphabet wins, so the same text always gives the same vocabulary.
    """
    words = [_characters(word) for word in sorted(word_counts)]
    weights = [word_counts[word] for word in sorted(word_counts)]
    alphabet = sorted({piece for word in words for piece in word})
    if not alphabet:
        raise InputError("vocabulary: the text has no words to learn from; give a longer text")
    if len(alphabet) > n_pieces:
        raise InputError(f"vocabulary: its characters alone need {len(alphabet)} pieces, but only "
                         f"{max(n_pieces, 0)} are allowed beside the special tokens; raise the "
                         "size")
    pieces = dict.fromkeys(alphabet)  # an ordered set: two pairs may spell the same piece
    pairs = merged_pairs(words, weights, min_frequency, joined)
    while len(pieces) < n_pieces and (pair := next(pairs, None)) is not None:
        pieces[joined(pair)] = None
    return list(pieces)


def merged_pairs(words: list[list[str]], weights: list[int], min_frequency: int,
                 join: Callable[[Pair], str]) -> Iterator[Pair]:
    """Merge in `words` (which are changed) the most frequent pair again and again, and yield it,
    until the most frequent one occurs less than `min_frequency` times. `weights`: the number of
    occurrences of each word; `join`: the piece that a pair becomes."""
    counts, places = count_pairs(words, weights)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    while heap:
        negative_count, pair = heapq.heappop(heap)
        if -negative_count != counts[pair]:  # an old entry: the count has changed since
            continue
        if counts[pair] < max(min_frequency, 1):
            break
        changed: dict[Pair, int] = {}
        for i in places.pop(pair):
            merge_word(words, i, pair, weights[i], join(pair), changed, places)
        counts[pair] = 0
        changed.pop(pair, None)
        for neighbour, change in changed.items():
            if change:
                counts[neighbour] = counts.get(neighbour, 0) + change
                heapq.heappush(heap, (-counts[neighbour], neighbour))
        yield pair


def count_pairs(words: list[list[str]], weights: list[int]) -> tuple[dict, dict]:
    """(pair of neighbours -> its occurrences in the text, pair -> the indices of its words)."""
    counts: dict[Pair, int] = {}
    places: dict[Pair, set[int]] = {}
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            counts[pair] = counts.get(pair, 0) + weights[i]
            places.setdefault(pair, set()).add(i)
    return counts, places


def joined(pair: Pair) -> str:
    """The piece that a pair becomes: play + ##ing = playing, ##in + ##g = ##ing."""
    return pair[0] + pair[1].removeprefix(CONTINUATION)


def merge_word(words: list[list[str]], i: int, pair: Pair, weight: int, piece: str,
               changed: dict[Pair, int], places: dict[Pair, set[int]]) -> None:
    """Merge `pair` into `piece` in word `i`, left to right; add the changes of the counts of pairs
    to `changed`, and the word to `places`."""
    old = words[i]
    new = []
    k = 0
    while k < len(old):
        if k + 1 < len(old) and old[k] == pair[0] and old[k + 1] == pair[1]:
            new.append(piece)
            k += 2
        else:
            new.append(old[k])
            k += 1
    for lost in zip(old, old[1:]):
        changed[lost] = changed.get(lost, 0) - weight
    for won in zip(new, new[1:]):
        changed[won] = changed.get(won, 0) + weight
        places.setdefault(won, set()).add(i)
    words[i] = new


def _characters(word: str) -> list[str]:
    return [word[0]] + [CONTINUATION + char for char in word[1:]]
