"""softmax, layer norm, GELU, linear, embedding, dropout: both implementations against NumPy, loops,
scipy and PyTorch's numbers, extreme values, and what they refuse."""

import math
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

import minibert as mb
from minibert import functional as F
from minibert.autograd import ops
from minibert.autograd import reference as definitions
from minibert.autograd.dropout_masks import dropout_mask
from minibert.autograd.head_layout import HeadLayout
from minibert.autograd.fused import layers as fused
from minibert.autograd.tensor import Tensor, no_grad, op_name
from tests.autograd.implementations import check_reference, each_implementation
from tests.autograd.op_factory import SEEDS, assert_close, check_op, random_arrays


# ---- against plain NumPy: every subset of gradients, all layouts in memory, both dtypes ----------


def numpy_layer_norm(x, weight, bias):
    output = np.empty_like(x)
    for index in np.ndindex(*x.shape[:-1]):
        row = x[index]
        output[index] = (row - row.mean()) / math.sqrt(row.var() + 1e-5) * weight + bias
    return output


def numpy_linear(x, weight, bias):
    return np.einsum("...i,oi->...o", x, weight) + bias


def numpy_gelu(x):
    return x * scipy.special.ndtr(x)


def numpy_gelu_tanh(x):
    return np.array([0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
                     for v in x.ravel()]).reshape(x.shape)


def tanh_gelu(x):
    return F.gelu(x, approximate="tanh")


def layer_norm(x, weight, bias):
    return F.layer_norm(x, x.shape[-1], weight, bias)


@each_implementation
@given(SEEDS)
def test_softmax_family(implementation, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 4, rng.integers(1, 4)))
    axis = int(rng.integers(-len(shape), len(shape)))
    x = rng.normal(size=shape)
    with implementation():
        check_op(lambda t: F.softmax(t, axis), lambda a: scipy.special.softmax(a, axis), [x], seed)
        check_op(lambda t: F.log_softmax(t, axis),
                 lambda a: scipy.special.log_softmax(a, axis), [x], seed)
        for axes in (axis, None, tuple(range(len(shape)))[:2]):
            for keepdims in (False, True):
                check_op(lambda t: F.logsumexp(t, axes, keepdims),
                         lambda a: scipy.special.logsumexp(a, axes, keepdims=keepdims), [x], seed)


@each_implementation
@given(SEEDS)
def test_layers(implementation, seed):
    lead = tuple(np.random.default_rng(seed).integers(1, 4, seed % 3))
    x, weight, bias, matrix, shift = random_arrays(seed, (*lead, 5), (5,), (5,), (4, 5), (4,))
    with implementation():
        check_op(layer_norm, numpy_layer_norm, [x, weight, bias], seed)
        check_op(F.linear, numpy_linear, [x, matrix, shift], seed)
        check_op(F.gelu, numpy_gelu, [2 * x], seed)
        check_op(tanh_gelu, numpy_gelu_tanh, [2 * x], seed)
        ids = np.random.default_rng(seed).integers(0, 4, (2, *lead))  # repeated ids
        check_op(lambda w: F.embedding(ids, w), lambda w: w[ids], [matrix], seed)


@each_implementation
def test_parameters_may_be_missing(implementation):
    x, weight, bias = random_arrays(5, (2, 5, 3, 4), (3, 4), (3, 4))
    flat = x.reshape(2, 5, 12)
    normal = ((flat - flat.mean(-1, keepdims=True)) / np.sqrt(flat.var(-1, keepdims=True) + 1e-3))
    normal = normal.reshape(x.shape)
    with implementation():
        assert_close(F.layer_norm(x, (3, 4), eps=1e-3).data, normal, 1e-12)
        check_op(lambda x: F.layer_norm(x, (3, 4)), lambda a: numpy_layer_norm(
            a.reshape(2, 5, 12), 1, 0).reshape(a.shape), [x])
        assert_close(F.layer_norm(x, (3, 4), Tensor(weight), eps=1e-3).data, normal * weight, 1e-12)
        check_op(lambda x, b: F.layer_norm(x, (3, 4), None, b), lambda a, b: numpy_layer_norm(
            a.reshape(2, 5, 12), 1, 0).reshape(a.shape) + b, [x, bias])
        check_op(F.linear, lambda a, w: a @ w.T, random_arrays(6, (2, 3), (4, 3)))


