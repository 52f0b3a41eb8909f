"""Exercise 12: cross entropy, with its gradient.

Read first: `cross_entropy` in minibert/micro.py; exercise 3.

The loss of one row of logits z (V,) with the label c is minus the logarithm of the probability that
the softmax gives to c:

    loss = - log softmax(z)_c = log sum_j exp(z_j) - z_c

Derive this by z_j: the first term gives a softmax, the second a 1 at the label. Two backwards in
one, and shorter than each of them:

    logits     2.0   1.0   0.1        label 1:      0     1     0
    softmax    0.66  0.24  0.10       gradient      ?     ?     ?      (adds up to 0)

The loss of several rows is the mean over the rows that have a label. A row whose label is IGNORED
counts neither in the sum nor in the number, and its gradient is 0. If no row has a label, loss and
gradient are 0, not NaN.

Logits of 1000 must work: exp(1000) is infinite, but subtracting the row's largest logit from all of
them changes no probability. And a probability may be so small that it becomes 0: take the
logarithm of the sum, not of the probability.

Check: python -m pytest demos/exercises/12_cross_entropy.py
Then train with it: python demos/exercises/train.py 12
"""

import numpy as np

IGNORED = -100


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean loss, one number, and its gradient by the logits (M, V), given logits (M, V) and
    labels (M,): classes 0 ... V - 1, or IGNORED."""
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
# 1. shifted = logits - logits.max(-1, keepdims=True)
#    log softmax = shifted - log(sum(exp(shifted)))
# 2. rows = np.flatnonzero(labels != IGNORED) are the numbers of the rows that count.
# 3. array[rows, labels[rows]] takes one element of each of these rows.
# 4. Begin the gradient with zeros; fill the rows that count: softmax, minus 1 at the label.
# 5. Divide both by max(len(rows), 1): the loss is a mean, so its gradient is divided as well.
