"""Moving and picking elements, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.autograd.op_factory import FILLED_SHAPES, SEEDS, SHAPES, check_op, random_arrays

from minibert.autograd import ops, shapes
from minibert.autograd.tensor import Tensor


def leaf(values, dtype=np.float64) -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


@given(shape=SHAPES, data=st.data(), seed=SEEDS)
def test_transpose(shape, data, seed):
    axes = data.draw(st.permutations(range(len(shape))))
    axes = [axis - len(shape) if data.draw(st.booleans()) else axis for axis in axes]
    arrays = random_arrays(seed, shape)
    check_op(lambda x: x.transpose(*axes), lambda x: x.transpose(*axes), arrays, seed)
    check_op(lambda x: ops.transpose(x), lambda x: x.T, arrays, seed)


@given(shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3),
       data=st.data(), seed=SEEDS)
def test_swapaxes(shape, data, seed):
    axes = st.integers(-len(shape), len(shape) - 1)
    first, second = data.draw(axes), data.draw(axes)
    check_op(lambda x: x.swapaxes(first, second), lambda x: x.swapaxes(first, second),
             random_arrays(seed, shape), seed)


@given(shape=SHAPES, order=st.randoms(use_true_random=False), seed=SEEDS)
def test_reshape(shape, order, seed):
    new_shape = list(shape)
    order.shuffle(new_shape)
    if new_shape and 0 not in shape:
        new_shape[order.randrange(len(new_shape))] = -1
    check_op(lambda x: x.reshape(*new_shape), lambda x: x.reshape(new_shape),
             random_arrays(seed, shape), seed)
    check_op(lambda x: ops.reshape(x, tuple(new_shape)), lambda x: x.reshape(new_shape),
             random_arrays(seed, shape), seed)


@given(shape=SHAPES, data=st.data(), seed=SEEDS)
def test_squeeze_and_expand_dims(shape, data, seed):
    ones = [i for i, size in enumerate(shape) if size == 1]
    axis = data.draw(st.none() | st.lists(st.sampled_from(ones), unique=True).map(tuple) if ones
                     else st.just(None))
    check_op(lambda x: x.squeeze(axis), lambda x: np.squeeze(x, axis),
             random_arrays(seed, shape), seed)
    count = data.draw(st.integers(1, 2))
    total = len(shape) + count
    added = data.draw(st.lists(st.integers(-total, total - 1), min_size=count, max_size=count,
                               unique_by=lambda i: i % total).map(tuple))
    added = added[0] if count == 1 else added
    check_op(lambda x: ops.expand_dims(x, added), lambda x: np.expand_dims(x, added),
             random_arrays(seed, shape), seed)


@given(seed=SEEDS, shapes=hnp.mutually_broadcastable_shapes(num_shapes=1, base_shape=(2, 1, 3),
                                                            max_dims=4, max_side=3))
def test_broadcast_to(shapes, seed):
    (small,), large = shapes.input_shapes, shapes.result_shape
    check_op(lambda x: ops.broadcast_to(x, large), lambda x: np.broadcast_to(x, large),
             random_arrays(seed, small), seed)


@given(shape=SHAPES, data=st.data(), seed=SEEDS)
def test_flip(shape, data, seed):
    axis = data.draw(st.none() | hnp.valid_tuple_axes(len(shape))) if shape else None
    check_op(lambda x: ops.flip(x, axis), lambda x: np.flip(x, axis),
             random_arrays(seed, shape), seed)


@given(shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3),
       data=st.data(), seed=SEEDS)
def test_concat_and_stack(shape, data, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    parts = [tuple(size if i == axis % len(shape) else n for i, n in enumerate(shape))
             for size in sizes]
    check_op(lambda *xs: ops.concat(xs, axis), lambda *xs: np.concatenate(xs, axis),
             random_arrays(seed, *parts), seed)
    new_axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    check_op(lambda *xs: ops.stack(xs, new_axis), lambda *xs: np.stack(xs, new_axis),
             random_arrays(seed, *[shape] * len(sizes)), seed)


@given(shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
       data=st.data(), seed=SEEDS)
def test_split(shape, data, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = shape[axis]
    parts = data.draw(st.sampled_from([n for n in range(1, 6) if size % n == 0])
                      | st.lists(st.integers(0, size), max_size=3).map(sorted))
    check_op(lambda x: ops.split(x, parts, axis), lambda x: np.split(x, parts, axis),
             random_arrays(seed, shape), seed)


def test_split_gives_a_list_as_numpy_does():
    x = Tensor(np.arange(6.0))
    parts = ops.split(x, np.int64(3))
    assert isinstance(parts, list)
    assert [part.data.tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert [part.shape for part in ops.split(x, [1, 4])] == [(1,), (3,), (2,)]


def test_parts_of_a_split_are_independent():
    x = leaf([1.0, 2.0, 3.0])
    first, second, third = ops.split(x, 3)
    (first * 2.0 + third * 5.0).backward()
    second.backward()
    assert x.grad.tolist() == [2, 1, 5]


# ---- picking -------------------------------------------------------------------------------------


@given(shape=FILLED_SHAPES, data=st.data(), seed=SEEDS)
def test_getitem_with_ints_slices_and_new_axes(shape, data, seed):
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True, max_dims=5))
    check_op(lambda x: x[index], lambda x: x[index], random_arrays(seed, shape), seed)


@given(shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3),
       data=st.data(), seed=SEEDS)
def test_getitem_with_integer_arrays(shape, data, seed):
    """Small sizes, long indices: nearly every index names some element twice."""
    result_shape = hnp.array_shapes(max_dims=2, max_side=5)
    index = data.draw(hnp.integer_array_indices(shape, result_shape=result_shape))
    check_op(lambda x: x[index], lambda x: x[index], random_arrays(seed, shape), seed)


@given(shape=SHAPES, data=st.data(), seed=SEEDS)
def test_getitem_with_a_mask(shape, data, seed):
    axes = data.draw(st.integers(0, len(shape)))
    mask = np.random.default_rng(seed).random(shape[:axes]) < 0.5
    check_op(lambda x: x[mask], lambda x: x[mask], random_arrays(seed, shape), seed)


X = np.arange(60.0).reshape(3, 4, 5)


@pytest.mark.parametrize("index", [
    0, -1, np.int64(1), [0, 0, 2], [2, 0, 1], [1, -2], (slice(None), [3, 3]), (..., [1, 1, 4]),
    ([0, 0, 2], [1, 1, 3]), ([0, 2], slice(1, 3), [4, 4]), (None, [0, 1], ..., 2),
    ([True, False, True],), ([True, False, True], 0), ([True, False, True], [0, 3]),
    ([False, True, False], [2, 2]),
    (np.array([[0, 1], [1, 0]]), ..., None),
    (0, [1, 1]), (np.ones((3, 4), bool), 2), True, False, (slice(None, None, -1), slice(3, 0, -2)),
    (), np.array([], int), np.array(2), np.array([0, 1, 0], np.uint8), np.zeros((3, 4, 5), bool)])
def test_getitem_admits_what_numpy_admits(index):
    check_op(lambda x: x[index], lambda x: x[index], [X])


def test_only_indices_that_may_repeat_are_added_one_by_one():
    """np.add.at is slow: an index that names no element twice is a plain assignment."""
    for index in (0, slice(1), (..., None), np.array([True, False]), [2, 0, 1],
                  (slice(None), [1, 0]), np.arange(5)):
        assert not shapes._may_repeat(index)
    for index in ([0, 0], [0, -3], ([0, 1], [0, 1]), (slice(None), [1, 1])):
        assert shapes._may_repeat(index)


@given(shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4),
       data=st.data(), seed=SEEDS)
def test_take_along_axis(shape, data, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    index_shape = [data.draw(st.integers(0, 5)) if i == axis % len(shape) else
                   data.draw(st.sampled_from([1, size])) for i, size in enumerate(shape)]
    size = shape[axis]
    indices = np.random.default_rng(seed).integers(-size, size, size=index_shape)
    check_op(lambda x: ops.take_along_axis(x, indices, axis),
             lambda x: np.take_along_axis(x, indices, axis), random_arrays(seed, shape), seed)


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda x: x.reshape(4, -1), ValueError,
     r"reshape: shape \(2, 3\) \(6 elements\) does not fit into \(4, -1\)"),
    (lambda x: x.squeeze(0), ValueError, r"squeeze: axis 0 of shape \(2, 3\) is not of size 1"),
    (lambda x: ops.expand_dims(x, 4), IndexError, "expand_dims: axis 4 is out of range"),
    (lambda x: x.transpose(0, 0), ValueError,
     r"transpose: axes \(0, 0\) do not name each axis of shape \(2, 3\)"),
    (lambda x: x.transpose(0, 2), IndexError, "transpose: axis 2 is out of range"),
    (lambda x: x.transpose(1), ValueError, r"transpose: axes \(1,\)"),
    (lambda x: x.swapaxes(0, 2), IndexError, "swapaxes: axis 2 is out of range"),
    (lambda x: ops.flip(x, 2), IndexError, "flip: axis 2 is out of range"),
    (lambda x: ops.broadcast_to(x, (2, 4)), ValueError,
     r"broadcast_to: shape \(2, 3\) does not broadcast to \(2, 4\)"),
    (lambda x: ops.concat([x, x.transpose()]), ValueError,
     r"concat: shapes \(2, 3\), \(3, 2\) may differ only"),
    (lambda x: ops.concat([]), ValueError, "concat: no tensors"),
    (lambda x: ops.concat([x, x], 2), IndexError, "concat: axis 2"),
    (lambda x: ops.stack([]), ValueError, "stack: no tensors"),
    (lambda x: ops.stack([x, x[0]]), ValueError,
     r"stack: shapes \(2, 3\), \(3,\) must all be equal"),
    (lambda x: ops.split(x, 2, 1), ValueError,
     r"split: axis 1 of shape \(2, 3\) does not divide into 2"),
    (lambda x: ops.split(x, 0), ValueError, "split: .* into 0"),
    (lambda x: x[2], IndexError, r"getitem: shape \(2, 3\): index 2 is out of bounds"),
    (lambda x: x[0, 0, 0], IndexError, r"getitem: shape \(2, 3\): too many indices"),
    (lambda x: ops.take_along_axis(x, np.array([[3]]), 1), IndexError,
     "take_along_axis: .* index 3 is out"),
    (lambda x: ops.take_along_axis(x, np.array([0]), 1), IndexError, "expected 2-d integers"),
    (lambda x: ops.take_along_axis(x, np.array([[0.5]]), 1), IndexError, "got 2-d float64")])
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(Tensor(np.ones((2, 3))))


@given(shape=SHAPES, seed=SEEDS)
def test_T_reverses_the_axes_as_in_numpy(shape, seed):
    check_op(lambda x: x.T, lambda x: x.T, random_arrays(seed, shape), seed)
