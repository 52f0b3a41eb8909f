"""From logits to one token per row: functions of arrays, each usable alone.

Logits have the shape (B, V). A token that is ruled out gets -inf.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def with_repetition_penalty(logits: np.ndarray, ids: np.ndarray, penalty: float,
                            mask: np.ndarray | None = None) -> np.ndarray:
    """Make tokens that occur in a row of `ids` (B, T) less likely, once for each token: a
    positive logit is divided by the penalty, a negative one multiplied (Keskar et al. 2019, "CTRL",
    section 4.1). `mask` (B, T) is False at padding, which is no token of the text."""
    if penalty == 1:
        return logits
    rows, columns = np.ones(ids.shape, bool).nonzero() if mask is None else mask.nonzero()
    used = np.zeros(logits.shape, bool)
    used[rows, ids[rows, columns]] = True
    return np.where(used, np.where(logits < 0, logits * penalty, logits / penalty), logits)


def without_tokens(logits: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """Rule out some tokens in every row."""
    if not len(tokens):
        return logits
    kept = logits.copy()
    kept[:, list(tokens)] = -np.inf
    return kept


def only_token(logits: np.ndarray, token: int | None) -> np.ndarray:
    """Rule out all tokens but one, whose logit becomes 0: its log-probability is 0 as well. None:
    rule out nothing."""
    if token is None:
        return logits
    kept = np.full_like(logits, -np.inf)
    kept[:, token] = 0
    return kept


def with_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(logits - the largest) / temperature; a temperature of 0 keeps only the largest, the first
    of a tie."""
    if temperature == 0:
        is_best = np.arange(logits.shape[-1]) == logits.argmax(axis=-1)[:, None]
        return np.where(is_best, np.zeros_like(logits), -np.inf)
    with np.errstate(over="ignore"):  # a tiny temperature may send the others to -inf, and rightly
        return (logits - logits.max(axis=-1, keepdims=True)) / temperature


def keep_top_k(logits: np.ndarray, k: int) -> np.ndarray:
    """Rule out all but the k largest of each row; ties with the k-th are kept. k = 0 and any k of
    at least V keep everything."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    smallest_kept = np.partition(logits, -k, axis=-1)[:, -k, None]
    return np.where(logits < smallest_kept, -np.inf, logits)


def keep_top_p(logits: np.ndarray, p: float) -> np.ndarray:
    """Keep the most probable tokens whose probabilities together reach p (Holtzman et al. 2020,
    "The Curious Case of Neural Text Degeneration", section 3.1). The token that crosses p is kept,
    so that there is always one; of equal tokens the first is kept first."""
    if p >= 1:
        return logits
    order = np.argsort(-logits, axis=-1, kind="stable")
    sorted_p = np.take_along_axis(probabilities(logits), order, axis=-1)
    reached_before = np.cumsum(sorted_p, axis=-1) - sorted_p  # by the more probable ones alone
    ruled_out = np.empty(logits.shape, bool)
    np.put_along_axis(ruled_out, order, reached_before >= p, axis=-1)
    ruled_out[np.arange(len(logits)), order[:, 0]] = False
    return np.where(ruled_out, -np.inf, logits)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """softmax over the last axis, in float64."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """log softmax over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def draw(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One token id per row, (B,), with the probabilities of that row."""
    return pick(logits, rng.random((len(logits), 1)))


def pick(logits: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The token id in each row, (B,), in whose part of the cumulated probabilities the number u
    (B, 1) from 0 to 1 falls."""
    cumulative = np.cumsum(probabilities(logits), axis=-1)
    return (cumulative <= u * cumulative[:, -1:]).sum(axis=-1)
