"""Exercise 13: one step of AdamW.

Read first: `train` in minibert/micro.py, which calls this function for each weight.

Plain gradient descent is w - lr * grad. Adam (Kingma & Ba 2015, algorithm 1) gives every number its
own step size: it divides a running mean of the gradient by the root of a running mean of its
square. AdamW (Loshchilov & Hutter 2019, algorithm 2) adds weight decay beside that:

    m  <-  beta1 m + (1 - beta1) grad            running mean
    v  <-  beta2 v + (1 - beta2) grad^2          running mean of the square
    m_hat = m / (1 - beta1^t)                    bias correction, t = 1, 2, 3 ...
    v_hat = v / (1 - beta2^t)
    w  <-  w - lr (m_hat / (sqrt(v_hat) + eps) + weight_decay w)

m and v begin at 0, so the first means are too small: after step 1, m is only (1 - beta1) grad.

    t                    1      2      3     10     100
    1 - 0.9^t          0.10   0.19   0.27   0.65   1.00
    1 - 0.999^t        0.001  0.002  0.003  0.010  0.095

Without the correction the first step would be 0.1 / sqrt(0.001), three times too large.

The decay uses w as it was before the step and is not divided by sqrt(v_hat): that is the W in
AdamW. m and v are returned without the correction, for the next step. No argument is changed.

Check: python -m pytest demos/exercises/13_adamw.py
Then train with it: python demos/exercises/train.py 13
"""

import numpy as np


def adamw_step(w: np.ndarray, grad: np.ndarray, m: np.ndarray, v: np.ndarray, t: int, lr: float,
               weight_decay: float, beta1: float, beta2: float,
               eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The new w, m and v after step number t = 1, 2, ...; all arrays have one shape."""
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
# 1. The five lines above are five lines of NumPy.
# 2. m = beta1 * m + ... makes a new array; m *= beta1 would change the caller's.
# 3. eps is outside the root.