@each_implementation
def test_pytorch_agrees(implementation):
    with implementation():
        check_reference("softmax", lambda x: F.softmax(x, 1))
        check_reference("log_softmax", lambda x: F.log_softmax(x, 2))
        check_reference("logsumexp", lambda x: F.logsumexp(x, 3))
        check_reference("layer_norm", lambda x, w, b: F.layer_norm(x, (3, 2), w, b, 1e-3))
        check_reference("gelu", F.gelu)
        check_reference("gelu_tanh", tanh_gelu)
        check_reference("linear", F.linear)
        check_reference("embedding", lambda weight, ids: F.embedding(ids, weight))


# ---- numbers -----------------------------------------------------------------------------------

INF, NAN = math.inf, math.nan
# x, and what PyTorch 2.13 gives: logsumexp and its gradient, softmax, log_softmax
INFINITIES = [
    ([-INF, -INF], -INF, [NAN, NAN], [NAN, NAN], [NAN, NAN]),
    ([-INF], -INF, [NAN], [NAN], [NAN]),
    ([INF, 1.0], INF, [NAN, 0.0], [NAN, NAN], [NAN, NAN]),
    ([INF, INF], INF, [NAN, NAN], [NAN, NAN], [NAN, NAN]),
    ([INF, -INF], INF, [NAN, 0.0], [NAN, NAN], [NAN, NAN]),
    ([-INF, 1.0], 1.0, [0.0, 1.0], [0.0, 1.0], [-INF, 0.0]),
    ([NAN, 1.0], NAN, [NAN, NAN], [NAN, NAN], [NAN, NAN])]


