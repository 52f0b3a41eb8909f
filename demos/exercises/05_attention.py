"""Exercise 5: attention, forward.

Read first: demos/02_attention.py (run it as well); `softmax` in minibert/micro.py.

Attention is a weighted look-up (Vaswani et al. 2017, eq. 1), in each head by itself:

    attention(Q, K, V) = softmax(Q K^T / sqrt(D)) V

    one query t:     score with each key      weights           mixture of the values
       Q[t] . K[0]        1.2  (allowed)        0.6
       Q[t] . K[1]        0.8  (allowed)   ->   0.4        ->   0.6 V[0] + 0.4 V[1]
       Q[t] . K[2]        2.0  (masked)         0

Each query has a row of T x S scores, and the softmax runs over the keys: each row of weights adds
up to 1. D is the width of one head, not of the model: a sum of D products of numbers of variance 1
has variance D, and the division gives variance 1 again.

The mask is True where a query may attend to a key. A key that it may not attend to must have a
weight of 0, and the other weights must still add up to 1: so the mask acts on the scores, before
the softmax. Use -1e30 instead of minus infinity: exp(-1e30) is exactly 0.

Letters: B batch, T queries, S keys, H heads, D head width.

Check: python -m pytest demos/exercises/05_attention.py
Then train with it: python demos/exercises/train.py 5
"""

import numpy as np


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray,
              mask: np.ndarray) -> np.ndarray:
    """query (B, H, T, D), key and value (B, H, S, D), mask boolean and broadcastable to
    (B, H, T, S) -> (B, H, T, D). Each query may attend to at least one key."""
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
# 1. @ multiplies the last two axes and leaves the others alone; key.swapaxes(-1, -2) is K^T.
# 2. np.where(mask, scores, -1e30)
# 3. softmax: subtract each row's largest score, np.exp, divide by the row's sum; keepdims=True.
# 4. (B, H, T, S) @ (B, H, S, D) -> (B, H, T, D)
