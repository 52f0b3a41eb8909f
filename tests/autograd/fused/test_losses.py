"""Cross entropy in all its forms, mse and l1: PyTorch's numbers, loops, and the corner cases."""

import math
from contextlib import nullcontext

import numpy as np
import pytest

import minibert as mb
from minibert import functional as F
from minibert.autograd.tensor import Tensor
from tests.autograd.implementations import (REFERENCE, check_reference, each_implementation,
                                            values_and_gradients)
from tests.autograd.op_factory import assert_close, check_op, random_arrays

CASES = sorted({name.split("/")[0] for name in REFERENCE if name.startswith("cross_entropy")})


@each_implementation
@pytest.mark.parametrize("name", CASES)
def test_pytorch_agrees(implementation, name):
    _, _, reduction, smoothing, _ = name.split()
    with implementation():
        check_reference(name, lambda logits, targets, weight=None: F.cross_entropy(
            logits, targets, weight, reduction=reduction, label_smoothing=float(smoothing)))


@each_implementation
def test_a_loop_agrees(implementation):
    """The definition with math.log and math.exp, one target after the other."""
    logits = random_arrays(0, (4, 6, 3))[0]
    targets = np.random.default_rng(1).integers(0, 6, (4, 3))
    targets[2, 1] = -100

    def loop(x):
        total, count = 0.0, 0
        for n, t in np.ndindex(4, 3):
            if targets[n, t] != -100:
                total -= math.log(math.exp(x[n, targets[n, t], t]) / sum(np.exp(x[n, :, t])))
                count += 1
        return np.asarray(total / count)

    with implementation():
        check_op(lambda x: F.cross_entropy(x, targets), loop, [logits])


@each_implementation
def test_linear_cross_entropy_is_what_its_name_says(implementation):
    x, weight, bias = random_arrays(2, (2, 5, 3), (7, 3), (7,))
    targets = np.random.default_rng(3).integers(0, 7, (2, 5))
    targets[1, 2:] = -100

    def separate(x, weight, bias):
        logits = F.linear(x, weight, bias).reshape(10, 7)
        return F.cross_entropy(logits, targets.reshape(10), reduction="sum")

    with implementation():
        together = values_and_gradients(
            lambda x, w, b: F.linear_cross_entropy(x, w, b, targets, reduction="sum"),
            [x, weight, bias])
    with nullcontext() if implementation is mb.reference else mb.reference():
        expected = values_and_gradients(separate, [x, weight, bias])
    for a, b in zip(together, expected, strict=True):
        assert_close(a, b, 1e-12)


@each_implementation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits(implementation, dtype):
    logits = np.array([[1000, -1000, 0], [-1000, 1000, 1000], [1000, 0, -1000]], dtype)
    with implementation(), np.errstate(all="raise", under="ignore"):
        x = Tensor(logits, requires_grad=True)
        losses = F.cross_entropy(x, np.array([0, 1, 2]), reduction="none")
        assert_close(losses.data, np.array([0, math.log(2), 2000], dtype), 1e-6)
        losses.backward(np.ones(3, dtype))
        assert_close(x.grad, np.array([[0, 0, 0], [0, -0.5, 0.5], [1, 0, -1]], dtype), 1e-6)
        losses = F.cross_entropy(x, np.array([0, 1, 2]), reduction="none", label_smoothing=0.3)
        assert np.isfinite(losses.data).all()


@each_implementation
def test_a_perfect_prediction_costs_nothing(implementation):
    logits = np.where(np.eye(5, dtype=bool), 40.0, -40.0)
    with implementation():
        assert abs(F.cross_entropy(logits, np.arange(5)).item()) < 1e-12
        x = Tensor(np.eye(5) * 80, requires_grad=True)
        loss = F.linear_cross_entropy(x, Tensor(np.eye(5)), None, np.arange(5))
        loss.backward()
        assert abs(loss.item()) < 1e-12
        assert np.abs(x.grad).max() < 1e-12


@each_implementation
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_no_valid_target_is_no_loss_and_no_gradient(implementation, reduction):
    x, weight = [Tensor(array, requires_grad=True) for array in random_arrays(4, (3, 4), (6, 4))]
    targets = np.full(3, -100)
    with implementation(), np.errstate(all="raise"):
        for loss in (F.cross_entropy(x, targets, reduction=reduction),
                     F.cross_entropy(x, targets, np.ones(4), -100, reduction, 0.1),
                     F.linear_cross_entropy(x, weight, None, targets, reduction=reduction)):
            loss.backward()
            assert loss.item() == 0
    assert not x.grad.any() and not weight.grad.any()


@each_implementation
def test_ignored_rows_get_exactly_no_gradient(implementation):
    x = Tensor(random_arrays(5, (4, 6))[0], requires_grad=True)
    with implementation():
        F.cross_entropy(x, np.array([1, 9, 5, 9]), ignore_index=9, label_smoothing=0.1).backward()
    assert not x.grad[[1, 3]].any() and x.grad[[0, 2]].all()


