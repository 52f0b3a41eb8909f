"""One check for every op: `check_op` compares it with a plain NumPy function, forward and backward.

What the gradient must be is computed from the NumPy function by central differences, so that no
line of the package takes part in its own examination; the complex step of the op then sharpens the
comparison from 1e-6 to 1e-10.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minibert.autograd.tensor import Tensor, no_grad

STEP = 6e-6
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
FILLED_SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=3)


def laid_out(array: np.ndarray, layout: int) -> np.ndarray:
    """The same values in another arrangement in memory: 0 as it is, 1 transposed, 2 with negative
    strides, 3 every second element of a larger array."""
    if array.ndim == 0:
        return array
    if layout == 1:
        return np.ascontiguousarray(array.T).T
    if layout == 2:
        backwards = (slice(None, None, -1),) * array.ndim
        return array[backwards].copy()[backwards]
    if layout == 3:
        large = np.full([2 * size for size in array.shape], np.nan, array.dtype)
        every_second = large[(slice(None, None, 2),) * array.ndim]
        every_second[...] = array
        return every_second
    return array


def random_arrays(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape)) for shape in shapes]


def as_list(outputs) -> list:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def numerical_gradient(oracle, arrays, upstreams, i) -> np.ndarray:
    """d sum(u * oracle(*arrays)) / d arrays[i] by central differences."""
    gradient = np.zeros(arrays[i].shape)
    for index in np.ndindex(*arrays[i].shape):
        values = []
        for step in (STEP, -STEP):
            moved = [array.copy() for array in arrays]
            moved[i][index] += step
            values.append([np.asarray(output) for output in as_list(oracle(*moved))])
        gradient[index] = sum(((up - down) * u).sum() / (2 * STEP)
                              for up, down, u in zip(*values, upstreams))
    return gradient


def complex_step_gradient(op, arrays, upstreams, i) -> np.ndarray:
    """The same by the complex step through the op itself."""
    gradient = np.zeros(arrays[i].shape)
    for index in np.ndindex(*arrays[i].shape):
        moved = [array.astype(np.complex128) for array in arrays]
        moved[i][index] += 1e-30j
        with no_grad():
            outputs = as_list(op(*[Tensor(array) for array in moved]))
        gradient[index] = sum((output.data.imag / 1e-30 * u).sum()
                              for output, u in zip(outputs, upstreams))
    return gradient


def check_op(op, oracle, arrays: list[np.ndarray], seed: int = 0) -> None:
    """op (of tensors) against oracle (of arrays): values, shapes, dtypes, all subsets of gradients;
    `seed` chooses the upstream gradients and how the inputs lie in memory."""
    arrays = [np.asarray(array) for array in arrays]
    rng = np.random.default_rng([seed, 1])
    layouts = rng.integers(4, size=len(arrays))
    expected = [np.asarray(output) for output in as_list(oracle(*arrays))]
    upstreams = [np.asarray(rng.normal(size=output.shape)) for output in expected]
    numerical = [numerical_gradient(oracle, arrays, upstreams, i) for i in range(len(arrays))]
    exact = [complex_step_gradient(op, arrays, upstreams, i) for i in range(len(arrays))]
    # in float32 a gradient that cancels to zero has the rounding errors of what cancelled
    largest = max([float(np.abs(gradient).max(initial=0)) for gradient in exact])
    for dtype, tolerance, scale in ((np.float64, 1e-10, 1e-3), (np.float32, 1e-4, largest)):
        inputs = [laid_out(array.astype(dtype), layout) for array, layout in zip(arrays, layouts)]
        _check_forward(op, inputs, expected, tolerance)
        for count in range(1, len(arrays) + 1):
            for chosen in combinations(range(len(arrays)), count):
                gradients = _gradients(op, inputs, upstreams, chosen)
                for i in chosen:
                    assert_close(gradients[i], exact[i], tolerance, scale)
                    assert_close(gradients[i], numerical[i], max(tolerance, 1e-6), scale)


def _check_forward(op, inputs, expected, tolerance) -> None:
    before = [array.copy() for array in inputs]
    outputs = as_list(op(*[Tensor(array) for array in inputs]))
    assert len(outputs) == len(expected)
    for output, wanted in zip(outputs, expected):
        assert type(output.data) is np.ndarray
        assert all(output.dtype == array.dtype for array in inputs)
        assert output.shape == wanted.shape
        assert not output.requires_grad
        assert_close(output.data, wanted, tolerance)
    for array, copy in zip(inputs, before):
        assert np.array_equal(array, copy), "the forward wrote into an input"


def _gradients(op, inputs, upstreams, chosen) -> list[np.ndarray]:
    """Backward with only `chosen` inputs requiring gradients; nothing else may have changed."""
    before = [array.copy() for array in inputs]
    tensors = [Tensor(array, requires_grad=i in chosen) for i, array in enumerate(inputs)]
    outputs = as_list(op(*tensors))
    for output, upstream in zip(outputs, upstreams):
        given = upstream.astype(output.dtype)
        given.flags.writeable = False
        output.backward(given)
    gradients = [tensor.grad for tensor in tensors]
    for i, (tensor, array, copy) in enumerate(zip(tensors, inputs, before)):
        assert np.array_equal(array, copy), "backward wrote into an input"
        if i not in chosen:
            assert tensor.grad is None
            continue
        assert type(tensor.grad) is np.ndarray and tensor.grad.dtype == tensor.dtype
        assert tensor.grad.shape == tensor.shape
        assert not any(np.shares_memory(tensor.grad, other) for other in inputs)
        assert not any(np.shares_memory(tensor.grad, gradients[j]) for j in chosen if j != i)
    return gradients


def assert_close(actual: np.ndarray, expected: np.ndarray, tolerance: float,
                 scale: float = 1e-3) -> None:
    """The largest difference is at most `tolerance` times the largest entry (or `scale`)."""
    assert actual.shape == expected.shape
    if expected.size:
        scale = max(float(np.abs(expected).max()), scale, 1e-3)
        error = float(np.abs(actual - expected).max())
        assert error <= tolerance * scale, f"error {error:.3g} at scale {scale:.3g}"
