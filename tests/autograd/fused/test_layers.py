"""The fused implementation equals the reference one: values and all gradients, in float64, at
points that hypothesis draws. (What holds for each function: see ../checks/test_every_op.py.)"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert import functional as F
from minibert.autograd.fused import row_reductions as rows
from minibert.autograd.fused.row_reductions import (BLOCK, column_sum, row_blocks, row_dot, row_max,
                                                    row_sum)
from minibert.autograd.tensor import Tensor
from tests.autograd.implementations import check_implementations_agree, each_implementation
from tests.autograd.op_factory import SEEDS, assert_close, random_arrays


@given(SEEDS, st.integers(1, 4))
def test_softmax_family(seed, ndim):
    rng = np.random.default_rng(seed)
    x = 10 * rng.normal(size=rng.integers(1, 6, ndim))
    axis = int(rng.integers(-ndim, ndim))
    check_implementations_agree(lambda t: F.softmax(t, axis), x)
    check_implementations_agree(lambda t: F.log_softmax(t, axis), x)
    check_implementations_agree(lambda t: F.logsumexp(t, axis, keepdims=bool(seed % 2)), x)


@pytest.mark.parametrize("block", [10, 1 << 16])
@given(SEEDS, st.integers(0, 3), st.integers(1, 2))
def test_layer_norm(block, seed, lead, inner):
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(2, 6, lead + inner))
    tail = shape[lead:]
    x, weight, bias = 5 + 3 * rng.normal(size=shape), rng.normal(size=tail), rng.normal(size=tail)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK", block)
        check_implementations_agree(lambda t, w, b: F.layer_norm(t, tail, w, b), x, weight, bias,
                              tolerance=1e-10)
        check_implementations_agree(lambda t, w: F.layer_norm(t, tail, w), x, weight,
                                    tolerance=1e-10)
        check_implementations_agree(lambda t, b: F.layer_norm(t, tail, None, b), x, bias,
                              tolerance=1e-10)
        check_implementations_agree(lambda t: F.layer_norm(t, tail, eps=0.1), x, tolerance=1e-10)


@given(SEEDS, st.integers(1, 3))
def test_linear_gelu_embedding_dropout(seed, ndim):
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 6, ndim))
    x, weight, bias, table = random_arrays(seed, shape, (7, shape[-1]), (7,), (6, 5))
    check_implementations_agree(F.linear, x, weight, bias)
    check_implementations_agree(F.linear, x, weight)
    for approximate in ("none", "tanh"):
        check_implementations_agree(lambda t, w, b: F.linear_gelu(t, w, b, approximate), x, weight,
                                    bias)
        check_implementations_agree(lambda t, w: F.linear_gelu(t, w, None, approximate), x, weight)
    check_implementations_agree(F.gelu, 3 * x)
    check_implementations_agree(lambda t: F.gelu(t, "tanh"), 3 * x)
    ids = rng.integers(0, 6, shape)
    check_implementations_agree(lambda w: F.embedding(ids, w), table)
    check_implementations_agree(lambda t: F.dropout(t, 0.4, rng=np.random.default_rng(seed)), x)


@given(SEEDS, st.lists(st.integers(0, 8), min_size=1, max_size=12))
def test_the_gradients_of_an_embedding_and_of_the_head_tied_to_it_add_up(seed, ids):
    table, ids = np.random.default_rng(seed).normal(size=(9, 4)), np.array(ids)
    check_implementations_agree(lambda w: F.linear(F.embedding(ids, w), w), table)
    leaf = Tensor(table, requires_grad=True)
    made = leaf * 2  # not a leaf
    made.retain_grad()
    loss = F.linear(F.embedding(ids, made), made).sum()
    loss.backward(retain_graph=True)
    once = leaf.grad.copy()
    loss.backward()
    assert_close(leaf.grad, 2 * once, 1e-12)
    assert_close(made.grad, once, 1e-12)  # half of the sum of two walks


@given(SEEDS, st.sampled_from(["mean", "sum", "none"]), st.booleans(), st.sampled_from([0.0, 0.3]),
       st.booleans(), st.integers(0, 2))
def test_cross_entropy(seed, reduction, weighted, smoothing, of_classes, extra):
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 6, 2 + extra))
    rest = shape[:1] + shape[2:]
    targets = rng.integers(0, shape[1], rest)
    targets[rng.random(rest) < 0.3] = 77
    if not of_classes:
        targets = np.moveaxis(rng.dirichlet(np.ones(shape[1]), rest), -1, 1)
    weight = rng.random(shape[1]) if weighted else None
    check_implementations_agree(
        lambda t: F.cross_entropy(t, targets, weight, 77, reduction, smoothing),
        5 * rng.normal(size=shape))


@given(SEEDS, st.sampled_from(["mean", "sum"]), st.booleans(), st.integers(0, 2))
def test_linear_cross_entropy(seed, reduction, with_bias, lead):
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 5, lead))
    targets = np.where(rng.random(shape) < 0.3, -100, rng.integers(0, 6, shape))
    x, weight, bias = random_arrays(seed, (*shape, 3), (6, 3), (6,))
    inputs = (x, weight, bias) if with_bias else (x, weight)
    check_implementations_agree(
        lambda t, w, b=None: 0.7 * F.linear_cross_entropy(t, w, b, targets, reduction=reduction),
        *inputs)


@each_implementation
def test_numbers_of_numpy_do_not_widen_float32(implementation):
    x = Tensor(np.ones((1, 2, 3, 4), np.float32), requires_grad=True)
    half = np.float64(0.5)
    with implementation():
        for output in (F.scaled_dot_product_attention(x, x, x, scale=half),
                       F.scaled_dot_product_attention(x, x, x, np.ones((3, 3))),
                       F.layer_norm(x, 4, eps=half),
                       F.dropout(x, half, True, np.random.default_rng(0)),
                       F.cross_entropy(x[0, 0], np.arange(3), label_smoothing=half)):
            assert output.dtype == np.float32


@given(SEEDS, st.sampled_from([np.float32, np.float64, np.complex128]))
def test_rows(seed, dtype):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, *rng.integers(1, 9, 2)))
    if dtype is np.complex128:
        a, b = a + 1j * b, b - 2j * a
    a, b = a.astype(dtype), b.astype(dtype)
    assert_close(row_sum(a), a.sum(1, keepdims=True), 1e-5)
    assert_close(row_dot(a, b), (a * b).sum(1, keepdims=True), 1e-5)
    assert_close(column_sum(a), a.sum(0), 1e-5)
    assert np.array_equal(row_max(a), a.real.max(1, keepdims=True))
    assert all(rows(a).dtype == dtype for rows in (row_sum, column_sum))


def test_row_blocks_cover_every_row_once():
    for shape in ((0, 3), (1, 1), (331, 1_411), (3, 270_000), (5, 0)):
        rows = np.zeros(shape, np.float32)
        for part in row_blocks(rows):
            rows[part] += 1
            assert rows[part].size <= BLOCK or len(rows[part]) == 1
        assert (rows == 1).all()
