"""One layer of LSTM in one direction as one op: see reference.lstm for the definition.

Arrays are (T, H, B) here: those of a step lie side by side, each text is a column as in the papers,
and BLAS takes 110 us for U h' where h' U^T takes 190 (H = 256, B = 16). Letters, at one step:
x (I, B); h, c (H, B), the states; h', c', those of the step before; z (4 H, B), the gates before
their functions, in PyTorch's order i, f, g, o; W (4 H, I) weight_ih, U (4 H, H) weight_hh, b the
sum of both biases.

    z = W x + U h' + b           i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
    c = f c' + i g               g = tanh(z_g)
    h = o tanh(c)

Backpropagation through time (Werbos 1990) takes the steps from the last to the first. At each, dh
and dc are the gradients of h and c, from the loss and from the step after:

    dc += dh o (1 - tanh(c)^2)   from h = o tanh(c)
    dz_o = dh tanh(c) o (1 - o)  sigmoid' = o (1 - o)
    dz_i = dc g i (1 - i)        from c = f c' + i g
    dz_f = dc c' f (1 - f)
    dz_g = dc i (1 - g^2)        tanh' = 1 - g^2
    dc' = dc f,  dh' = U^T dz    for the step before

Only dh and dc depend on other steps. Their factors are computed for all steps at once, and a step
multiplies them in place. The other gradients are products over all steps and texts, (T B) columns:
dx = W^T dz, dW = dz x^T, dU = dz h'^T, db = the row sums of dz.

One call of tanh computes all gates, since sigmoid(z) = (1 + tanh(z / 2)) / 2. With s = 1/2 in the
rows of i, f, o and 1 in those of g, a gate is s tanh(s z) + (1 - s); W, U and b are multiplied by s
once.

A step at padding has i = 0, f = 1, o = 0: c = c', and dz = 0 and dc' = dc by the formulas above. h
and dh are copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minibert.autograd.fused.layers import needed
from minibert.autograd.fused.row_reductions import row_sum
from minibert.autograd.tensor import Tensor


class Steps(NamedTuple):
    """The order of the steps, and the texts whose states each of them leaves as they are."""

    order: range  # of 0 .. T - 1
    padding: np.ndarray | None  # (T, 1, B), True = padding


class SavedGates(NamedTuple):
    """Arrays of the forward that lstm_backward uses."""

    gates: np.ndarray  # (T, 4, H, B): i, f, g, o
    tanh_c: np.ndarray  # (T, H, B)


def lstm_forward(x: np.ndarray, parameters: Sequence[np.ndarray], h_0: np.ndarray, c_0: np.ndarray,
                 steps: Steps, states: np.ndarray) -> SavedGates:
    """Fill `states` (2, T, H, B), h and c after each step, from x (T, I, B), `parameters` (W, U and
    both biases) and the states before the first step, h_0 and c_0 (H, B)."""
    _, T, H, B = states.shape
    s = np.full((4, H, 1), 0.5, states.real.dtype)
    s[2] = 1
    W, U, *biases = [s.reshape(4 * H, 1) * parameter.reshape(4 * H, -1) for parameter in parameters]
    z, tanh_c = [np.empty((T, rows, B), states.dtype) for rows in (4 * H, H)]
    np.matmul(W, x, out=z)
    z += sum(biases)
    gates = z.reshape(T, 4, H, B)
    s = np.broadcast_to(s, (4, H, B)).copy()
    rest = 1 - s
    h, c = h_0, c_0
    of_h, i_g = [np.empty((rows, B), states.dtype) for rows in (4 * H, H)]
    for t in steps.order:
        z[t] += np.matmul(U, h, out=of_h)
        i, f, g, o = gate = gates[t]
        np.tanh(gate, out=gate)
        gate *= s
        gate += rest
        if steps.padding is not None:
            for closed, value in ((i, 0), (f, 1), (o, 0)):
                np.copyto(closed, value, where=steps.padding[t])
        h_next, c_next = states[0, t], states[1, t]
        np.multiply(f, c, out=c_next)
        c_next += np.multiply(i, g, out=i_g)
        np.tanh(c_next, out=tanh_c[t])
        np.multiply(o, tanh_c[t], out=h_next)
        if steps.padding is not None:
            np.copyto(h_next, h, where=steps.padding[t])
        h, c = h_next, c_next
    return SavedGates(gates, tanh_c)


def lstm_backward(grad: np.ndarray, U: np.ndarray, c_0: np.ndarray, steps: Steps,
                  states: np.ndarray, saved: SavedGates
                  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dz (4 H, T B), and dh and dc (H, B) of the states before the first step. `grad` (2, T, H, B)
    is the gradient of `states`; the others are those of the forward."""
    _, T, H, B = states.shape
    i, f, g, o = saved.gates.swapaxes(0, 1)  # each (T, H, B)
    dz = np.empty_like(saved.gates)  # first without the factors dc and dh
    np.multiply(g * i, 1 - i, out=dz[:, 0])
    np.multiply(states_before(states[1], c_0, steps) * f, 1 - f, out=dz[:, 1])
    np.multiply(i, 1 - g * g, out=dz[:, 2])
    np.multiply(saved.tanh_c * o, 1 - o, out=dz[:, 3])
    h_slope = o * (1 - saved.tanh_c * saved.tanh_c)  # dh/dc
    dh, dc, from_h = np.zeros((3, H, B), dz.dtype)
    for t in reversed(steps.order):
        dh += grad[0, t]
        dc += grad[1, t]
        dc += np.multiply(dh, h_slope[t], out=from_h)
        dz[t, :3] *= dc
        dz[t, 3] *= dh
        dh_padding = None if steps.padding is None else dh * steps.padding[t]
        np.matmul(U.T, dz[t].reshape(4 * H, B), out=dh)
        if dh_padding is not None:
            dh += dh_padding
        dc *= f[t]
    return as_columns(dz.reshape(T, 4 * H, B)), dh, dc


