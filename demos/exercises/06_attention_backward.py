"""Exercise 6: the backward of attention.

Read first: exercises 3 and 5; `__matmul__` in minibert/micro.py.

Four of five public NumPy Transformers get this gradient wrong. Without a mask the forward is

    S = Q K^T / sqrt(D)          (T, S)     scores
    P = softmax(S)               (T, S)     weights, rows add up to 1
    O = P V                      (T, D)     output

and the backward goes through it from the end:

    dO --> dV                       product: what else was multiplied with V?
       \\-> dP --> dS --> dQ         dP: product; dS: softmax; dQ, dK: product and scale
                    \\-> dK

For a product Y = A B the chain rule gives dA = dY B^T and dB = A^T dY; the shapes leave no other
choice, unless T = S = D, which is why tests should use different sizes. The step from dP to dS is
exercise 3, and forgetting its row sum is the mistake made most often: the gradient is then wrong,
but training still makes progress.

All arrays have the axes B and H in front, which @ leaves alone.

Check: python -m pytest demos/exercises/06_attention_backward.py
Then train with it: python demos/exercises/train.py 6
"""

import numpy as np


def attention_backward(dO: np.ndarray, query: np.ndarray, key: np.ndarray, value: np.ndarray,
                       P: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dQ (B, H, T, D), dK and dV (B, H, S, D), given dO (B, H, T, D), the inputs of the forward and
    its weights P = softmax(Q K^T / sqrt(D)), (B, H, T, S)."""
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
# 1. X^T is X.swapaxes(-1, -2) here: the axes B and H stay.
# 2. O = P V: value s was used by every query t with the weight P[t, s].
# 3. dP has the shape of P, (T, S): which of dO (T, D) and V (S, D) is transposed?
# 4. dS is softmax's backward of dP, over the keys.
# 5. S was divided by sqrt(D): so are dQ and dK. D is query.shape[-1].