@each_implementation
@pytest.mark.parametrize(("x", "lse", "gradient", "softmax", "log_softmax"), INFINITIES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_softmax_and_its_family_at_infinities(implementation, x, lse, gradient, softmax,
                                              log_softmax):
    rows = np.array([x, np.linspace(1.0, 2.0, len(x))])  # an ordinary row beside it stays ordinary
    tensor = Tensor(rows, requires_grad=True)
    with implementation():
        result = F.logsumexp(tensor)
        result.backward(np.array([2.0, 3.0]))
        np.testing.assert_array_equal(result.data[0], lse)
        np.testing.assert_array_equal(result.data[0], scipy.special.logsumexp(x))
        np.testing.assert_array_equal(F.softmax(rows).data[0], softmax)
        np.testing.assert_array_equal(F.log_softmax(rows).data[0], log_softmax)
        np.testing.assert_allclose(tensor.grad[1], 3 * scipy.special.softmax(rows[1]))
    if implementation is nullcontext or math.isfinite(lse):  # else NaN or 0: it is not defined
        np.testing.assert_allclose(tensor.grad[0], 2 * np.array(gradient))


@each_implementation
def test_gradients_beside_minus_infinity(implementation):
    """A logit of -inf has probability 0 and takes no part: the others get what they get alone."""
    x, upstream = np.array([-INF, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    for function in (F.softmax, F.log_softmax):
        tensor, alone = Tensor(x, requires_grad=True), Tensor(x[1:], requires_grad=True)
        with implementation():
            function(tensor).backward(upstream)
            function(alone).backward(upstream[1:])
        if function is F.softmax:
            assert tensor.grad[0] == 0
            np.testing.assert_allclose(tensor.grad[1:], alone.grad, rtol=1e-14)
        else:  # PyTorch: [1, 0.3863514717800294, -1.3863514717800294]
            np.testing.assert_allclose(tensor.grad, [1, 0.3863514717800294, -1.3863514717800294])


@each_implementation
@pytest.mark.parametrize("function", [F.softmax, F.log_softmax, F.logsumexp, ops.sum, ops.mean,
                                      ops.var, ops.max, ops.min, ops.squeeze])
def test_dim_is_called_axis(implementation, function):
    with implementation(), pytest.raises(TypeError, match=f"{function.__name__}: .*dim=1.*axis=1"):
        function(Tensor(np.ones((2, 1))), dim=1)


@each_implementation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_values(implementation, dtype):
    x = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], dtype)
    third = np.full(3, 1 / 3)
    with implementation(), np.errstate(all="raise", under="ignore"):
        assert_close(F.softmax(x).data, np.array([[1, 0, 0], third], dtype), 1e-6)
        assert_close(F.log_softmax(x).data, np.array([[0, -2e4, -1e4], np.log(third)], dtype), 1e-6)
        assert_close(F.logsumexp(x).data, np.array([1e4, -1e4 + math.log(3)], dtype), 1e-6)
        assert np.array_equal(F.gelu(x).data, np.maximum(x, 0))
        assert np.array_equal(tanh_gelu(x).data, np.maximum(x, 0))
        tensor = Tensor(x, requires_grad=True)
        (F.gelu(tensor) + F.softmax(tensor) + F.log_softmax(tensor)).sum().backward()
        assert np.isfinite(tensor.grad).all()


def test_the_fast_erf_of_float32_is_held_to_its_bound():
    x = np.linspace(-12, 12, 1_000_001, dtype=np.float32)
    exact = scipy.special.erf(x.astype(np.float64) / math.sqrt(2))
    assert np.abs(fused._erf_of_root_half(x, x * x) - exact).max() < 1.4e-7
    tensor = Tensor(x, requires_grad=True)
    output = F.gelu(tensor)
    output.backward(np.ones_like(x))
    wide = x.astype(np.float64)
    distribution, density = scipy.special.ndtr(wide), np.exp(-wide**2 / 2) / math.sqrt(2 * math.pi)
    assert np.abs(output.data - wide * distribution).max() < 6e-7
    assert np.abs(tensor.grad - (distribution + wide * density)).max() < 3e-7


def test_the_two_gelus_differ_by_what_is_known():
    x = np.linspace(-6, 6, 10_001)
    difference = np.abs(F.gelu(x).data - tanh_gelu(x).data).max()
    assert 4.6e-4 < difference < 4.8e-4


@each_implementation
def test_many_blocks_are_as_good_as_one(implementation):
    """More elements than fused functions take at once, and a last block that is not full."""
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(331, 411)), rng.normal(size=411), rng.normal(size=411)
    tensor = Tensor(x, requires_grad=True)
    with implementation():
        assert_close(F.gelu(tensor).data, numpy_gelu(x), 1e-12)
        assert_close(F.layer_norm(tensor, 411, Tensor(weight), Tensor(bias)).data,
                     numpy_layer_norm(x, weight, bias), 1e-10)
        targets = rng.integers(0, 411, 331)
        losses = F.cross_entropy(tensor, targets, reduction="none")
        assert_close(losses.data, scipy.special.logsumexp(x, 1) - x[np.arange(331), targets], 1e-12)


def test_nothing_is_kept_for_a_backward_that_will_not_come():
    x = Tensor(np.ones((3, 4)), requires_grad=True)
    with no_grad():
        assert not F.gelu(x).requires_grad
        assert F.gelu(x).grad_fn is None


@each_implementation
def test_a_second_walk_over_a_kept_graph_gives_the_same(implementation):
    x, weight, bias, key = random_arrays(3, (1, 4, 5), (5,), (5,), (1, 4, 5))
    targets = np.array([0, 3, 1, 4])
    with implementation():
        for function in (F.softmax, F.log_softmax, F.gelu, tanh_gelu, F.logsumexp,
                         lambda t: F.layer_norm(t, 5, Tensor(weight), Tensor(bias)),
                         lambda t: F.cross_entropy(t[0], targets),
                         lambda t: F.linear_cross_entropy(t[0], Tensor(key[0]), None, targets % 4),
                         lambda t: F.scaled_dot_product_attention(t, Tensor(key), t)):
            tensor = Tensor(x, requires_grad=True)
            output = function(tensor)
            upstream = np.random.default_rng(4).normal(size=output.shape)
            output.backward(upstream, retain_graph=True)
            first = tensor.grad
            tensor.grad = None
            output.backward(upstream)
            assert np.array_equal(tensor.grad, first)


