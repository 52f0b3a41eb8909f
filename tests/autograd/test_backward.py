"""The walk back over the graph: random graphs against a naive engine, sizes, memory, frames."""

import gc
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.autograd.op_factory import SEEDS

import minibert as mb
from minibert.autograd import ops
from minibert.autograd.fused import layers, losses
from minibert.autograd.tensor import Tensor, no_grad

LENGTH = 3


class Naive:
    """The other way round: a vector that carries its Jacobian with respect to every leaf along.

    `jacobians` maps a leaf's number to d(value)/d(leaf), (LENGTH, LENGTH). No graph, no walk.
    """

    def __init__(self, value, jacobians):
        self.value, self.jacobians = value, jacobians

    @classmethod
    def linear(cls, value, *terms):
        """The value, and the sum of matrix @ Jacobian over the terms (matrix, naive)."""
        jacobians = {}
        for matrix, naive in terms:
            for leaf, jacobian in naive.jacobians.items():
                jacobians[leaf] = jacobians.get(leaf, 0) + matrix @ jacobian
        return cls(value, jacobians)


EYE = np.eye(LENGTH)
MATRIX = np.array([[0.0, 1, 0.5], [1, 0, 0], [0.2, 0, 1]])
MEAN = np.full((LENGTH, LENGTH), 1 / LENGTH)

# what an op does to a and b in our engine; its value, and its slopes in both, for plain vectors
STEPS = {
    "add": (ops.add, lambda x, y: (x + y, EYE, EYE)),
    "sub": (ops.sub, lambda x, y: (x - y, EYE, -EYE)),
    "mul": (ops.mul, lambda x, y: (x * y, np.diag(y), np.diag(x))),
    "tanh": (lambda a, b: ops.tanh(a),
             lambda x, y: (np.tanh(x), np.diag(1 - np.tanh(x) ** 2), 0 * EYE)),
    "repeat": (lambda a, b: a[[0, 0, 2]], lambda x, y: (x[[0, 0, 2]], EYE[[0, 0, 2]], 0 * EYE)),
    "mean": (lambda a, b: a.mean(keepdims=True) + b * 0.5,
             lambda x, y: (MEAN @ x + y / 2, MEAN, EYE / 2)),
    "matrix": (lambda a, b: Tensor(MATRIX) @ a, lambda x, y: (MATRIX @ x, MATRIX, 0 * EYE)),
    "parts": (lambda a, b: ops.concat(ops.split(a, [1])[::-1]),
              lambda x, y: (x[[1, 2, 0]], EYE[[1, 2, 0]], 0 * EYE)),
    "detach": (lambda a, b: a.detach() * b, lambda x, y: (x * y, 0 * EYE, np.diag(x))),
}
OPERANDS = st.integers(0, 4)  # how many nodes back: graphs grow deep and their branches meet again
PROGRAMS = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), OPERANDS, OPERANDS),
                    min_size=4, max_size=20)


