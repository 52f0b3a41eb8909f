"""The LSTM's op: a loop over single numbers, both implementations, time, padding, mistakes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert import functional as F
from minibert.autograd.tensor import Tensor
from tests.autograd.implementations import check_implementations_agree, each_implementation
from tests.autograd.op_factory import SEEDS, assert_close, random_arrays

B, T, I, H = 2, 3, 4, 2


def inputs(seed=0, steps=T):
    return random_arrays(seed, (B, steps, I), (4 * H, I), (4 * H, H), (4 * H,), (4 * H,), (B, H),
                         (B, H))


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def loop(x, weight_ih, weight_hh, bias_ih, bias_hh, h_0, c_0, lengths=None, reverse=False):
    """One text, one step and one unit at a time: hidden states and cells (2, B, T, H)."""
    states = np.zeros((2, *x.shape[:2], h_0.shape[1]))
    for b in range(len(x)):
        h, c = list(h_0[b]), list(c_0[b])
        order = range(x.shape[1])
        for t in reversed(order) if reverse else order:
            if lengths is None or t < lengths[b]:
                z = [sum(weight_ih[k] * x[b, t]) + sum(weight_hh[k] * h) + bias_ih[k] + bias_hh[k]
                     for k in range(len(weight_ih))]
                n = len(c)
                c = [sigmoid(z[n + j]) * c[j] + sigmoid(z[j]) * math.tanh(z[2 * n + j])
                     for j in range(n)]
                h = [sigmoid(z[3 * n + j]) * math.tanh(c[j]) for j in range(n)]
            states[0, b, t], states[1, b, t] = h, c
    return states


@each_implementation
@settings(max_examples=10)
@given(SEEDS, st.booleans(), st.sampled_from([None, (3, 1), (0, 2)]))
def test_a_loop_agrees(implementation, seed, reverse, lengths):
    x, *parameters, h_0, c_0 = inputs(seed)
    lengths = None if lengths is None else np.array(lengths)
    with implementation():
        states = F.lstm(x, *map(Tensor, parameters), (h_0, c_0), lengths, reverse)
    assert_close(states.data, loop(x, *parameters, h_0, c_0, lengths, reverse), 1e-14)


@settings(max_examples=10)
@given(SEEDS, st.booleans(), st.booleans(), st.integers(1, 6))
def test_fused_is_the_reference(seed, reverse, padded, steps):
    arrays = inputs(seed, steps)
    lengths = np.random.default_rng(seed).integers(0, steps + 1, B) if padded else None
    check_implementations_agree(
        lambda x, w, u, b, d, h, c: F.lstm(x, w, u, b, d, (h, c), lengths, reverse), *arrays)
    check_implementations_agree(
        lambda x, w, u, b, d: F.lstm(x, w, u, b, d, None, lengths, reverse), *arrays[:5])


@each_implementation
@pytest.mark.parametrize("reverse", [False, True])
def test_no_step_depends_on_one_that_is_read_later(implementation, reverse):
    """To the bit, with a gradient of exactly zero; on all that are read before, it does."""
    arrays = inputs(1, 5)
    with implementation():
        for t in range(5):
            x = Tensor(arrays[0], requires_grad=True)
            hidden, cells = F.lstm(x, *map(Tensor, arrays[1:5]), reverse=reverse)
            (hidden[:, t] + cells[:, t]).sum().backward()
            read = np.arange(5) >= t if reverse else np.arange(5) <= t
            assert x.grad[:, read].all() and not x.grad[:, ~read].any()


def test_extreme_gates_are_exact_and_warn_of_nothing():
    weights = [np.zeros((4 * H, I)), np.zeros((4 * H, H))]
    bias = np.repeat([-1e4, 1e4, 1e4, 1e4], H)  # i 0, f 1, g 1, o 1: the cell stays
    c_0 = np.array([[0.5, -3.0]] * B)
    with np.errstate(all="raise"):
        hidden, cells = F.lstm(np.ones((B, T, I)), *map(Tensor, weights), Tensor(bias),
                               Tensor(bias), (Tensor(c_0), Tensor(c_0)))
    assert_close(cells.data, np.repeat(c_0[:, None], T, 1), 1e-15)
    assert_close(hidden.data, np.tanh(cells.data), 1e-15)


def test_a_caller_may_refill_the_lengths():
    arrays, lengths = inputs(2), np.array([1, 3])
    x = Tensor(arrays[0], requires_grad=True)
    hidden, _ = F.lstm(x, *map(Tensor, arrays[1:5]), lengths=lengths)
    lengths[:] = 3
    hidden.sum().backward()
    assert not x.grad[0, 1:].any() and x.grad[1].all()


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({0: np.ones((B, I))}, ValueError, r"lstm: x of shape \(2, 4\) .*expected \(B, T, I"),
    ({0: np.ones((B, 0, I))}, ValueError, "with T and H > 0"),
    ({0: np.ones((B, T, I), np.float16)}, TypeError, "lstm: x is float16"),
    ({1: np.ones((4 * H, I + 1))}, ValueError, r"weight_ih of shape \(8, 5\), expected \(8, 4\)"),
    ({2: np.ones((4 * H, H + 1))}, ValueError, r"weight_ih of shape \(8, 4\), expected \(12, 4\)"),
    ({2: np.ones(4 * H)}, ValueError, r"weight_hh of shape \(8,\)"),
    ({3: np.ones(4)}, ValueError, r"bias_ih of shape \(4,\)"),
    ({4: np.ones((4 * H, 1))}, ValueError, r"bias_hh of shape \(8, 1\)"),
    ({"hx": [np.ones((B, H))]}, ValueError, r"lstm: hx has shapes \(2, 2\): expected h_0 and c_0"),
    ({"hx": [np.ones((B, H)), np.ones((1, H))]}, ValueError, r"both \(B, H\) = \(2, 2\)"),
    ({"lengths": [1, 2, 3]}, ValueError, r"lstm: lengths of shape \(3,\), expected .*\(2,\)"),
    ({"lengths": [1, 4]}, IndexError, "lstm: length 4 is out of range: expected 0 to 3"),
    ({"lengths": [1, -1]}, IndexError, "lstm: length -1"),
    ({"lengths": [1.0, 2.0]}, TypeError, "lstm: lengths must be integers"),
])
def test_mistakes_are_named(changes, error, message):
    arrays = [changes.get(k, array) for k, array in enumerate(inputs()[:5])]
    hx = changes.get("hx")
    with pytest.raises(error, match=message):
        F.lstm(*map(Tensor, arrays), hx=None if hx is None else tuple(map(Tensor, hx)),
               lengths=changes.get("lengths"))
