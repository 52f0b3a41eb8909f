"""Exercise 7: who may attend to whom: padding and the future.

Read first: demos/03_masks.py (run it as well); exercise 5.

Texts in one batch have different lengths and are filled up with padding, id 0. Two rules decide
which key s a query t may attend to:

    padding:  never to a key that is padding            (BERT and GPT)
    causal:   never to a later token, s <= t only       (GPT: it predicts the next token)

    ids of one row: 5 7 3 0        causal = False         causal = True
                                   keys 0 1 2 3           keys 0 1 2 3
    True is written x     query 0       x x x .                x . . .
                          query 1       x x x .                x x . .
                          query 2       x x x .                x x x .
                          query 3       x x x .                x x x .

Query 3 is padding itself: its output is not used, so its row does not matter, and no rule is made
for it. A token may attend to itself. True means "may attend"; some libraries use the opposite.

The result is combined with scores of shape (B, H, T, S) and has the same number of axes, with size
1 where it does not depend on an axis. Without `causal` the rule depends on row and key only.

Check: python -m pytest demos/exercises/07_masks.py
Then train with it: python demos/exercises/train.py 7
"""

import numpy as np

PAD = 0


def attention_mask(ids: np.ndarray, causal: bool) -> np.ndarray:
    """ids (B, T) -> boolean, True where a query may attend to a key: (B, 1, 1, S) without `causal`,
    (B, 1, T, S) with it. S = T."""
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
# 1. ids != PAD is boolean, (B, T). These tokens are the keys: the last axis.
# 2. array[:, None, None, :] adds two axes of size 1.
# 3. np.tri(T, dtype=bool) is the lower triangle with the diagonal, (T, T).
# 4. Both rules must hold: & of the two, by broadcasting.