@settings(max_examples=100)
@given(program=PROGRAMS, seed=SEEDS)
def test_random_graphs_against_a_naive_engine(program, seed):
    """Walk back from the last node and from one on the way; compare every leaf's gradient."""
    rng = np.random.default_rng(seed)
    leaves = [Tensor(rng.normal(size=LENGTH), requires_grad=True) for _ in range(3)]
    constant = Tensor(rng.normal(size=LENGTH))
    nodes = [(tensor, Naive(tensor.data, {i: EYE})) for i, tensor in enumerate(leaves)]
    nodes.append((constant, Naive(constant.data, {})))
    for name, i, j in program:
        (a, naive_a), (b, naive_b) = nodes[-1 - i % len(nodes)], nodes[-1 - j % len(nodes)]
        op, slopes = STEPS[name]
        value, slope_a, slope_b = slopes(naive_a.value, naive_b.value)
        nodes.append((op(a, b), Naive.linear(value, (slope_a, naive_a), (slope_b, naive_b))))
    expected = np.zeros((3, LENGTH))
    for root, naive in (nodes[-1], nodes[len(nodes) // 2], nodes[-1]):
        np.testing.assert_allclose(root.data, naive.value, rtol=1e-9, atol=1e-9)
        if root.requires_grad:
            upstream = rng.normal(size=LENGTH)
            root.backward(upstream, retain_graph=True)
            for i, jacobian in naive.jacobians.items():
                expected[i] += upstream @ jacobian
    actual = [np.zeros(LENGTH) if tensor.grad is None else tensor.grad for tensor in leaves]
    assert np.abs(actual - expected).max() <= 1e-9 * max(np.abs(expected).max(), 1.0)
    assert not any(np.shares_memory(actual[i], actual[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert constant.grad is None


def leaf(values, dtype=np.float64) -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


# ---- order and size ------------------------------------------------------------------------------


def test_a_tensor_is_visited_after_all_its_consumers():
    a = leaf(3.0)
    b = a + a
    (b * b + b).backward()
    assert a.grad == 2 * 2 * 6 + 2
    x = leaf(2.0)  # the shorter path is met first, whichever side it is on
    for build in (lambda: x * ops.exp(ops.exp(x) * 0), lambda: ops.exp(ops.exp(x) * 0) * x):
        x.grad = None
        build().backward()
        assert x.grad == 1


def test_a_tensor_used_three_times():
    x = leaf([1.0, 2.0])
    (x * x * x).backward(np.array([1.0, 10.0]))
    assert x.grad.tolist() == [3, 120]
    x.grad = None
    ops.concat([x, x, x]).backward(np.arange(6.0))
    assert x.grad.tolist() == [6, 9]


def test_60_doublings_are_not_exponential():
    for count in (5, 60):  # the small one says it without taking forever
        x = leaf(1.0)
        y = x
        for _ in range(count):
            y = y + y
        assert count > 5 or len(y.topological_order()) == count
        y.backward()
        assert x.grad == 2.0**count


def test_50_000_ops_in_a_row():
    """No recursion: neither in the walk nor when Python frees the chain."""
    x = leaf([1.0, 2.0])
    for walk in (True, False):
        y = x
        for _ in range(50_000):
            y = y + 1.0
        if walk:
            y.backward(np.array([3.0, 4.0]))
    del y
    assert x.grad.tolist() == [3, 4]


# ---- aliasing ------------------------------------------------------------------------------------


def test_no_two_gradients_share_memory():
    a, b, c = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([[1.0, 2.0]])
    inner = a + b
    inner.retain_grad()
    upstream = np.array([[5.0, 6.0]])
    (inner + c).backward(upstream)
    arrays = [a.grad, b.grad, c.grad, inner.grad, upstream]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])
    a.grad *= 100
    assert b.grad.tolist() == [5, 6] and upstream.tolist() == [[5, 6]]


def test_a_gradient_on_its_way_is_not_added_into():
    """y's gradient reaches a and b as one array; b's second contribution must not land in a's."""
    def first(a, b):
        return (a + b) + b * 10.0

    def second(a, b):
        return b * 10.0 + (a + b)

    for build in (first, second):  # one of them reaches the sum before the product
        a, b = leaf([1.0]), leaf([1.0])
        build(a * 1.0, b * 1.0).backward(np.ones(1))
        assert a.grad == 1 and b.grad == 11


def test_a_leaf_that_is_its_own_root_copies():
    x, upstream = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    x.backward(upstream)
    x.backward(upstream)
    assert x.grad.tolist() == [6, 8] and upstream.tolist() == [3, 4]


# ---- memory --------------------------------------------------------------------------------------


def test_an_inner_node_dies_with_the_loss():
    x = leaf(np.ones(1000))
    gc.disable()
    try:
        inner = ops.exp(x)
        loss = (inner * 2.0).sum()
        node, array = weakref.ref(inner), weakref.ref(inner.data)
        del inner
        assert node() is not None
        loss.backward()
        assert node() is None and array() is None, "backward frees the graph though the loss lives"
        inner = ops.exp(x)
        loss = (inner * 2.0).sum()
        node = weakref.ref(inner)
        del inner, loss
        assert node() is None, "a graph that is never walked is freed without the collector"
    finally:
        gc.enable()


def test_memory_is_freed_while_walking():
    """When an op's backward runs, what came after it is gone already."""
    x = leaf(np.ones(10))
    alive = []

    def watched(source):
        def watched_backward(grad):
            alive.append([i for i, reference in enumerate(references) if reference() is not None])
            return (grad,)
        return Tensor.from_op(source.data + 1, (source,), watched_backward)

    references = []
    y = x
    for _ in range(4):
        y = watched(y)
        references.append(weakref.ref(y.data))
    loss = y.sum()
    del y
    loss.backward()
    # the node whose backward runs is still alive, and so are those before it
    assert alive == [[0, 1, 2, 3], [0, 1, 2], [0, 1], [0]]


def test_a_gradient_that_was_added_is_dropped():
    """Where two gradients meet, only their sum is alive when the walk goes on."""
    parts, alive = [], []

    def consumer(source):
        def consumer_backward(grad):
            part = grad * 2.0
            parts.append(weakref.ref(part))
            return (part,)
        return Tensor.from_op(source.data + 1, (source,), consumer_backward)

    def watched(source):
        def watched_backward(grad):
            alive.extend([reference() is not None for reference in parts])
            return (grad,)
        return Tensor.from_op(source.data + 1, (source,), watched_backward)

    for retain_graph in (False, True):
        inner = watched(leaf(np.ones(10)))
        (consumer(inner) + consumer(inner)).sum().backward(retain_graph=retain_graph)
    assert alive == [False] * 2 + [False] * 4


def test_no_graph_is_built_under_no_grad():
    x = leaf([1.0])
    with no_grad():
        y = ops.exp(x)
    assert not y.requires_grad and y.grad_fn is None and y.inputs == ()


# ---- stepping through it -------------------------------------------------------------------------


@pytest.mark.parametrize(("build", "name"), [
    (lambda x: (x @ x).sum(), "matmul_backward"), (lambda x: ops.tanh(x).sum(), "tanh_backward"),
    (lambda x: x.var(), "var_backward"), (lambda x: x[0].sum(), "getitem_backward"),
    (lambda x: mb.functional.scaled_dot_product_attention(x, x, x).sum(),
     "scaled_dot_product_attention_backward")])
def test_two_frames_from_loss_backward_to_the_gradient_line(build, name):
    """What a debugger shows: the user's line, Tensor.backward, <op>_backward."""
    stacks = {}

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_name.endswith("_backward"):
            stack, caller = [frame.f_code.co_name], frame.f_back
            while caller is not None and caller.f_code is not user.__code__:
                stack.append(caller.f_code.co_qualname if hasattr(caller.f_code, "co_qualname")
                             else caller.f_code.co_name)
                caller = caller.f_back
            stacks[frame.f_code.co_name] = stack

    def user(loss):
        loss.backward()

    loss = build(leaf(np.random.default_rng(0).normal(size=(3, 3))))
    sys.setprofile(profile)
    try:
        user(loss)
    finally:
        sys.setprofile(None)
    assert stacks[name] in ([name, "Tensor.backward"], [name, "backward"])


@pytest.mark.parametrize(("build", "name"), [
    (lambda x: mb.functional.softmax(x), "softmax"),
    (lambda x: mb.functional.log_softmax(x), "log_softmax"),
    (lambda x: mb.functional.layer_norm(x, 3), "layer_norm"),
    (lambda x: mb.functional.gelu(x), "gelu"), (lambda x: mb.functional.linear(x, x), "linear"),
    (lambda x: mb.functional.embedding(np.array([0, 2, 0]), x), "embedding"),
    (lambda x: mb.functional.cross_entropy(x, np.array([0, 2, 1])), "cross_entropy")])
def test_a_fused_formula_is_a_top_level_function_that_a_debugger_can_name(build, name):
    """`break minibert/autograd/fused/layers.py:softmax_backward` stops in the formula."""
    called = []

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_name.endswith("_backward"):
            called.append(frame.f_code)

    loss = build(leaf(np.random.default_rng(0).normal(size=(3, 3)))).sum()
    sys.setprofile(profile)
    try:
        loss.backward()
    finally:
        sys.setprofile(None)
    formula = getattr(losses if name == "cross_entropy" else layers, f"{name}_backward")
    assert [code.co_name for code in called][-2:] == [f"{name}_node_backward", f"{name}_backward"]
    assert called[-1] is formula.__code__
