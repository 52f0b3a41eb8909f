"""What the tests of the functions share: both implementations, and PyTorch's numbers."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from minibert.autograd.functional import reference
from minibert.autograd.tensor import Tensor
from tests.autograd.op_factory import assert_close, laid_out

each_implementation = pytest.mark.parametrize("implementation", [nullcontext, reference],
                                        ids=["fused", "reference"])
REFERENCE = dict(np.load(Path(__file__).with_name("functional_reference.npz")))


def values_and_gradients(function, arrays, upstream_seed: int = 0,
                         layout: int = 0) -> list[np.ndarray]:
    """The output of function(*tensors) and the gradient of every input; nothing else changes."""
    tensors = [Tensor(laid_out(array.copy(), layout), requires_grad=True) for array in arrays]
    output = function(*tensors)
    upstream = np.random.default_rng(upstream_seed).normal(size=output.shape)
    upstream = np.asarray(upstream, output.dtype)
    upstream.flags.writeable = False
    output.backward(upstream)
    for tensor, array in zip(tensors, arrays):
        assert np.array_equal(tensor.data, array), "an input was written into"
        assert tensor.grad.dtype == array.dtype and tensor.grad.shape == array.shape
    return [output.data] + [tensor.grad for tensor in tensors]


def check_implementations_agree(function, *arrays: np.ndarray, tolerance: float = 1e-12) -> None:
    """The fused and the reference implementation of `function`: values and all gradients, in
    float64, however the inputs lie in memory."""
    with reference():
        definition = values_and_gradients(function, arrays)
    for layout in range(4):
        fused = values_and_gradients(function, arrays, layout=layout)
        for actual, expected in zip(fused, definition, strict=True):
            assert actual.dtype == expected.dtype
            assert_close(actual, expected, tolerance)


def check_reference(name: str, function, tolerance: float = 1e-12) -> None:
    """function(*inputs, constants of the case by name) against what PyTorch gave."""
    case = {key.removeprefix(f"{name}/"): value for key, value in REFERENCE.items()
            if key.startswith(f"{name}/")}
    inputs = [case.pop(str(i)) for i in range(len(case)) if str(i) in case]
    upstream, wanted = case.pop("grad"), case.pop("output")
    gradients = [case.pop(f"grad{i}") for i in range(len(inputs))]
    tensors = [Tensor(array, requires_grad=True) for array in inputs]
    output = function(*tensors, **case)
    assert_close(output.data, wanted, tolerance)
    output.backward(upstream)
    for tensor, gradient in zip(tensors, gradients):
        assert_close(tensor.grad, gradient, tolerance)
