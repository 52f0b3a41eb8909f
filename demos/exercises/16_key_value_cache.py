"""Exercise 16: a key/value cache.

Read first: exercises 5 and 7; `generate` in minibert/micro.py, which does without a cache.

A GPT generates one token at a time, and each new token attends to all tokens before it. With causal
attention an old token's key and value never change: a later token has no influence on it. So they
are kept, and only the new token's query, key and value are computed:

    without a cache, step 4:  4 queries x 4 keys          with a cache:  1 query x 4 keys
        x . . .    (computed again)
        x x . .    (computed again)
        x x x .    (computed again)
        x x x x    <- the only row that is needed              x x x x

Several new tokens may come at once (the prompt): then they are causal among themselves. New token t
stands at position P + t, where P is the number of old tokens:

                   old keys   new keys
    P = 2, T = 2:   x x        x .         new query 0, at position 2
                    x x        x x         new query 1, at position 3

The attention is that of exercise 5, softmax(Q K^T / sqrt(D)) V. P may be 0: then this is causal
attention as usual. The queries of old tokens are not needed and not kept.

Check: python -m pytest demos/exercises/16_key_value_cache.py
Then generate with it: python demos/exercises/train.py 16
"""

import numpy as np


def cached_attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, past_key: np.ndarray,
                     past_value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """query, key and value (B, H, T, D) of the new tokens, past_key and past_value (B, H, P, D) of
    the old ones -> the output (B, H, T, D), and all keys and values, (B, H, P + T, D)."""
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
# 1. np.concatenate([old, new], axis=-2): the tokens are the last axis but one.
# 2. np.tri(T, P + T, P, dtype=bool): row t is True up to column P + t.
# 3. Masked scores become -1e30 before the softmax over the keys.
