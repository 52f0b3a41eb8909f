"""Exercise 10: the masked language model's input: 15 %, of which 80, 10, 10.

Read first: demos/05_pretraining_examples.py (run it as well).

BERT learns to predict words that were hidden (Devlin et al. 2019, section 3.1, task 1). Each word
is chosen with a probability of 15 %, independently. What is shown in the place of a chosen word is
drawn again:

    80 %  [MASK]             original   [CLS] my  dog  is   cute  [SEP]
    10 %  a random word      chosen             x         x
    10 %  the word itself    shown      [CLS] my [MASK] is   apple [SEP]
                             label        -    -  dog   -   cute    -

The label is the original word in all three cases: also for the kept word, because the model must
not learn that a word which is not [MASK] is always right. Everywhere else the label is IGNORED,
and the loss leaves these places out. Special tokens ([CLS], [SEP], padding) are never chosen, and a
random word is never a special token.

All random numbers come from `rng` (a numpy.random.Generator: rng.random(shape) is uniform in
[0, 1), rng.integers(low, high, shape) draws whole numbers from low to high - 1), so that a run can
be repeated.

Check: python -m pytest demos/exercises/10_masked_words.py
Then train with it: python demos/exercises/train.py 10
"""

import numpy as np

PAD, CLS, SEP, MASK = range(4)  # the special tokens; ids from 4 to vocab_size - 1 are words
IGNORED = -100


def mask_tokens(ids: np.ndarray, vocab_size: int,
                rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """ids (B, T) -> what is shown (B, T), and the labels (B, T): the original token where a word
    was chosen, IGNORED elsewhere. `ids` stays as it was."""
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
# 1. No loop is needed: chosen = (rng.random(ids.shape) < ...) & (ids > MASK), boolean (B, T).
# 2. Draw one more uniform number u for each token: u < 0.8, u < 0.9, the rest.
# 3. Draw a random word for each token, and use only those that are needed: np.where.
# 4. np.select([condition 1, condition 2], [value 1, value 2], default=value 3)