def as_columns(steps: np.ndarray) -> np.ndarray:
    """(T, H, B) -> (H, T B)."""
    T, H, B = steps.shape
    return steps.swapaxes(0, 1).reshape(H, T * B)


def states_before(states: np.ndarray, initial: np.ndarray, steps: Steps) -> np.ndarray:
    """The state before each step: (T, H, B), and (H, B) before the first step, -> (T, H, B)."""
    if steps.order.step > 0:
        return np.concatenate([initial[None], states[:-1]])
    return np.concatenate([states[1:], initial[None]])


def lstm(x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
         hx: Sequence[Tensor] = (), lengths: np.ndarray | None = None, reverse: bool = False
         ) -> Tensor:
    """See reference.lstm. The products with the input are one call for all steps, and so are all
    gradients but those of the states: a step has one product, (4 H, H) @ (H, B)."""
    inputs = (x, weight_ih, weight_hh, bias_ih, bias_hh, *hx)
    (B, T, I), H = x.shape, weight_hh.shape[1]
    dtype = np.result_type(*[tensor.data for tensor in inputs])
    parameters = W, U, _, _ = [tensor.data for tensor in inputs[1:5]]
    x_steps = np.ascontiguousarray(x.data.transpose(1, 2, 0))  # (T, I, B)
    h_0, c_0 = [state.data.T for state in hx] or np.zeros((2, H, B), dtype)
    padding = None if lengths is None else (np.arange(T)[:, None] >= lengths)[:, None]
    steps = Steps(range(T)[::-1] if reverse else range(T), padding)
    states = np.empty((2, T, H, B), dtype)
    saved = lstm_forward(x_steps, parameters, h_0, c_0, steps, states)

    def lstm_node_backward(grad):
        grad = np.ascontiguousarray(grad.transpose(0, 2, 3, 1))  # (2, T, H, B)
        dz, dh, dc = lstm_backward(grad, U, c_0, steps, states, saved)
        need_x, need_W, need_U, *_ = needed(*inputs)
        dx = (W.T @ dz).reshape(I, T, B).transpose(2, 1, 0) if need_x else None
        dW = dz @ as_columns(x_steps).T if need_W else None
        dU = dz @ as_columns(states_before(states[0], h_0, steps)).T if need_U else None
        db = row_sum(dz)[:, 0]
        return (dx, dW, dU, db, db, dh.T, dc.T)[:len(inputs)]

    return Tensor.from_op(states.transpose(0, 3, 1, 2), inputs, lstm_node_backward)