@each_implementation
def test_an_untrained_model_loses_ln_V(implementation):
    with implementation():
        loss = F.cross_entropy(np.zeros((3, 50), np.float32), np.array([0, 7, 49]))
    assert loss.dtype == np.float32 and abs(loss.item() - math.log(50)) < 1e-5


@each_implementation
def test_one_example_without_a_batch_and_targets_as_a_tensor(implementation):
    logits = random_arrays(6, (5,))[0]
    with implementation():
        alone = F.cross_entropy(logits, np.array(3))
        batch = F.cross_entropy(logits[None], Tensor(np.array([3])))
    assert alone.shape == () and abs(alone.item() - batch.item()) < 1e-14


@each_implementation
def test_mse_and_l1(implementation):
    with implementation():
        check_reference("mse_loss", F.mse_loss)
        check_reference("l1_loss", F.l1_loss)
        x, y = random_arrays(7, (2, 3), (2, 3))
        check_op(lambda a, b: F.mse_loss(a, b, "sum"),
                 lambda a, b: np.asarray(((a - b) ** 2).sum()), [x, y])
        check_op(lambda a, b: F.l1_loss(a, b, "none"), lambda a, b: np.abs(a - b), [x, y])


LOGITS = Tensor(np.ones((3, 4)))
WEIGHT = Tensor(np.ones((4, 2)))


@pytest.mark.parametrize("call, error, words", [
    (lambda: F.cross_entropy(LOGITS, np.array([0, 4, 1])), IndexError,
     "cross_entropy: target 4 is out of range: expected 0 to 3"),
    (lambda: F.cross_entropy(LOGITS, np.array([0, -1, 1])), IndexError, "target -1 is out of"),
    (lambda: F.cross_entropy(LOGITS, np.array([0, 1])), ValueError,
     r"targets of shape \(2,\), expected \(3,\)"),
    (lambda: F.cross_entropy(LOGITS, np.ones((3, 5))), ValueError, r"probabilities of .*\(3, 5\)"),
    (lambda: F.cross_entropy(LOGITS, np.array([True, False, True])), TypeError,
     "must be integers, got bool"),
    (lambda: F.cross_entropy(LOGITS, np.arange(3), np.ones(3)), ValueError,
     r"weight of shape \(3,\).*\(4,\)"),
    (lambda: F.cross_entropy(LOGITS, np.arange(3), reduction="avg"), ValueError,
     "'avg': expected one of mean, sum, none"),
    (lambda: F.cross_entropy(LOGITS, np.arange(3), label_smoothing=1.1), ValueError,
     "label_smoothing .*1.1"),
    (lambda: F.cross_entropy(LOGITS, Tensor(np.ones((3, 4)), requires_grad=True)), ValueError,
     "targets are constants"),
    (lambda: F.cross_entropy(np.float64(1.0), np.array(0)), ValueError, "have no classes"),
    (lambda: F.cross_entropy(np.ones((2, 0)), np.array([0, 0])), ValueError, "have no classes"),
    (lambda: F.linear_cross_entropy(np.ones((3, 2)), WEIGHT, None, np.array([0, 4, 0])), IndexError,
     "linear_cross_entropy: target 4"),
    (lambda: F.linear_cross_entropy(np.ones((3, 3)), WEIGHT, None, np.arange(3)), ValueError,
     r"x of shape \(3, 3\) does not fit a weight of shape \(4, 2\)"),
    (lambda: F.linear_cross_entropy(np.ones((3, 2)), WEIGHT, None, np.arange(3), reduction="none"),
     ValueError, "'none': expected one of mean, sum"),
])
@each_implementation
def test_errors_name_what_does_not_fit(implementation, call, error, words):
    with implementation(), pytest.raises(error, match=words):
        call()


@each_implementation
@pytest.mark.parametrize("of_classes", [True, False])
def test_what_is_not_asked_for_may_be_impossible(implementation, of_classes):
    """Logits of -inf where the target is ignored, or its probability 0: no NaN."""
    logits = np.array([[-np.inf, 1.0, 2.0], [-np.inf, 0.0, 1.0]])
    targets = np.array([1, -100]) if of_classes else np.array([[0.0, 1, 0], [0, 0, 0]])
    with implementation():
        loss, grad = values_and_gradients(
            lambda x: F.cross_entropy(x, targets, reduction="sum"), [logits])
    odds = np.exp([1.0, 2.0]) / np.exp([1.0, 2.0]).sum()
    assert_close(loss, -np.log(odds[0]), 1e-12)
    upstream = np.random.default_rng(0).normal()
    assert_close(grad, upstream * np.array([[0, odds[0] - 1, odds[1]], [0, 0, 0]]), 1e-12)
