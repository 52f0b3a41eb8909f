"""Reductions over any axes against NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.autograd.op_factory import FILLED_SHAPES, SEEDS, SHAPES, check_op, random_arrays

from minibert.autograd import ops
from minibert.autograd.tensor import Tensor

REDUCTIONS = {"mean": (ops.mean, np.mean), "var": (ops.var, np.var), "max": (ops.max, np.max),
              "min": (ops.min, np.min)}


def leaf(values, dtype=np.float64) -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


def drawn_axis(data, shape):
    """None, one axis or several, counted from either end."""
    if not shape:
        return data.draw(st.sampled_from([None, ()]))
    several = hnp.valid_tuple_axes(len(shape), min_size=0)
    return data.draw(st.none() | st.integers(-len(shape), len(shape) - 1) | several)


@given(shape=SHAPES, data=st.data(), keepdims=st.booleans(), seed=SEEDS)
def test_sum(shape, data, keepdims, seed):
    axis = drawn_axis(data, shape)
    check_op(lambda x: ops.sum(x, axis, keepdims), lambda x: np.sum(x, axis, keepdims=keepdims),
             random_arrays(seed, shape), seed)


@pytest.mark.parametrize("name", REDUCTIONS)
@given(shape=FILLED_SHAPES, data=st.data(), keepdims=st.booleans(), seed=SEEDS)
def test_other_reductions(name, shape, data, keepdims, seed):
    op, oracle = REDUCTIONS[name]
    axis = drawn_axis(data, shape)
    check_op(lambda x: op(x, axis=axis, keepdims=keepdims),
             lambda x: oracle(x, axis=axis, keepdims=keepdims), random_arrays(seed, shape), seed)


def test_var_with_ddof():
    x = np.random.default_rng(0).normal(size=(3, 5))
    check_op(lambda t: t.var(axis=1, ddof=1), lambda a: np.var(a, axis=1, ddof=1), [x])
    with pytest.raises(ValueError, match="var: ddof=1 needs more than the 1 elements"):
        ops.var(x, axis=(), ddof=1)


def test_methods_are_the_ops():
    x = leaf([[1.0, 5.0], [2.0, 0.0]])
    assert x.sum().item() == 8 and x.mean(0).data.tolist() == [1.5, 2.5]
    assert x.max(axis=1, keepdims=True).shape == (2, 1) and x.min().item() == 0
    assert x.var().item() == 3.5


def test_a_full_reduction_stays_an_array_and_float32():
    x = leaf([1.0, 2.0], np.float32)
    for y in (x.sum(), x.mean(), x.var(), x.max(), x.min()):
        assert type(y.data) is np.ndarray and y.shape == () and y.dtype == np.float32
        x.grad = None
        y.backward()
        assert x.grad.dtype == np.float32 and x.grad.shape == (2,)


@pytest.mark.parametrize("op", [ops.max, ops.min])
def test_ties_share_the_gradient_equally(op):
    x = leaf([[2.0, 2.0, 2.0], [1.0, 1.0, 1.0 if op is ops.min else 0.0]])
    op(x, axis=1).backward(np.array([6.0, 6.0]))
    np.testing.assert_array_equal(x.grad[0], [2, 2, 2])
    np.testing.assert_array_equal(x.grad[1], [2, 2, 2] if op is ops.min else [3, 3, 0])
    x = leaf([[3.0, 1.0], [1.0, 3.0]])
    op(x).backward(np.array(8.0))
    expected = x.data == (1 if op is ops.min else 3)
    np.testing.assert_array_equal(x.grad, 4.0 * expected)


@pytest.mark.parametrize("op", [ops.max, ops.min])
def test_ties_under_the_complex_step(op):
    x = np.array([2.0, 2.0, 2.0], complex)
    x[1] += 1e-30j
    assert op(Tensor(x)).data.imag / 1e-30 == pytest.approx(1 / 3)


def test_infinities_are_not_multiplied():
    with np.errstate(all="raise"):
        for array in (np.array([-math.inf, 1.0]), np.array([-math.inf, 1 + 1e-30j])):
            assert ops.max(Tensor(array)).data.real == 1
        x = leaf([-math.inf, 1.0])
        x.max().backward()
    assert x.grad.tolist() == [0, 1]


@pytest.mark.parametrize("op", [ops.max, ops.min])
def test_a_nan_is_the_extreme_of_its_group(op):
    x = leaf([[1.0, math.nan, 3.0], [1.0, 2.0, 2.5]])
    y = op(x, axis=1)
    y.backward(np.array([6.0, 7.0]))
    assert np.isnan(y.data).tolist() == [True, False]
    assert x.grad.tolist() == [[0, 6, 0], [7, 0, 0] if op is ops.min else [0, 0, 7]]


@pytest.mark.parametrize("op", [ops.sum, ops.mean, ops.var, ops.max, ops.min])
def test_mistakes_are_named(op):
    name, x = op.__name__, Tensor(np.ones((2, 3)))
    for axis in (2, -3, (0, 5)):
        with pytest.raises(IndexError, match=rf"{name}: axis -?\d is out of range .* \(2, 3\)"):
            op(x, axis=axis)
    for axis in (1.0, "rows", (0, None)):
        with pytest.raises(TypeError, match=rf"{name}: axis .*: expected a whole number"):
            op(x, axis=axis)
    with pytest.raises(ValueError, match=rf"{name}: an axis is named twice in \(1, -1\)"):
        op(x, axis=(1, -1))
    if op is not ops.sum:
        with pytest.raises(ValueError, match=rf"{name}: no elements to reduce in shape \(0, 3\)"):
            op(np.ones((0, 3)), axis=0)
        assert op(np.ones((0, 3)), axis=1).shape == (0,)
    with pytest.raises(TypeError):
        op(x, keepdim=True)
