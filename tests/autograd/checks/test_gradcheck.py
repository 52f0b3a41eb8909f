"""The examiner examined: gradcheck must accept what is right and name what is wrong."""

import math

import numpy as np
import pytest

import minibert as mb
from minibert.autograd import ops
from minibert.autograd.checks import gradcheck as module
from minibert.autograd.checks import gradcheck_cases
from minibert.autograd.checks.gradcheck import GradcheckError, gradcheck, gradcheck_parameters
from minibert.autograd.tensor import Tensor

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4))


def broken_square(x, factor=2.0, where=None):
    """x * x with a backward that can be bent."""
    def broken_square_backward(grad):
        gradient = grad * factor * x.data
        if where is not None:
            gradient[where] += 1e-6
        return (gradient,)
    return Tensor.from_op(x.data * x.data, (x,), broken_square_backward)


@pytest.mark.parametrize("method", ["complex", "central"])
def test_a_right_gradient_passes(method):
    report = gradcheck(ops.matmul, [X, Tensor(Y)], method=method)
    assert [checked.compared for checked in report.inputs] == [6, 12]
    assert report.relative_error < (1e-14 if method == "complex" else 1e-8)
    assert "input 1" in str(report) and method in str(report)


@pytest.mark.parametrize("method", ["complex", "central"])
def test_a_wrong_gradient_is_named_with_both_values(method):
    message = r"input 0, index \(0, 0\): backward gives \S+, .* \S+; the difference"
    with pytest.raises(GradcheckError, match=message):
        gradcheck(lambda x: broken_square(x, 2.001), [X], method=method)


def test_one_wrong_element_is_found_where_it_is():
    with pytest.raises(GradcheckError, match=r"input 0, index \(1, 2\)"):
        gradcheck(lambda x: broken_square(x, where=(1, 2)), [X])


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_small_gradients_are_held_to_the_same_digits(scale):
    gradcheck(lambda x: broken_square(x) * scale, [X])
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: broken_square(x, 2.001) * scale, [X])


def test_the_seed_chooses_the_upstream_gradient():
    def upstream(seed):
        seen = []

        def watched(x):
            def watched_backward(grad):
                seen.append(grad.tolist())
                return (grad * 2.0,)
            return Tensor.from_op(x.data * 2.0, (x,), watched_backward)

        gradcheck(watched, [X], seed=seed)
        return seen

    assert upstream(0) == upstream(0) != upstream(1)


def test_a_gradient_of_nan_fails():
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: broken_square(x, math.nan), [X])


def test_a_missing_gradient_fails():
    def one_sided(a, b):
        def one_sided_backward(grad):
            return grad * b.data, None
        return Tensor.from_op(a.data * b.data, (a, b), one_sided_backward)

    with pytest.raises(GradcheckError, match="input 1"):
        gradcheck(one_sided, [X, X])


def test_the_upstream_gradient_is_random():
    """A softmax whose backward returns zeros passes with ones upstream; here it must not."""
    def softmax(x):
        output = np.exp(x.data) / np.exp(x.data).sum(-1, keepdims=True)

        def softmax_backward(grad):
            return (np.zeros_like(grad),)
        return Tensor.from_op(output, (x,), softmax_backward)

    with pytest.raises(GradcheckError):
        gradcheck(softmax, [X])


def test_writing_into_arrays_is_found():
    def greedy(x):
        def greedy_backward(grad):
            grad *= 2
            return (grad,)
        return Tensor.from_op(x.data * 2, (x,), greedy_backward)

    def spoiler(x):
        x.data[0] = 5.0
        return x * 2.0

    with pytest.raises(GradcheckError, match="wrote into the gradient it was given"):
        gradcheck(greedy, [X])
    with pytest.raises(GradcheckError, match="input 0 was written into"):
        gradcheck(spoiler, [X])


def test_several_outputs():
    gradcheck(lambda x: ops.split(x, 3, axis=1), [X])
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: [x * 1.0, broken_square(x, 3.0)], [X])


