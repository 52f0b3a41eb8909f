"""The masked language model's examples (Devlin et al. 2019, section 3.1, task 1)."""

import numpy as np

from minibert.tokenizers.base import Tokenizer

# The toy world's answer key (text/oracle.py) counts on the same numbers.
MASK_PROBABILITY = 0.15
SHOWN_AS_MASK = 0.8
SHOWN_AS_RANDOM = 0.1


def ordinary_ids(tokenizer: Tokenizer) -> np.ndarray:
    """The ids of all tokens that are not special: those that may be chosen and may replace."""
    special = np.isin(np.arange(tokenizer.vocab_size), tokenizer.all_special_ids)
    return np.flatnonzero(~special)


def mask_tokens(input_ids: np.ndarray, ordinary: np.ndarray, mask_id: int,
                rng: np.random.Generator,
                probability: float = MASK_PROBABILITY) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chooses each ordinary token of (B, T) ids on its own with `probability`, and corrupts those.

    A chosen token becomes [MASK] (80 %), a random ordinary token (10 %) or stays as it is (10 %);
    in all three cases it is to be predicted. Returns the corrupted ids (a copy), the chosen places
    as flat indices into B*T in rising order, and what stood there, both (M,). M may be 0.
    """
    is_ordinary = np.isin(input_ids, ordinary)
    chosen = np.flatnonzero((rng.random(input_ids.shape) < probability) & is_ordinary)  # (M,)
    labels = input_ids.ravel()[chosen]
    fate = rng.random(len(chosen))
    replacements = rng.choice(ordinary, size=len(chosen))
    shown = np.where(fate < SHOWN_AS_MASK, mask_id,
                     np.where(fate < SHOWN_AS_MASK + SHOWN_AS_RANDOM, replacements, labels))
    corrupted = input_ids.copy()
    corrupted.ravel()[chosen] = shown
    return corrupted, chosen, labels


def n_correct(logits: np.ndarray, labels: np.ndarray) -> int:
    """How many rows of (M, V) logits are largest at their label."""
    return int((logits.argmax(axis=-1) == labels).sum())
