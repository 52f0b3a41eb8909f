"""Tensor: gradients as a user meets them, and Python's protocols, each of which does something on
purpose."""

import contextvars
import copy
import math
import os
import signal
import sys
import threading

import numpy as np
import pytest

import minibert as mb
from minibert.autograd import ops
from minibert.autograd.tensor import Tensor, no_grad


def leaf(values, dtype=np.float64) -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


# ---- making one ----------------------------------------------------------------------------------


def test_construction():
    array = np.ones((2, 3), np.float32)
    x = Tensor(array)
    assert x.data is array and x.numpy() is array and x.grad is None and x.grad_fn is None
    assert (x.shape, x.dtype, x.ndim, x.size, x.is_leaf) == ((2, 3), np.float32, 2, 6, True)
    assert not x.requires_grad and Tensor([1, 2]).dtype == np.int64 and Tensor(1.5).shape == ()
    assert type(Tensor(np.float32(2)).data) is np.ndarray


@pytest.mark.parametrize(("value", "requires_grad", "message"), [
    (Tensor(1.0), False, "got a Tensor: use .detach()"),
    (["a", "b"], False, "expected numbers, got dtype <U1"),
    (None, False, "expected numbers, got dtype object"),
    ([1, 2], True, "only floating point can require gradients, got int64"),
    ([True], True, "only floating point can require gradients, got bool")])
def test_construction_refuses(value, requires_grad, message):
    with pytest.raises(TypeError, match=message.replace("(", r"\(").replace(")", r"\)")):
        Tensor(value, requires_grad=requires_grad)


def test_misspelt_names_are_errors():
    x = leaf([1.0])
    with pytest.raises(AttributeError):
        x.require_grad = False
    with pytest.raises(AttributeError):
        x.gard
    with pytest.raises(TypeError):
        Tensor([1.0], require_grad=True)
    with pytest.raises(TypeError):
        x.sum().backward(retain=True)
    with pytest.raises(AttributeError):
        x.shape = (1, 1)


# ---- backward ------------------------------------------------------------------------------------


def test_gradients_add_up_over_fresh_forwards():
    x = leaf([1.0, 2.0])
    for _ in range(3):
        (x * x).sum().backward()
    assert x.grad.tolist() == [6, 12]


def test_a_freed_graph_says_so_and_adds_nothing():
    x = leaf([1.0, 2.0])
    inner = x * x
    loss = inner.sum()
    loss.backward()
    for again in (loss, inner, ops.concat([x * 3.0, inner])):
        with pytest.raises(RuntimeError, match="already walked and freed"):
            again.backward(np.ones(again.shape))
    assert x.grad.tolist() == [2, 4]


def test_retain_graph():
    x = leaf([1.0, 2.0])
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward(np.array(10.0), retain_graph=True)
    loss.backward()
    assert x.grad.tolist() == [24, 48]
    with pytest.raises(RuntimeError, match="freed"):
        loss.backward()


def test_retain_grad():
    x = leaf([1.0, 2.0])
    inner = x * 3.0
    dropped = inner * 1.0
    inner.retain_grad()
    (dropped + inner).backward(np.array([5.0, 7.0]))
    assert inner.grad.tolist() == [10, 14] and dropped.grad is None and x.grad.tolist() == [30, 42]
    x.retain_grad()  # a leaf keeps its gradient anyway, once
    (x * 1.0).sum().backward()
    assert x.grad.tolist() == [31, 43]
    with pytest.raises(RuntimeError, match="retain_grad: this tensor requires no gradient"):
        Tensor([1.0]).retain_grad()


