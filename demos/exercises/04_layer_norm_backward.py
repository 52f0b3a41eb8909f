"""Exercise 4: the backward of layer norm.

Read first: `layer_norm` in minibert/micro.py; exercise 3.

Layer norm (Ba, Kiros & Hinton 2016, eq. 4) treats each row x of C numbers by itself:

    mean  = (1/C) sum_i x_i            x ----> x - mean ----> x_hat ----> y
    var   = (1/C) sum_i (x_i - mean)^2   \\       /              /
    rstd  = 1 / sqrt(var + eps)           mean, var: x has influence
    x_hat = (x - mean) rstd               through these as well
    y     = weight * x_hat + bias

weight and bias (C,) are shared by all rows: their gradients are sums over rows. x has three ways to
y: directly, through the mean, and through the variance. With g = dL/dx_hat they give

    dx = rstd (g - [through the mean] - x_hat [through the variance])

Each bracket is one mean over the row. Find g first: x_hat is followed by the weight.

Two facts to test your result by hand: adding a constant to a row changes nothing, so each row of dx
adds up to 0; and if g is x_hat itself, dx is almost 0, because a longer row gives the same x_hat.

Check: python -m pytest demos/exercises/04_layer_norm_backward.py
Then train with it: python demos/exercises/train.py 4
"""

import numpy as np


def layer_norm_backward(dy: np.ndarray, x: np.ndarray, weight: np.ndarray,
                        eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dx (..., C), dweight (C,) and dbias (C,), given dy (..., C), the input x (..., C) and
    weight (C,)."""
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
# 1. Compute mean, var, rstd and x_hat again, with keepdims=True; x.var(-1) divides by C.
# 2. dbias sums dy, dweight sums dy * x_hat, over all axes but the last: tuple(range(x.ndim - 1)).
# 3. g = dy * weight. The weight is inside both means: it cannot be moved in front of dx.
# 4. Through the mean: every x_i changes it by 1/C, so what is lost is the mean of g.
# 5. Through the variance: the mean over the row of g times x_hat.
