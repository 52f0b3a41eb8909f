"""Exercise 15: the block, with its norms in both orders.

Read first: minibert/micro.py, section 3, without `block`.

A Transformer is a stack of equal blocks. Each has two branches: attention, in which tokens exchange
information, and a feed-forward network, which treats each token by itself. Each branch adds to x;
x is called the residual stream. There are two orders:

    norm last: BERT (Vaswani et al. 2017)        norm first: GPT-2 (Radford et al. 2019)

    x ----------+                                x ----------------------+
    |           |                                |                       |
    attention   |                                attention_norm          |
    |           |                                attention               |
    + <---------+                                + <---------------------+
    attention_norm                               |
    |                                            x ----------------------+
    x ----------+                                |                       |
    feed_forward|                                feed_forward_norm       |
    + <---------+                                feed_forward            |
    feed_forward_norm                            + <---------------------+

With the norm first a path from the last block to the first passes through additions alone, and the
gradient with it; that is why deep models use this order. With the norm last the sum is normalized.

The branches and the norms are given as functions that return an array of x's shape. `block` only
connects them: this is the function that BERT and GPT share in this project.

Check: python -m pytest demos/exercises/15_block.py
Then train with it: python demos/exercises/train.py 15
"""

from collections.abc import Callable

import numpy as np


def block(x: np.ndarray, attention: Callable, feed_forward: Callable, attention_norm: Callable,
          feed_forward_norm: Callable, norm_first: bool) -> np.ndarray:
    """x (B, T, C) -> (B, T, C). The four functions take an array (B, T, C) and return one."""
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
# 1. Each order is two lines. Each line has the form x = ... x + branch(...) ...
# 2. Norm first: the norm is applied to what the branch reads, not to x in the sum.
# 3. Norm last: the norm is applied to the sum.
# 4. The second line begins with the x that the first one has made.
