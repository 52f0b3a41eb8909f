"""Element-wise ops against NumPy, and what happens at their corners."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.autograd.op_factory import FILLED_SHAPES, SEEDS, SHAPES, check_op, random_arrays

from minibert.autograd import ops
from minibert.autograd.elementwise import unbroadcast
from minibert.autograd.tensor import Tensor

PAIRS = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3)

# name: op, the same in NumPy or the standard library, whether it needs positive numbers
BINARY = {
    "add": (ops.add, np.add, False),
    "sub": (ops.sub, np.subtract, False),
    "mul": (ops.mul, np.multiply, False),
    "div": (ops.div, np.divide, True),
    "pow": (ops.pow, np.power, True),
    "maximum": (ops.maximum, np.maximum, False),
}
UNARY = {
    "neg": (ops.neg, np.negative, False),
    "abs": (ops.abs, np.abs, False),
    "exp": (ops.exp, np.exp, False),
    "log": (ops.log, np.log, True),
    "sqrt": (ops.sqrt, np.sqrt, True),
    "tanh": (ops.tanh, np.tanh, False),
    "sigmoid": (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)), False),
    "erf": (ops.erf, lambda x: np.vectorize(math.erf, otypes=[float])(x), False),
    "relu": (ops.relu, lambda x: np.clip(x, 0, None), False),
}


def leaf(values, dtype=np.float64) -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


@pytest.mark.parametrize("name", BINARY)
@given(shapes=PAIRS, seed=SEEDS)
def test_binary_ops(name, shapes, seed):
    op, oracle, positive = BINARY[name]
    arrays = random_arrays(seed, *shapes.input_shapes)
    if positive:
        arrays = [np.abs(array) + 0.5 for array in arrays]
    check_op(op, oracle, arrays, seed)


@pytest.mark.parametrize("name", UNARY)
@given(shape=SHAPES, seed=SEEDS)
def test_unary_ops(name, shape, seed):
    op, oracle, positive = UNARY[name]
    arrays = random_arrays(seed, shape)
    if positive:
        arrays = [np.abs(array) + 0.5 for array in arrays]
    check_op(op, oracle, arrays, seed)


@given(exponent=st.sampled_from([0, 1, 2, 3, 4, -1, -2, 0.5, 2.5, np.float64(1.5), np.int64(3)]),
       shape=SHAPES, seed=SEEDS)
def test_pow_with_a_number(exponent, shape, seed):
    (x,) = random_arrays(seed, shape)
    if exponent not in (0, 1, 2, 3, 4):
        x = np.abs(x) + 0.5
    check_op(lambda t: t**exponent, lambda a: np.power(a, float(exponent)), [x], seed)


@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3),
       seed=SEEDS)
def test_where(shapes, seed):
    condition_shape, *operand_shapes = shapes.input_shapes
    condition = np.random.default_rng(seed).random(condition_shape) < 0.5
    check_op(lambda a, b: ops.where(condition, a, b), lambda a, b: np.where(condition, a, b),
             random_arrays(seed, *operand_shapes), seed)


@given(shape=FILLED_SHAPES, data=st.data(), seed=SEEDS)
def test_masked_fill(shape, data, seed):
    mask_shape = data.draw(hnp.broadcastable_shapes(shape, max_dims=len(shape), max_side=3).filter(
        lambda small: np.broadcast_shapes(small, shape) == shape))
    mask = np.random.default_rng(seed).random(mask_shape) < 0.5
    full = np.broadcast_to(mask, shape)
    check_op(lambda x: ops.masked_fill(x, mask, -7.5), lambda x: np.where(full, -7.5, x),
             random_arrays(seed, shape), seed)


@given(shape=FILLED_SHAPES, seed=SEEDS)
def test_masked_fill_with_a_tensor_gives_it_the_gradient_of_what_it_filled(shape, seed):
    mask = np.random.default_rng(seed).random(shape) < 0.5
    check_op(lambda x, value: ops.masked_fill(x, mask, value),
             lambda x, value: np.where(mask, value, x), random_arrays(seed, shape, ()), seed)


# ---- un-broadcasting on its own ------------------------------------------------------------------


@pytest.mark.parametrize(("large", "small"), [
    ((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 4)), ((2, 3, 4), (4,)), ((2, 3, 4), ()),
    ((2, 3, 4), (1,)), ((2, 3, 4), (1, 3, 1)), ((2, 3, 4), (2, 1, 4)), ((2, 3, 4), (1, 1)),
    ((5, 1, 4), (1, 4)), ((), ()), ((0, 3), (1, 3)), ((2, 0), (2, 1)),
    ((1, 3), (3,)), ((1, 1, 1), ())])
def test_unbroadcast_sums_what_broadcasting_repeated(large, small):
    grad = np.random.default_rng(0).normal(size=large)
    result = unbroadcast(grad, small)
    expected = np.zeros(small)
    owners = np.broadcast_to(np.arange(expected.size).reshape(small), large)
    for owner, value in zip(owners.ravel(), grad.ravel()):
        expected.reshape(-1)[owner] += value
    assert result.shape == small and type(result) is np.ndarray
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)


def test_unbroadcast_keeps_float32():
    assert unbroadcast(np.ones((2, 3), np.float32), ()).dtype == np.float32


# ---- corners -------------------------------------------------------------------------------------


def test_relu_and_abs_have_slope_0_at_0():
    for op in (ops.relu, ops.abs):
        x = leaf([0.0, -0.0, 2.0])
        op(x).backward(np.array([3.0, 5.0, 7.0]))
        np.testing.assert_array_equal(x.grad, [0, 0, 7])


def test_maximum_shares_a_tie():
    a, b = leaf([1.0, 2.0, 3.0]), leaf([1.0, 5.0, 0.0])
    ops.maximum(a, b).backward(np.array([4.0, 6.0, 8.0]))
    np.testing.assert_array_equal(a.grad, [2, 0, 8])
    np.testing.assert_array_equal(b.grad, [2, 6, 0])


def test_pow_at_base_0():
    for exponent, slope in ((0, 0), (1, 1), (2, 0), (3, 0), (1.5, 0)):
        x = leaf([0.0])
        with np.errstate(all="raise"):
            (x**exponent).backward(np.array([2.0]))
        assert x.grad.tolist() == [2 * slope]
    base, exponent = leaf([0.0, 0.0, 2.0]), leaf([2.0, 0.0, 3.0])
    with np.errstate(all="raise"):
        (base**exponent).backward(np.ones(3))
    np.testing.assert_array_equal(base.grad, [0, 0, 12])
    np.testing.assert_allclose(exponent.grad, [0, 0, 8 * math.log(2)])


def test_pow_of_a_negative_base_with_an_integer_exponent():
    base, exponent = leaf([-2.0]), Tensor(np.array([3.0]))
    (base**exponent).backward(np.ones(1))
    assert base.grad.tolist() == [12.0]


def test_small_powers_are_products(monkeypatch):
    """x * x * x is fifty times as fast as x ** 3 on floats, forward and backward."""
    class NoPower(np.ndarray):
        def __pow__(self, exponent):
            raise AssertionError("np.power was called")

    x = Tensor(np.array([2.0, -3.0]), requires_grad=True)
    x._data = x._data.view(NoPower)
    for exponent, value, slope in ((2, 9.0, -6.0), (3, -27.0, 27.0)):
        x.grad = None
        y = x**exponent
        y.backward(np.ones(2))
        assert y.data[1] == value and x.grad[1] == slope


def test_slope_of_sqrt_at_0_is_infinite():
    x = leaf([0.0])
    with np.errstate(divide="ignore"):
        ops.sqrt(x).backward(np.ones(1))
    assert x.grad.tolist() == [math.inf]


@pytest.mark.parametrize("op", [
    ops.log, ops.sqrt, lambda x: 1 / x, lambda x: x / x, lambda x: x * ops.log(x), lambda x: x**0.5,
    lambda x: x**-1.5, lambda x: ops.exp(800 - 1e6 * x), lambda x: ops.pow(2.0, 1 / x),
    lambda x: ops.pow(x, Tensor(np.array([-1.0, 2.0])))])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_branch_that_where_did_not_take_gives_no_nan(op):
    x = leaf([0.0, 0.7])
    other = leaf([5.0, 5.0])
    y = ops.where(x > 0, op(x), other)
    y.backward(np.array([3.0, 3.0]))
    alone = leaf([0.7])
    if np.ndim(op(alone).data) == 1 and op(alone).shape == (1,):
        op(alone).backward(np.array([3.0]))
        assert x.grad[1] == pytest.approx(alone.grad[0], rel=1e-12)
    assert x.grad[0] == 0 and math.isfinite(x.grad[1])
    assert other.grad.tolist() == [3, 0]


CORNERS = [0.0, -0.0, math.inf, -math.inf, math.nan, -1.0, 1e308, 2.0]


@pytest.mark.parametrize("name", [*UNARY, *BINARY, "pow (number)", "pow (negative number)"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_zero_gradient_stays_zero_beside_zero_infinity_and_nan(name):
    """And a gradient that is not zero is not touched: it is what it would be on its own."""
    numbers = {"pow (number)": lambda x: x**0.5, "pow (negative number)": lambda x: x**-2}
    op = (UNARY.get(name) or BINARY.get(name) or [numbers.get(name)])[0]
    count = 2 if name in BINARY else 1
    points = np.array(np.meshgrid(*[CORNERS] * count)).reshape(count, -1)

    def gradients(values, upstream):
        tensors = [leaf(value) for value in values]
        op(*tensors).backward(upstream)
        return [tensor.grad for tensor in tensors]

    nonzero = np.arange(points.shape[1]) % 2 == 1
    both = gradients(points, np.where(nonzero, 3.0, 0.0))
    alone = gradients(points[:, nonzero], np.full(nonzero.sum(), 3.0))
    for grad, expected in zip(both, alone):
        assert (grad[~nonzero] == 0).all()
        np.testing.assert_array_equal(grad[nonzero], expected)


def test_a_nan_derivative_makes_a_gradient_that_is_not_zero_nan():
    for op in (ops.mul, ops.div, ops.pow):
        a, b = leaf([2.0, 2.0]), leaf([math.nan, 3.0])
        op(a, b).backward(np.array([1.0, 1.0]))
        assert np.isnan(a.grad).tolist() == [True, False]


def test_sigmoid_and_tanh_of_large_numbers():
    for dtype in (np.float32, np.float64):
        x = Tensor(np.array([-1e4, -100.0, 0.0, 100.0, 1e4], dtype), requires_grad=True)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            y, z = ops.sigmoid(x), ops.tanh(x)
            (y + z).backward(np.ones(5))
        np.testing.assert_allclose(y.data, [0, math.exp(-100), 0.5, 1, 1], rtol=1e-6, atol=1e-40)
        np.testing.assert_allclose(z.data, [-1, -1, 0, 1, 1])
        np.testing.assert_allclose(x.grad, [0, 0, 1.25, 0, 0], atol=1e-30)


def test_erf_in_float32_is_erf():
    x = np.linspace(-5, 5, 2001, dtype=np.float32)
    expected = [math.erf(float(value)) for value in x]
    assert np.abs(ops.erf(Tensor(x)).data - expected).max() < 2e-7


def test_nan_is_not_swallowed():
    x = Tensor(np.array([math.nan]))
    for y in (ops.relu(x), ops.abs(x), ops.maximum(x, 0.0), ops.tanh(x), x.max(), x.min()):
        assert np.isnan(y.data).all()


def test_relu_of_infinities():
    x = leaf([-math.inf, math.inf])
    with np.errstate(all="raise"):
        y = ops.relu(x)
        y.backward(np.array([2.0, 3.0]))
    assert y.data.tolist() == [0, math.inf] and x.grad.tolist() == [0, 3]


# ---- operands ------------------------------------------------------------------------------------


def test_numbers_and_numpy_scalars_leave_float32_alone():
    x = leaf([1.0, 2.0], np.float32)
    half = np.float64(0.5)
    for y in (x * half, half * x, x + 1, 2.0 - x, x / np.sqrt(64), np.float64(8) / x, x**half,
              half**x, ops.maximum(x, half), ops.where(x > 1, x, half),
              ops.masked_fill(x, x > 1, half)):
        assert y.dtype == np.float32 and y.shape == (2,)


def test_reflected_operators():
    x, array = leaf([1.0, 2.0]), np.array([5.0, 3.0])
    for y, expected in ((array + x, [6, 5]), (array - x, [4, 1]), (array * x, [5, 6]),
                        (2 - x, [1, 0]), (array / x, [5, 1.5]), (array**x, [5, 9]),
                        (2**x, [2, 4]), (2 / x, [2, 1])):
        assert isinstance(y, Tensor)
        np.testing.assert_allclose(y.data, expected)
    assert (array @ x).item() == 11
    assert (-x).data.tolist() == [-1, -2] and abs(-x).data.tolist() == [1, 2]


def test_a_float32_input_beside_a_float64_one_gets_a_float32_gradient():
    a, b = leaf([1.0, 2.0], np.float32), leaf([3.0, 4.0])
    (a * b).sum().backward()
    assert a.grad.dtype == np.float32 and b.grad.dtype == np.float64


@pytest.mark.parametrize("op", [ops.add, ops.sub, ops.mul, ops.div, ops.pow, ops.maximum])
def test_shapes_that_do_not_broadcast_are_named(op):
    a, b = Tensor(np.ones((2, 3))), Tensor(np.ones(4))
    message = rf"{op.__name__}: shapes \(2, 3\) and \(4,\) do not broadcast"
    with pytest.raises(ValueError, match=message):
        op(a, b)


def test_other_mistakes_are_named():
    x = Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"where: shapes \(4,\), \(2, 3\) and \(\)"):
        ops.where(np.ones(4, bool), x, 0.0)
    with pytest.raises(ValueError, match=r"masked_fill: the mask's shape \(2, 2, 3\)"):
        ops.masked_fill(x, np.ones((2, 2, 3), bool), 0.0)
    with pytest.raises(ValueError, match=r"masked_fill: value has shape \(3,\), .* where\(mask"):
        ops.masked_fill(x, np.ones((2, 3), bool), Tensor(np.ones(3)))
    with pytest.raises(TypeError, match="masked_fill: expected a boolean mask, got dtype int64"):
        ops.masked_fill(x, np.ones((2, 3), np.int64), 0.0)
    for op in (ops.add, ops.pow):
        with pytest.raises(TypeError, match=f"{op.__name__}: .* got list"):
            op(x, [1, 2, 3])
    with pytest.raises(TypeError, match="exp: .* got str"):
        ops.exp("x")
