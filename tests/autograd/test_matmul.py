"""matmul in all of NumPy's combinations, against sums of products."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.autograd.op_factory import SEEDS, check_op, random_arrays

from minibert.autograd import ops
from minibert.autograd.tensor import Tensor


def sum_of_products(a, b):
    """a @ b from its definition, sum_k a[..., i, k] b[..., k, j], without np.matmul."""
    rows = a if a.ndim > 1 else a[None, :]
    columns = b if b.ndim > 1 else b[:, None]
    result = (rows[..., :, :, None] * columns[..., None, :, :]).sum(axis=-2)
    if a.ndim == 1:
        result = result[..., 0, :]
    if b.ndim == 1:
        result = result[..., 0]
    return result


@given(n=st.integers(0, 3), k=st.integers(0, 3), m=st.integers(0, 3), seed=SEEDS,
       batches=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3),
       left_is_vector=st.booleans(), right_is_vector=st.booleans())
def test_all_combinations(n, k, m, seed, batches, left_is_vector, right_is_vector):
    a_shape = (k,) if left_is_vector else (*batches.input_shapes[0], n, k)
    b_shape = (k,) if right_is_vector else (*batches.input_shapes[1], k, m)
    check_op(ops.matmul, sum_of_products, random_arrays(seed, a_shape, b_shape), seed)


@pytest.mark.parametrize(("a_shape", "b_shape"), [
    ((4,), (4,)), ((4,), (4, 5)), ((3, 4), (4,)), ((3, 4), (4, 5)), ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (6, 4, 5)),
    ((6, 2, 3, 4), (4, 5)), ((2, 3, 4), (1, 4, 5)), ((1, 3, 4), (2, 4, 5))])
def test_each_combination_once(a_shape, b_shape):
    check_op(ops.matmul, sum_of_products, random_arrays(0, a_shape, b_shape))


def test_a_batch_times_one_matrix_is_one_product(monkeypatch):
    """(B, T, k) @ (k, m) runs as one 2-D product: that is what BLAS is fast at."""
    shapes = []

    class Watched(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, **options):
            inputs = [np.asarray(value) for value in inputs]
            shapes.append([value.shape for value in inputs])
            return getattr(ufunc, method)(*inputs, **options)

    from minibert.autograd.matmul import product
    a, b = np.ones((2, 3, 4)).view(Watched), np.ones((4, 5))
    assert product("matmul", a, b).shape == (2, 3, 5)
    assert shapes == [[(6, 4), (4, 5)]]


def test_operators():
    a, b = Tensor(np.ones((2, 3))), np.ones((3, 4))
    assert (a @ b).shape == (2, 4) and isinstance(b.T @ a.transpose(), Tensor)


@pytest.mark.parametrize(("a_shape", "b_shape", "message"), [
    ((2, 3), (4, 5), r"matmul: shapes \(2, 3\) and \(4, 5\): the inner sizes 3 and 4 differ"),
    ((3,), (4,), r"matmul: shapes \(3,\) and \(4,\): the inner sizes 3 and 4 differ"),
    ((2, 3), (1, 4), r"matmul: shapes \(2, 3\) and \(1, 4\): the inner sizes 3 and 1 differ"),
    ((), (4,), r"matmul: shapes \(\) and \(4,\): both need at least one axis"),
    ((2, 3, 4), (3, 4, 5), r"the batches \(2,\) and \(3,\) do not broadcast")])
def test_mistakes_are_named(a_shape, b_shape, message):
    with pytest.raises(ValueError, match=message):
        ops.matmul(np.ones(a_shape), np.ones(b_shape))
