"""Counting words, pairs, trigrams: interpolated Kneser-Ney smoothing.

With h the m - 1 tokens before w, h' the same without the first of them, c a count, N(h) the number
of different tokens that follow h, and a dot for any token:

    p_m(w | h) = max(c(h w) - D, 0) / c(h .) + D N(h) / c(h .) p_m-1(w | h')
    D = n1 / (n1 + 2 n2), n1 and n2 the numbers of m-grams that are counted once and twice

In the highest order c counts occurrences. In the lower ones it counts the different tokens that
stand before an m-gram: "Francisco" is frequent, but follows only "San". p_0 is uniform. (Kneser &
Ney 1995; interpolated as in Chen & Goodman 1999, "An empirical study of smoothing techniques for
language modeling", the section on Kneser-Ney smoothing. Shannon 1951 counted first.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from minibert.ancestors.model import AncestorConfig, AncestorModel
from minibert.data.ngram_baselines import discount, unigram
from minibert.errors import InputError


@dataclass(frozen=True)
class NGramConfig(AncestorConfig):
    """order: n, the length of the longest n-grams. Errors: also V**n of 2**63 and more."""

    order: int = 3

    model_type = "ngram"

    def __post_init__(self):
        super().__post_init__()
        if self.order * math.log2(self.vocab_size) >= 63:
            raise InputError(f"NGramConfig: order = {self.order}: {self.vocab_size:,} words to the "
                             "power of it must stay below 2**63: choose a smaller order")


class Table(NamedTuple):
    """p_m without the lower order: K contexts h, sorted by code (K,); for each, D N(h) / c(h .),
    (K,), and max(c - D, 0) / c(h .) of the m-grams that begin with it, by their last tokens,
    sparse (K, V)."""

    contexts: np.ndarray
    freed: np.ndarray
    kept: sparse.csr_matrix

    def interpolated(self, context: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """context (R,): codes of h; lower (R, V): p_m-1(. | h') -> p_m(. | h), (R, V)."""
        at = np.minimum(np.searchsorted(self.contexts, context), len(self.contexts) - 1)
        known = (self.contexts[at] == context)[:, None]  # else p_m is p_m-1
        return np.where(known, self.kept[at].toarray() + self.freed[at][:, None] * lower, lower)


class NGramModel(AncestorModel):
    """The next token from the n - 1 tokens before it; of the first tokens of a row, from fewer.

    counts: for m = 1 to n, the codes of the m-grams (a number with their ids as digits in base V),
    in rising order, and the count c of each.
    """

    __slots__ = ("counts", "unigram", "tables")
    config_class = NGramConfig
    unanswered = {"gap": "reads the left side alone", "vectors": "counts words"}

    def __init__(self, config: NGramConfig, counts: list[tuple[np.ndarray, np.ndarray]]):
        super().__init__(config)
        self.counts = counts
        words, count = counts[0]
        self.unigram = unigram(np.bincount(words, count, config.vocab_size))  # (V,)
        self.tables = [_table(codes, count, config.vocab_size) for codes, count in counts[1:]]

    @classmethod
    def fit(cls, config: NGramConfig, ids: np.ndarray) -> NGramModel:
        """Count the token ids (N,) of a text. Errors: InputError for fewer than n tokens, and for
        ids outside the vocabulary."""
        ids, V, n = np.asarray(ids, np.int64), config.vocab_size, config.order
        if len(ids) < n:
            raise InputError(f"n-grams: the text has {len(ids)} tokens, fewer than the order {n}: "
                             "give a longer text or a smaller order")
        if ids.min() < 0 or ids.max() >= V:
            raise InputError(f"n-grams: ids from {ids.min()} to {ids.max()}: expected 0 to {V - 1}")
        counts = []
        for m in range(1, n):
            longer = np.unique(_codes(ids, m + 1, V))  # different tokens v before: v h w
            counts.append(np.unique(longer % V ** m, return_counts=True))
        return cls(config, counts + [np.unique(_codes(ids, n, V), return_counts=True)])

    def next_word(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel."""
        ids, V = self.checked(input_ids).astype(np.int64), self.config.vocab_size
        B, T = ids.shape
        p = np.tile(self.unigram, (B, T, 1))
        for m, table in enumerate(self.tables, 2):
            if m <= T + 1:  # the tokens t - m + 2 to t are the context; the first rows have fewer
                codes = np.stack([_codes(row, m - 1, V) for row in ids])  # (B, T - m + 2)
                lower = p[:, m - 2:].reshape(-1, V)
                p[:, m - 2:] = table.interpolated(codes.ravel(), lower).reshape(B, -1, V)
        return np.log(p)

    def parameter_count(self) -> int:
        """The number of counts."""
        return sum([len(codes) for codes, _ in self.counts])

    def stored_arrays(self) -> dict[str, np.ndarray]:
        """codes.m and counts.m, for m = 1 to n."""
        return {f"{name}.{m}": array for m, pair in enumerate(self.counts, 1)
                for name, array in zip(("codes", "counts"), pair)}

    @classmethod
    def from_arrays(cls, config: NGramConfig, arrays: Mapping[str, np.ndarray]) -> NGramModel:
        """See AncestorModel. Errors: also codes that are not in rising order or beyond V**m."""
        names = {f"{name}.{m}" for name in ("codes", "counts") for m in range(1, config.order + 1)}
        if set(arrays) != names:
            raise InputError(f"n-grams: {sorted(arrays)!r:.99}: expected {sorted(names)!r:.99}")
        counts = []
        for m in range(1, config.order + 1):
            codes, count = arrays[f"codes.{m}"], arrays[f"counts.{m}"]
            ends = np.r_[-1, codes.ravel(), config.vocab_size ** m]  # codes are between, rising
            if (codes.dtype != np.int64 or count.dtype != np.int64 or codes.shape != count.shape
                    or codes.ndim != 1 or not len(codes) or (np.diff(ends) <= 0).any()
                    or (count < 1).any()):
                raise InputError(f"codes.{m} and counts.{m} are no counts: the file is damaged")
            counts.append((codes, count))
        return cls(config, counts)


def _codes(ids: np.ndarray, m: int, vocab_size: int) -> np.ndarray:
    """ids (N,) -> the codes of its m-grams, (N - m + 1,)."""
    return np.lib.stride_tricks.sliding_window_view(ids, m) @ vocab_size ** np.arange(m)[::-1]


def _table(codes: np.ndarray, counts: np.ndarray, vocab_size: int) -> Table:
    contexts, first = np.unique(codes // vocab_size, return_index=True)
    total, followers = np.add.reduceat(counts, first), np.diff([*first, len(codes)])
    D = discount(counts)
    kept = (counts - D) / np.repeat(total, followers)
    return Table(contexts, D * followers / total, sparse.csr_matrix(
        (kept, codes % vocab_size, [*first, len(codes)]), (len(contexts), vocab_size)))