# ---- dropout -----------------------------------------------------------------------------------


@each_implementation
def test_dropout_statistics(implementation):
    x = Tensor(np.full((200, 500), 2.0, np.float32), requires_grad=True)
    with implementation():
        output = F.dropout(x, 0.3, rng=np.random.default_rng(1))
    kept = output.data != 0
    assert abs(kept.mean() - 0.7) < 4 * math.sqrt(0.21 / 1e5)
    assert np.allclose(output.data[kept], 2 / 0.7, rtol=1e-4)  # 0.3 is rounded to 16 bits
    neighbours = (kept[:, 1:] == kept[:, :-1]).mean()  # independent: 0.7^2 + 0.3^2
    assert abs(neighbours - 0.58) < 0.01
    upstream = np.random.default_rng(2).normal(size=x.shape).astype(np.float32)
    output.backward(upstream)
    assert np.allclose(x.grad, upstream * output.data / 2, rtol=1e-6)


@given(st.floats(0, 1), SEEDS)
def test_both_implementations_of_dropout_draw_the_same_bits(p, seed):
    x = np.random.default_rng(seed).normal(size=(3, 7))
    one, other = np.random.default_rng(seed), np.random.default_rng(seed)
    fast = F.dropout(x, p, rng=one)
    with mb.reference():
        slow = F.dropout(x, p, rng=other)
    assert_close(fast.data, slow.data, 1e-14)
    assert one.random() == other.random()


def test_the_scale_of_dropout_is_exact_for_its_bits():
    for p in (0.1, 0.5, 1 / 3, 1e-6, 1.0):
        keep, scale = dropout_mask((1000,), p, np.random.default_rng(0))
        dropped = round(p * 65536)
        assert scale * (65536 - dropped) == (65536 if dropped < 65536 else 0)
        assert keep.all() if not dropped else keep.any() == (p < 1)
    assert dropout_mask((4, 3), 0.5, np.random.default_rng(7))[0].shape == (4, 3)
    rng = np.random.default_rng(8)
    masks = np.array([dropout_mask((64,), 0.5, rng)[0] for _ in range(1000)])
    assert len(np.unique(masks, axis=0)) == 1000  # a training draws millions of them


@each_implementation
def test_dropout_that_is_off(implementation):
    x = Tensor(np.ones((2, 3)))
    with implementation():
        assert F.dropout(x, 0.5, training=False) is x
        assert F.dropout(x, 0.0) is x
        assert not F.dropout(x, 1.0, rng=np.random.default_rng(0)).data.any()


# ---- the two implementations -------------------------------------------------------------------


def test_reference_is_a_context():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    assert op_name(F.softmax(x).grad_fn) == "softmax"
    with pytest.raises(RuntimeError, match="on purpose"), mb.reference():
        assert op_name(F.softmax(x).grad_fn) == "div"
        with mb.reference():
            pass
        assert op_name(F.softmax(x).grad_fn) == "div"
        raise RuntimeError("on purpose")
    assert op_name(F.softmax(x).grad_fn) == "softmax"


def test_the_definitions_can_be_called_directly():
    x = random_arrays(2, (3, 4))[0]
    assert_close(definitions.softmax(Tensor(x)).data, scipy.special.softmax(x, -1), 1e-12)


