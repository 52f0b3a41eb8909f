"""Exercise 14: sampling with top-p.

Read first: demos/10_sampling_strategies.py; `generate` in minibert/micro.py.

A language model gives a little probability to thousands of wrong tokens, and together they are
drawn often. Top-p (nucleus) sampling (Holtzman et al. 2020, section 3.1) keeps the smallest set of
most probable tokens that has at least the probability `threshold` together, and draws from these:

    token            the    a    cat   its   of         threshold = 0.7
    p                0.45  0.2   0.15  0.12  0.08
    running sum      0.45  0.65  0.80  0.92  1.00
    kept              x     x     x                     0.65 is not enough: "cat" crosses 0.7
    new p            0.56  0.25  0.19   0     0         divided by 0.80

The token that crosses the threshold is kept, so there is always one. The model's tokens come in
order of their ids, not sorted as in this picture; the result is in order of ids again.

Check: python -m pytest demos/exercises/14_top_p.py
Then generate with it: python demos/exercises/train.py 14
"""

import numpy as np


def top_p(p: np.ndarray, threshold: float) -> np.ndarray:
    """The probabilities (V,) of the kept tokens, divided by their sum, and 0 for all others; in the
    order of p (V,). 0 < threshold < 1; all p are positive and different."""
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
# 1. order = np.argsort(-p) are the ids from the most probable one down; p[order] is sorted.
# 2. np.cumsum(p[order]) is the running sum with each token; minus p[order]: without it.
# 3. Keep a token if those before it have less than the threshold together.
# 4. result[order[kept]] = p[order[kept]] puts them back at their places.
