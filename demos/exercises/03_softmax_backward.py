"""Exercise 3: the backward of softmax.

Read first: `softmax` in minibert/micro.py, which lets the primitive ops do this work.

Softmax makes probabilities of scores S, along the last axis (Bridle 1990):

    P_i = exp(S_i) / sum_j exp(S_j)

Its derivatives follow from the quotient rule. A score raises its own probability and lowers all
others, because they share the denominator:

    dP_i / dS_j = P_i (1 - P_i)  if i = j            [ +  -  - ]
                  - P_i P_j      otherwise           [ -  +  - ]   one row of three scores
                                                     [ -  -  + ]
Each score S_j has influence on all P_i of its row, and the chain rule sums over these ways:

    dL/dS_j = sum_i dL/dP_i * dP_i/dS_j

Insert the derivatives, and simplify until no loop and no (n, n) matrix is left. The result needs
one sum for each row.

Notation: dP means dL/dP, an array of P's shape; so do dS and all other names with d.

Check: python -m pytest demos/exercises/03_softmax_backward.py
Then train with it: python demos/exercises/train.py 3
"""

import numpy as np


def softmax_backward(dP: np.ndarray, P: np.ndarray) -> np.ndarray:
    """dS, given dP and the output P of softmax over the last axis: all of one shape (..., n)."""
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
# 1. Write both cases as one: dP_i/dS_j = P_i ([i = j] - P_j), where [i = j] is 1 or 0.
# 2. Then sum_i dP_i P_i [i = j] is only the term of j; the other part is P_j times a sum over i.
# 3. Both terms have the factor P_j.
# 4. The sum belongs to one row: axis=-1, with keepdims=True so that it can be subtracted.