def test_scipy_is_imported_where_it_is_used():
    code = "import sys, minibert; print('scipy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            cwd=Path(mb.__file__).parents[1])
    assert result.stdout == "False\n", result.stderr


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("function, error, words", [
    (lambda x: F.softmax(x, 2), ValueError, r"softmax: axis 2 is out of range for shape \(2, 3\)"),
    (lambda x: F.log_softmax(np.ones((2, 0))), ValueError, r"log_softmax: .*shape \(2, 0\)"),
    (lambda x: F.layer_norm(x, 4), ValueError, r"layer_norm: shape \(2, 3\) .* end in .*\(4,\)"),
    (lambda x: F.layer_norm(x, 3, Tensor(np.ones(2))), ValueError, r"layer_norm: weight .*\(2,\)"),
    (lambda x: F.layer_norm(x, 3, None, x[0, :2]), ValueError, r"layer_norm: bias .*\(2,\)"),
    (lambda x: F.gelu(x, "Tanh"), ValueError, "gelu: approximate .*'Tanh'"),
    (lambda x: F.linear_gelu(x, Tensor(np.ones((2, x.shape[-1]))), None, "Tanh"), ValueError,
     "linear_gelu: approximate .*'Tanh'"),
    (lambda x: F.linear(x, x.reshape(3, 2)), ValueError, r"x of shape \(2, 3\) .*\(3, 2\)"),
    (lambda x: F.linear(x, x, Tensor(np.ones(3))), ValueError, r"linear: bias of shape \(3,\)"),
    (lambda x: F.embedding(np.array([0, 2]), x), IndexError, "embedding: id 2 is out .* 0 to 1"),
    (lambda x: F.embedding(np.array([-1]), x), IndexError, "embedding: id -1 is out of range"),
    (lambda x: F.embedding(np.array([0.5]), x), TypeError, "ids must be integers.*float64"),
    (lambda x: F.embedding(np.array([0]), x[0]), ValueError, r"embedding: .*\(V, C\).*\(3,\)"),
    (lambda x: F.dropout(x, 0.5), ValueError, "dropout: p = 0.5 needs rng"),
    (lambda x: F.dropout(x, 1.0), ValueError, "dropout: p = 1.0 needs rng"),
    (lambda x: F.dropout(x, 1.5), ValueError, "dropout: probability = 1.5"),
    (lambda x: F.mse_loss(x, x[0]), ValueError, r"mse_loss: shapes \(2, 3\) and \(3,\) differ"),
    (lambda x: F.l1_loss(x, x, "avg"), ValueError, "l1_loss: .*'avg': .*mean, sum, none"),
])
@each_implementation
def test_errors_name_the_op_and_the_cure(implementation, function, error, words):
    with implementation(), pytest.raises(error, match=words):
        function(Tensor(np.ones((2, 3))))


@each_implementation
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float16])
@pytest.mark.parametrize("function, words", [
    (F.softmax, "softmax: x"), (F.log_softmax, "log_softmax: x"), (F.logsumexp, "logsumexp: x"),
    (lambda x: F.layer_norm(x, 3), "layer_norm: x"), (F.gelu, "gelu: x"),
    (lambda x: F.linear(x, np.ones((2, 3))), "linear: x"),
    (lambda x: F.linear_gelu(x, np.ones((2, 3))), "linear_gelu: x"),
    (lambda x: F.dropout(x, 0.5, rng=np.random.default_rng(0)), "dropout: x"),
    (lambda x: F.cross_entropy(x, np.array([0, 1])), "cross_entropy: logits"),
    (lambda x: F.mse_loss(x, x), "mse_loss: x"),
    (lambda x: F.multi_head_attention(x.reshape(1, 2, 3), None, HeadLayout(1, 1, 1)),
     "multi_head_attention: query"),
])
def test_what_has_no_exponentials_is_refused(implementation, dtype, function, words):
    message = f"{words} is {np.dtype(dtype)}, expected float32 or float64"
    with implementation(), pytest.raises(TypeError, match=message):
        function(np.ones((2, 3), dtype))


@each_implementation
def test_an_array_of_ids_may_be_filled_again_before_the_backward(implementation):
    weight, ids = Tensor(np.zeros((4, 2)), requires_grad=True), np.array([0, 1])
    with implementation():
        output = F.embedding(ids, weight) + weight[ids] + weight[ids, :]
    ids[:] = 3
    output.backward(np.ones((2, 2)))
    assert weight.grad.tolist() == [[3, 3], [3, 3], [0, 0], [0, 0]]
