"""Losses of uniform, unigram and bigram models, in nats per token: the baselines where there is no
oracle. Divided by ln 2 they are in bits.
"""

import numpy as np


def uniform_loss(vocab_size: int) -> float:
    """ln V, the loss of equal probabilities, and about that of an untrained model."""
    return float(np.log(vocab_size))


def unigram_loss(train_ids: np.ndarray, held_out_ids: np.ndarray, vocab_size: int) -> float:
    """Cross entropy of the held-out tokens (M,) under the frequencies in the training tokens (N,),
    smoothed by absolute discounting (see bigram_loss)."""
    p = unigram(np.bincount(train_ids, minlength=vocab_size))
    return float(-np.log(p[held_out_ids]).mean())


def bigram_loss(train_ids: np.ndarray, held_out_ids: np.ndarray, vocab_size: int) -> float:
    """Cross entropy of the held-out tokens (M,), each given the one before it, from counts of pairs
    in the training tokens (N,).

    Interpolated absolute discounting (Ney, Essen and Kneser 1994, "On structuring probabilistic
    dependences in stochastic language modelling"): D is subtracted from every count, and the
    probability that this frees is distributed by the unigram model. The first held-out token
    follows none and is not scored."""
    train_ids = np.asarray(train_ids, dtype=np.int64)
    held_out_ids = np.asarray(held_out_ids, dtype=np.int64)
    pairs, counts = np.unique(train_ids[:-1] * vocab_size + train_ids[1:], return_counts=True)
    D = discount(counts)
    seen_before = np.bincount(train_ids[:-1], minlength=vocab_size)  # tokens that follow each word
    followers = np.bincount(pairs // vocab_size, minlength=vocab_size)  # different words among them
    wanted = held_out_ids[:-1] * vocab_size + held_out_ids[1:]
    at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    kept = np.where(pairs[at] == wanted, counts[at] - D, 0.0)
    before = held_out_ids[:-1]
    total = np.maximum(seen_before[before], 1)
    freed = np.where(seen_before[before] > 0, D * followers[before] / total, 1.0)
    lower = unigram(np.bincount(train_ids, minlength=vocab_size))
    p = kept / total + freed * lower[held_out_ids[1:]]
    return float(-np.log(p).mean())


def majority_accuracy(labels: np.ndarray) -> float:
    """Share of the most frequent label in labels (N,): the accuracy of the majority class."""
    return float(np.bincount(np.asarray(labels)).max() / len(labels))


def unigram(counts: np.ndarray) -> np.ndarray:
    """counts (V,) -> (V,) probabilities: D off every count, and what that frees in equal parts for
    all V."""
    D = discount(counts[counts > 0])
    freed = D * (counts > 0).sum() / counts.sum()
    return np.maximum(counts - D, 0.0) / counts.sum() + freed / len(counts)


def discount(counts: np.ndarray) -> float:
    """D = n1 / (n1 + 2 n2) with n1, n2 the numbers of events that occur once and twice; 0.5 where
    one of them is 0."""
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    return float(once / (once + 2 * twice)) if once and twice else 0.5