def test_inputs_in_float32_are_checked_in_float64_and_left_alone():
    x = Tensor(X.astype(np.float32), requires_grad=True)
    assert gradcheck(ops.tanh, [x]).relative_error < 1e-14
    assert x.dtype == np.float32 and x.grad is None


def test_a_function_that_drops_the_imaginary_part_needs_central_differences():
    def modulus(x):
        def modulus_backward(grad):
            return (grad * np.sign(x.data),)
        return Tensor.from_op(np.abs(x.data), (x,), modulus_backward)

    gradcheck(modulus, [X], method="central")
    with pytest.raises(GradcheckError):
        gradcheck(modulus, [X], method="complex")


def test_mistakes_are_named():
    with pytest.raises(TypeError, match="gradcheck: input 1 has dtype int64"):
        gradcheck(ops.mul, [X, np.arange(3)])
    with pytest.raises(ValueError, match="method 'numeric': expected 'complex' or 'central'"):
        gradcheck(ops.exp, [X], method="numeric")
    with pytest.raises(TypeError, match=r"gradcheck: w is float32: call model.double\(\)"):
        gradcheck_parameters(lambda: 0, {"w": Tensor(X.astype(np.float32), requires_grad=True)})


# ---- parameters of a model -----------------------------------------------------------------------


def parameters():
    return {"w": Tensor(Y.copy(), requires_grad=True), "b": Tensor(np.ones(4), requires_grad=True)}


@pytest.mark.parametrize("method", ["complex", "central"])
def test_parameters(method):
    named = parameters()
    before = {name: tensor.data for name, tensor in named.items()}

    def loss():
        return (ops.tanh(X @ named["w"] + named["b"])).sum()

    report = gradcheck_parameters(loss, named, method, coordinates=3, directions=5)
    compared = {row.name: row.compared for row in report.inputs}
    assert compared == {"w": 3, "b": 3, "random directions": 5}
    for name, tensor in named.items():
        assert tensor.data is before[name] and tensor.grad is None
    np.testing.assert_array_equal(before["w"], Y)


@pytest.mark.parametrize("method", ["complex", "central"])
def test_random_directions_see_every_coordinate(method):
    """One wrong element of twelve, none of the sampled coordinates: the directions find it."""
    named = parameters()

    def loss():
        w = named["w"]

        def wrong_backward(grad):
            gradient = np.broadcast_to(grad, w.shape).copy()
            gradient[2, 3] *= 1.01
            return (gradient,)
        return Tensor.from_op(np.asarray(w.data.sum()), (w,), wrong_backward)

    with pytest.raises(GradcheckError, match="a random direction through all inputs"):
        gradcheck_parameters(loss, {"w": named["w"]}, method, coordinates=0)


def test_parameters_are_restored_after_an_error():
    named = parameters()
    w, calls = named["w"].data, []

    def loss():
        calls.append(1)
        if len(calls) > 2:
            raise KeyError
        return (named["w"] * 2.0).sum()

    with pytest.raises(KeyError):
        gradcheck_parameters(loss, named)
    assert named["w"].data is w


# ---- the table of all ops ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["complex", "central"])
def test_every_op_and_function_passes(method):
    results = list(gradcheck_cases.check_all(method))
    assert [result.name for result in results if result.fault] == []
    bound = 1e-13 if method == "complex" else 1e-7
    assert max(result.error for result in results) < bound
    assert {result.implementation for result in results} == {"primitive", "fused", "reference"}


def test_the_table_shows_a_fault_as_a_line(monkeypatch):
    case = gradcheck_cases.Case("broken", lambda x: broken_square(x, 1.0), ((2, 3),))
    monkeypatch.setattr(gradcheck_cases, "PRIMITIVES", (case,))
    monkeypatch.setattr(gradcheck_cases, "FUNCTIONS", ())
    (result,) = gradcheck_cases.check_all()
    assert result.name == "broken" and "backward gives" in result.fault and math.isnan(result.error)


def test_the_public_names():
    assert mb.gradcheck is gradcheck and mb.GradcheckError is module.GradcheckError
