"""Corruption of tokens for the masked language model (Devlin et al. 2019, section 3.1, task 1)."""

import numpy as np

from minibert.tokenizers.base import Tokenizer

MASK_PROBABILITY = 0.15  # of each ordinary token, independently
REPLACED_BY_MASK, REPLACED_BY_RANDOM, KEPT = 0.8, 0.1, 0.1  # of the chosen tokens


def ordinary_ids(tokenizer: Tokenizer) -> np.ndarray:
    """List the ids of all tokens that are not special, rising: those that may be chosen and those
    that may replace a chosen one."""
    special = np.isin(np.arange(tokenizer.vocab_size), tokenizer.all_special_ids)
    return np.flatnonzero(~special)


def mask_tokens(input_ids: np.ndarray, ordinary: np.ndarray, mask_id: int,
                rng: np.random.Generator,
                probability: float = MASK_PROBABILITY) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose each ordinary token of (B, T) ids independently and corrupt the chosen ones.

    A chosen token becomes [MASK] (80 %), becomes a random ordinary token (10 %, perhaps the same)
    or is kept (10 %); its label is the original token in all three cases. Returns the corrupted ids
    (B, T), a copy; the chosen positions (M,), flat indices into B*T in rising order; and the labels
    (M,). M may be 0.
    """
    is_ordinary = np.isin(input_ids, ordinary)  # (B, T)
    positions = np.flatnonzero((rng.random(input_ids.shape) < probability) & is_ordinary)  # (M,)
    labels = input_ids.ravel()[positions]
    draw = rng.random(len(positions))
    random_words = rng.choice(ordinary, size=len(positions))
    random_or_kept = np.where(draw < REPLACED_BY_MASK + REPLACED_BY_RANDOM, random_words, labels)
    replacements = np.where(draw < REPLACED_BY_MASK, mask_id, random_or_kept)
    corrupted = input_ids.copy()
    corrupted.ravel()[positions] = replacements
    return corrupted, positions, labels


def n_correct(logits: np.ndarray, labels: np.ndarray) -> int:
    """Count the rows of (M, V) logits whose largest entry is at their label (M,)."""
    return int((logits.argmax(axis=-1) == labels).sum())