def test_the_gradient_to_start_from():
    x = leaf([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"a tensor of shape \(1, 2\) needs the gradient"):
        (x * 1.0).backward()
    with pytest.raises(ValueError, match=r"of shape \(2,\) for a tensor of shape \(1, 2\)"):
        (x * 1.0).backward(np.ones(2))
    (x * 1.0).backward(Tensor([[3.0, 4.0]]))
    (x * 1.0).backward([[1, 1]])
    assert x.grad.tolist() == [[4, 5]]
    one = leaf([[2.0]])
    (one * one).backward()
    assert one.grad.tolist() == [[4]]
    narrow = leaf([1.0, 2.0], np.float32)
    narrow.backward(np.array([3.0, 4.0]))
    assert narrow.grad.dtype == np.float32 and narrow.grad.tolist() == [3, 4]


def test_nothing_to_differentiate():
    with pytest.raises(RuntimeError, match="backward: this tensor requires no gradient"):
        (Tensor([1.0]) * 2.0).sum().backward()


def test_an_input_without_influence_gets_no_gradient():
    x, y = leaf([1.0]), leaf([1.0])
    inner = y * 2.0

    def first_backward(grad):
        return grad, None

    Tensor.from_op(x.data, (x, inner), first_backward).backward()
    assert x.grad.tolist() == [1] and y.grad is None


def test_an_op_that_returns_a_wrong_gradient_is_named():
    x = leaf([1.0, 2.0])

    def wrong_backward(grad):
        return (grad.sum(),)

    message = r"wrong_backward returned a gradient of shape \(\) for an input of shape \(2,\)"
    with pytest.raises(RuntimeError, match=message):
        Tensor.from_op(x.data, (x,), wrong_backward).backward(np.ones(2))

    def turned_backward(grad):
        return (grad[:, None],)

    with pytest.raises(RuntimeError, match=r"of shape \(2, 1\) for an input of shape \(2,\)"):
        Tensor.from_op(x.data, (x,), turned_backward).backward(np.ones(2))

    def forgetful_backward(grad):
        return (grad,)

    with pytest.raises(ValueError, match="shorter"):
        Tensor.from_op(x.data, (x, leaf([1.0])), forgetful_backward).backward(np.ones(2))


def test_gradients_of_0_d_tensors_are_arrays_on_the_whole_way():
    seen = []

    def watched(source):
        def watched_backward(grad):
            seen.append(type(grad))
            return (grad * 1.0,)
        return Tensor.from_op(source.data, (source,), watched_backward)

    x = leaf(2.0, np.float32)
    y = watched(x * x)
    watched(y * y + y + 1.0).backward()
    assert seen == [np.ndarray, np.ndarray]
    assert type(x.grad) is np.ndarray and x.grad.shape == () and x.grad.dtype == np.float32


def test_detach():
    x = leaf([1.0, 2.0])
    (x.detach() * x).sum().backward()
    assert x.grad.tolist() == [1, 2]
    assert x.detach().data is x.data and not x.detach().requires_grad


# ---- values replaced between forward and backward ------------------------------------------------


def replace(x):
    x.data = np.array([5.0, 5.0])


def scale(x):
    x.data *= 2


def write_and_touch(x):
    x.data[0] = 7.0
    x.touch()


@pytest.mark.parametrize("change", [replace, scale, write_and_touch])
def test_replaced_data_is_detected(change):
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    loss = (y * 2.0 + x * x).sum()
    change(x)
    with pytest.raises(RuntimeError, match="data of input 0 of mul was replaced after the forward"):
        loss.backward()
    assert x.grad is None and y.grad is None, "refused before anything was added"
    (x * y).sum().backward()
    assert y.grad.tolist() == x.data.tolist()


def test_a_replaced_output_is_detected():
    x = leaf([1.0, 2.0])
    y = ops.exp(x)
    y.data *= 0
    with pytest.raises(RuntimeError, match="the output of exp was replaced|of input 0 of sum"):
        y.sum().backward()


def test_a_step_between_forward_and_backward_of_a_retained_graph():
    x = leaf([1.0])
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    x.data -= 0.1 * x.grad
    with pytest.raises(RuntimeError, match="replaced after the forward"):
        loss.backward()


def test_data_must_be_an_array():
    with pytest.raises(TypeError, match="Tensor.data: expected a NumPy array, got float"):
        leaf([1.0]).data = 3.0


# ---- no_grad -------------------------------------------------------------------------------------


def test_no_grad_ends_also_with_an_exception():
    x = leaf([1.0])
    with pytest.raises(KeyError):
        with no_grad():
            with no_grad():
                assert not (x * 1.0).requires_grad
            assert not (x * 1.0).requires_grad
            raise KeyError
    assert (x * 1.0).requires_grad


def test_no_grad_decorates():
    @mb.no_grad()
    def predict(x):
        return x * 2.0

    x = leaf([1.0])
    assert not predict(x).requires_grad and not predict(x).requires_grad
    assert (x * 2.0).requires_grad


def test_no_grad_holds_for_its_own_thread_and_for_copies_of_its_context():
    x, results = leaf([1.0]), {}

    def work(name):
        results[name] = (x * 1.0).requires_grad

    with no_grad():
        threads = [threading.Thread(target=work, args=("fresh",)),
                   threading.Thread(target=contextvars.copy_context().run, args=(work, "copied"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results["copied"] is False
    assert results["fresh"] in (True, False)  # Python 3.14 lets threads inherit the context


# ---- Python's protocols --------------------------------------------------------------------------


def test_comparisons_are_arrays():
    x, y = leaf([1.0, 2.0, 3.0]), Tensor([3.0, 2.0, 1.0])
    for result, expected in ((x == y, [0, 1, 0]), (x != y, [1, 0, 1]), (x < y, [1, 0, 0]),
                             (x <= y, [1, 1, 0]), (x > 1.5, [0, 1, 1]),
                             (x >= np.array([1, 3, 3]), [1, 0, 1]), (2.0 < x, [0, 0, 1]),
                             (np.array([1.0, 0, 0]) == x, [1, 0, 0])):
        assert type(result) is np.ndarray and result.dtype == bool
        assert result.astype(int).tolist() == expected


def test_comparisons_of_complex_numbers_look_at_the_real_part():
    x = Tensor(np.array([1.0 + 1e-30j, 2.0 - 5j]))
    assert (x > 1.0).tolist() == [False, True] and (x == np.array([1.0, 2.0])).all()
    assert (x <= Tensor(np.array([1.0 - 3j, 2.0]))).all()


def test_hashing_goes_by_identity():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert len({x, y, x}) == 2 and {x: 1}[x] == 1


def test_len_bool_float_int_item():
    assert len(Tensor(np.ones((3, 2)))) == 3 and len(Tensor(np.ones((0, 2)))) == 0
    with pytest.raises(TypeError, match="len: a 0-d tensor"):
        len(Tensor(1.0))
    assert Tensor([[2.0]]) and not Tensor(0.0)
    assert float(Tensor([2.5])) == 2.5 and int(Tensor(2.5)) == 2
    with pytest.raises(ValueError, match=r"bool: a tensor of shape \(2,\)"):
        bool(Tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"item: expected one element, got shape \(2,\)"):
        Tensor([1.0, 2.0]).item()
    assert type(Tensor(np.float32(1.5)).item()) is float


def test_iteration_keeps_the_graph():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    (first * 10.0 + second).sum().backward()
    assert x.grad.tolist() == [[10, 10], [1, 1]]
    with pytest.raises(TypeError):
        iter(Tensor(1.0)).__next__()


def test_repr():
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(leaf([1.0])) == "Tensor([1.], requires_grad=True)"
    assert repr(leaf(1.0) * 2.0) == "Tensor(2., grad_fn=mul_backward)"
    assert len(repr(Tensor(np.zeros((100, 100))))) < 1000


def test_deepcopy_copies_leaves_only():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    twice = copy.deepcopy([x, x])
    assert twice[0] is twice[1] and twice[0] is not x and twice[0].requires_grad
    twice[0].data[0], twice[0].grad[0] = 9.0, 9.0
    assert x.data.tolist() == [1, 2] and x.grad.tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="deepcopy: only leaves can be copied"):
        copy.deepcopy(x * 1.0)


def test_numpy_arrays_on_either_side():
    x, array = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    for y in (x + array, array + x, array * x, np.float64(2) * x):
        assert isinstance(y, Tensor) and y.requires_grad
    array += 1
    with pytest.raises(TypeError):
        array += x  # an array cannot become a tensor in place
    with pytest.raises(TypeError):
        np.exp(x)  # and a ufunc would lose the gradient


def test_conversion_to_numpy():
    assert np.asarray(Tensor([1.0, 2.0])).tolist() == [1, 2]
    assert np.asarray(Tensor([1.0]), dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match="NumPy was given a tensor that requires a gradient"):
        np.asarray(leaf([1.0]))
    assert np.asarray(leaf([1.0]).detach()).tolist() == [1]


def test_there_is_no_assignment_to_elements():
    with pytest.raises(TypeError, match="does not support item assignment"):
        leaf([1.0, 2.0])[0] = 3.0


def test_augmented_assignment_makes_a_new_tensor():
    x = leaf([1.0])
    y = x
    y += 1.0
    assert y is not x and x.data.tolist() == [1] and y.grad_fn is not None


# ---- operands ------------------------------------------------------------------------------------


def test_the_public_names():
    assert mb.Tensor is Tensor and mb.no_grad is no_grad and mb.ops is ops
    assert math.isclose(mb.ops.exp(1.0).item(), math.e)


# ---- names of other libraries --------------------------------------------------------------------


def test_a_tensor_of_one_element_is_formatted_as_its_number():
    loss = leaf(1.23456) * 2.0
    assert f"{loss:.4f} {loss:8.2e}" == "2.4691 2.47e+00" and f"{loss}" == str(loss)
    assert f"{leaf([[0.5]]):.1f}" == "0.5"
    with pytest.raises(ValueError, match=r"item: expected one element, got shape \(2,\)"):
        f"{leaf([1.0, 2.0]):.4f}"


@pytest.mark.parametrize(("name", "ours"), [
    ("view", "reshape"), ("permute", "transpose"), ("clone", "deepcopy"),
    ("unsqueeze", "expand_dims"),
    ("to", "astype"), ("cuda", "CPU"), ("cpu", "CPU"), ("requires_grad_", "requires_grad"),
    ("masked_fill", "ops.masked_fill"), ("mT", "swapaxes")])
def test_names_of_pytorch_lead_to_ours(name, ours):
    with pytest.raises(AttributeError, match=f"Tensor has no attribute '{name}': .*{ours}"):
        getattr(leaf([1.0]), name)


def test_other_names_are_plain_attribute_errors():
    assert not hasattr(leaf([1.0]), "nonsense") and getattr(leaf([1.0]), "nonsense", 7) == 7
    with pytest.raises(AttributeError, match="Tensor has no attribute 'nonsense'$"):
        leaf([1.0]).nonsense
    with pytest.raises(AttributeError):
        leaf([1.0]).nonsense = 1


@pytest.mark.parametrize("dtype", [np.int64, bool])
def test_numbers_that_are_not_floating_point_never_require_gradients(dtype):
    x, y = Tensor(np.ones(2, dtype)), leaf([1.0])
    x.requires_grad = False
    with pytest.raises(TypeError, match=f"only floating point .*got {np.dtype(dtype)}: "):
        x.requires_grad = True
    with pytest.raises(TypeError, match="only floating point"):
        y.data = np.ones(1, dtype)
    assert not x.requires_grad and y.data.dtype == np.float64
    y.requires_grad = False
    y.data = np.ones(1, dtype)


# ---- threads and forks ---------------------------------------------------------------------------


def test_threads_may_walk_back_to_the_same_leaves():
    """Every contribution counts once, the first ones too. A large array makes `+=` take long enough
    for another thread to come in between; a short switch interval does it for `is None`."""
    x, start = leaf(np.zeros(200_000)), threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(25):
            (x * 2.0).sum().backward()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(3):
            x.grad = None
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert (x.grad == 200.0).all()
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_another_thread_walks_back_can_walk_back():
    x, done = leaf(np.zeros(100_000)), threading.Event()

    def work():
        while not done.is_set():
            (x * 2.0).sum().backward()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # SIGALRM ends a child that waits for ever
                y = Tensor(np.ones(3), requires_grad=True)
                (y * 2.0).sum().backward()
                os._exit(0 if y.grad.tolist() == [2, 2, 2] else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()
