"""Laws that every op and function obeys, run over the table of gradcheck's cases: a new op has them
all with its row. (Its formulas are compared with NumPy's where the op's own tests are.)"""

from contextlib import nullcontext
from itertools import product

import numpy as np
import pytest

from minibert.autograd import elementwise, functional, matmul, reductions, shapes
from minibert.autograd.checks.gradcheck_cases import FUNCTIONS, PRIMITIVES
from minibert.autograd.functional import reference
from minibert.autograd.tensor import Tensor, op_name
from tests.autograd.op_factory import as_list, assert_close, laid_out

EVERY = pytest.mark.parametrize(("implementation", "case"), [
    *[pytest.param(nullcontext, case, id=case.name) for case in PRIMITIVES],
    *[pytest.param(implementation, case, id=f"{case.name}, {name}") for case in FUNCTIONS
      for name, implementation in (("fused", nullcontext), ("reference", reference))]])


def run(case, arrays, chosen=None, layout=0):
    """Values, then the gradients of the inputs numbered in `chosen` (None: of all): nothing that
    was given is written into, no two gradients share memory, the others get none."""
    chosen = range(len(arrays)) if chosen is None else chosen
    inputs = [laid_out(array.copy(), layout) for array in arrays]
    tensors = [Tensor(array, requires_grad=i in chosen) for i, array in enumerate(inputs)]
    outputs = as_list(case.fn(*tensors))
    rng = np.random.default_rng(1)
    for output in outputs:
        assert type(output.data) is np.ndarray and output.requires_grad == bool(chosen)
        upstream = np.asarray(rng.normal(size=output.shape), output.dtype)
        upstream.flags.writeable = False
        if chosen:
            output.backward(upstream)
    gradients = [tensor.grad for tensor in tensors]
    for i, (tensor, array) in enumerate(zip(tensors, arrays)):
        assert np.array_equal(tensor.data, array), "an input was written into"
        assert (tensor.grad is not None) == (i in chosen)
        if i in chosen:
            assert type(tensor.grad) is np.ndarray
            assert (tensor.grad.shape, tensor.grad.dtype) == (array.shape, array.dtype)
            assert not any(np.shares_memory(tensor.grad, other) for other in inputs)
            assert not any(np.shares_memory(tensor.grad, gradients[j]) for j in chosen if j != i)
    return [output.data for output in outputs], gradients


@EVERY
def test_float32_stays_float32(implementation, case):
    arrays = case.inputs(np.random.default_rng(0))
    with implementation():
        wide = run(case, arrays)
        narrow = run(case, [array.astype(np.float32) for array in arrays])
    for actual, expected in zip(sum(narrow, []), sum(wide, []), strict=True):
        assert actual.dtype == np.float32
        assert_close(actual, expected, 1e-5)


@EVERY
def test_any_subset_of_inputs_may_require_gradients_in_any_layout(implementation, case):
    arrays = case.inputs(np.random.default_rng(0))
    with implementation():
        values, gradients = run(case, arrays)
        for number, wanted in enumerate(product([False, True], repeat=len(arrays))):
            chosen = [i for i, one in enumerate(wanted) if one]
            some_values, some = run(case, arrays, chosen, layout=number % 4)
            for actual, expected in zip(some_values, values, strict=True):
                assert_close(actual, expected, 1e-12)
            for i in chosen:
                assert_close(some[i], gradients[i], 1e-12)


@EVERY
def test_one_complex_input_among_real_ones(implementation, case):
    """The complex step of one input alone: nothing computes in place what does not fit there."""
    arrays = case.inputs(np.random.default_rng(2))
    with implementation():
        for array in arrays:
            step = 1e-30j * np.random.default_rng(0).normal(size=array.shape)
            mixed = [Tensor(other + step if other is array else other) for other in arrays]
            assert any(output.data.imag.any() for output in as_list(case.fn(*mixed)))


@EVERY
def test_empty_and_0_d_inputs_work_or_are_refused_by_name(implementation, case):
    """Each size of the case in turn becomes 0 in every shape; then all shapes become ()."""
    sizes = {size for shape in case.shapes for size in shape}
    variants = [[tuple(0 if size == gone else size for size in shape) for shape in case.shapes]
                for gone in sizes] + [[()] * len(case.shapes)]
    for shapes in variants:
        arrays = [np.full(shape, 0.5) for shape in shapes]
        with implementation():
            try:
                case.fn(*[Tensor(array) for array in arrays])
            except (ValueError, IndexError, TypeError) as error:
                name = case.name.split(" ")[0]
                assert str(error).startswith(f"{name}:"), f"{shapes}: {error}"
            else:
                values, gradients = run(case, arrays)
                assert all(np.isfinite(array).all() for array in values + gradients)


@pytest.mark.parametrize("case", FUNCTIONS, ids=lambda case: case.name)
def test_a_fused_function_is_one_node(case):
    name = case.name.split(" ")[0]
    inputs = [Tensor(array, requires_grad=True) for array in case.inputs(np.random.default_rng(0))]
    output = case.fn(*inputs)
    with reference():
        definition = case.fn(*inputs)
    assert op_name(definition.grad_fn) != name
    if name not in ("mse_loss", "l1_loss"):  # which have one implementation
        assert op_name(output.grad_fn) == name
        assert {id(source) for source in output.inputs} <= {id(tensor) for tensor in inputs}


def test_the_table_leaves_no_op_and_no_function_out():
    names = {name for file in (elementwise, matmul, reductions, shapes) for name in file.__all__}
    assert {case.name.split(" ")[0] for case in PRIMITIVES} == names
    assert {case.name.split(" ")[0] for case in FUNCTIONS} | {"relu"} == set(functional.__all__)
