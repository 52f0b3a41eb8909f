"""watch, trace and detect_anomaly: every op with its module, and where a number went wrong."""

import json
import math
from contextvars import copy_context
from itertools import count
from threading import Thread

import numpy as np
import pytest

import minibert as mb
from minibert import functional as F
from minibert.autograd.tensor import Tensor, observers, op_name
from minibert.autograd.trace import Observer
from minibert.nn.layers import LayerNorm, Linear
from minibert.nn.module import Module


class Branch(Module):
    __slots__ = ("norm", "linear")

    def __init__(self):
        super().__init__()
        self.norm = LayerNorm(4)
        self.linear = Linear(4, 4)
        self.linear.weight.data = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)

    def forward(self, x):
        return self.linear(self.norm(x)) + x


class Model(Module):
    __slots__ = ("blocks", "head")

    def __init__(self):
        super().__init__()
        self.blocks = [Branch(), Branch()]
        self.head = Linear(4, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return F.softmax(self.head(x.reshape(-1, 4)))


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)


def test_every_op_with_its_module_both_ways(model, x):
    with mb.trace() as seen:
        output = model(x)
        output.backward(np.random.default_rng(2).normal(size=output.shape))
    block = ["layer_norm", "linear", "add"]
    modules = ["blocks.0.norm", "blocks.0.linear", "blocks.0", "blocks.1.norm", "blocks.1.linear",
               "blocks.1", "Model", "head", "Model"]
    forward = [record for record in seen.records if record.phase == "forward"]
    backward = [record for record in seen.records if record.phase == "backward"]
    assert [record.op for record in forward] == [*block, *block, "reshape", "linear", "softmax"]
    assert [record.module for record in forward] == modules
    assert [record.number for record in forward] == list(range(9))
    assert ({(r.number, r.op, r.module) for r in backward}
            == {(r.number, r.op, r.module) for r in forward})
    assert [record.number for record in backward][:3] == [8, 7, 6]
    assert all(record.seconds >= 0 for record in seen.records)


def test_a_part_that_is_used_twice_goes_by_its_first_name(model, x):
    model.blocks[1] = model.blocks[0]
    with mb.trace() as seen:
        model(x)
    assert {record.module for record in seen.records} == {
        "blocks.0.norm", "blocks.0.linear", "blocks.0", "Model", "head"}


def test_shapes_dtypes_and_bytes(model, x):
    with mb.trace() as seen:
        output = model(x)
        output.backward(np.ones(output.shape))
    linear = next(record for record in seen.records if record.op == "linear")
    assert linear.inputs == ((2, 5, 4), (4, 4), (4,)) and linear.output == (2, 5, 4)
    assert linear.dtype == "float32" and linear.bytes == 2 * 5 * 4 * 4
    reshape = next(record for record in seen.records if record.op == "reshape")
    assert reshape.bytes == 0  # a view
    head = next(r for r in seen.records if r.phase == "backward" and r.op == "linear")
    assert head.inputs == ((10, 4), (3, 4), (3,)) and head.output == (10, 3)
    assert head.bytes == 4 * (40 + 12 + 3)
    first = seen.records[-1]
    assert first.op == "layer_norm" and first.inputs == (None, (4,), (4,))  # x requires none


def test_a_view_of_the_incoming_gradient_is_no_new_memory():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    with mb.trace() as seen:
        (x.transpose() + 1.0).reshape(6)[:4].sum().backward()
    assert {r.op: r.bytes for r in seen.records if r.phase == "backward"} == {
        "sum": 0, "getitem": 48, "reshape": 0, "add": 0, "transpose": 0}


def test_the_table_and_the_file(model, x, tmp_path):
    with mb.trace() as seen:
        model(x).sum().backward()
    lines = str(seen).splitlines()
    assert lines[0].split() == [
        "#", "phase", "op", "module", "inputs", "output", "dtype", "bytes", "ms"]
    assert lines[1].split()[:6] == ["0", "forward", "layer_norm", "blocks.0.norm", "2x5x4", "4"]
    assert lines[-1].split()[:2] == [str(len(seen.records)), "records"]
    assert len(lines) == len(seen.records) + 2
    seen.write(tmp_path / "trace.jsonl")
    lines = (tmp_path / "trace.jsonl").read_text().splitlines()
    header, *rows = [json.loads(line) for line in lines]
    assert header == {"schema": "minibert.trace", "version": 2}
    assert [row["op"] for row in rows] == [record.op for record in seen.records]
    assert rows[0] == {"number": 0, "phase": "forward", "op": "layer_norm",
                       "module": "blocks.0.norm", "inputs": [[2, 5, 4], [4], [4]],
                       "output": [2, 5, 4], "dtype": "float32", "bytes": 160,
                       "seconds": seen.records[0].seconds,
                       "mean": None, "std": None, "abs_max": None}


def test_values_are_the_statistics_of_each_output_and_gradient():
    x = Tensor(np.array([1.0, -5.0, 1.0]), requires_grad=True)
    with mb.trace(values=True) as seen:
        (x * 2.0).backward(np.array([3.0, 0.0, 0.0]))
    forward, backward = seen.records
    assert forward[-3:] == pytest.approx((-2.0, math.sqrt(32), 10.0))
    assert backward[-3:] == pytest.approx((1.0, math.sqrt(2), 3.0))
    header, row, *_ = [line.split() for line in str(seen).splitlines()]
    assert header[-4:] == ["mean", "std", "abs", "max"]
    assert row[-3:] == ["-2", "5.657", "10"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_that_are_not_finite_are_texts_in_the_file(tmp_path):
    with mb.trace(values=True) as seen:
        Tensor(np.array([0.0, 1.0])).log()
        Tensor(np.ones((0, 2))).exp()
    seen.write(tmp_path / "trace.jsonl")
    header, log, exp = [json.loads(line, parse_constant=pytest.fail)
                        for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert (log["mean"], log["std"], log["abs_max"]) == ("-inf", "nan", "inf")
    assert (exp["mean"], exp["std"], exp["abs_max"]) == (None, None, None)


def test_an_observer_sees_every_op_both_ways():
    class Names:
        def __init__(self):
            self.calls = []

        def after_forward(self, backward, result, inputs):
            self.calls.append(("forward", op_name(backward), result.shape, len(inputs)))

        def before_backward(self, tensor, grad):
            self.calls.append(("before", op_name(tensor.grad_fn), grad.tolist()))

        def after_backward(self, tensor, grad, input_grads):
            self.calls.append(("after", op_name(tensor.grad_fn), input_grads[0].tolist()))

    x, names = Tensor(np.array([1.0, 2.0]), requires_grad=True), Names()
    with mb.watch(names):
        F.softmax(x).sum().backward()
    x.exp()  # no longer watched
    assert names.calls == [
        ("forward", "softmax", (2,), 1), ("forward", "sum", (), 1), ("before", "sum", 1.0),
        ("after", "sum", [1, 1]), ("before", "softmax", [1, 1]), ("after", "softmax", [0, 0])]
    with pytest.raises(TypeError, match="watch: object has no method after_forward"):
        with mb.watch(object()):
            pass


def test_the_reference_implementation_shows_its_steps(model, x):
    with mb.reference(), mb.trace() as seen:
        model(x)
    steps = [record.op for record in seen.records if record.module == "blocks.0.norm"]
    assert steps == ["mean", "sub", "mul", "mean", "add", "sqrt", "div", "mul", "add"]


def test_a_function_that_was_decorated_outside_a_trace_is_seen_within_it():
    @mb.detect_anomaly()
    def double(x):
        return x * 2

    prepared, x = mb.watch(Observer()), Tensor(np.ones(3), requires_grad=True)
    with mb.trace() as seen:
        double(x)
        with prepared:
            x * 3
    assert [record.op for record in seen.records] == ["mul", "mul"]


def test_watching_ends_with_the_context_and_reaches_threads(model, x):
    with pytest.raises(RuntimeError, match="on purpose"), mb.trace() as seen:
        thread = Thread(target=copy_context().run, args=(model, x))
        thread.start()
        thread.join()
        raise RuntimeError("on purpose")
    assert observers.get() == ()
    made = len(seen.records)
    assert made == 9 and seen.records[4].module == "blocks.1.linear"
    model(x)
    assert len(seen.records) == made


def test_a_thread_does_not_count_the_seconds_of_another(monkeypatch):
    now = 0.0
    monkeypatch.setattr("minibert.autograd.trace.perf_counter", lambda: now)
    a, b = Tensor(1.0, requires_grad=True), Tensor(2.0, requires_grad=True)

    def in_between():
        nonlocal now
        now = 5.0
        first = b.tanh()
        now = 6.5
        (first * b).detach()

    with mb.trace() as seen:
        now = 1.0
        a.exp()
        thread = Thread(target=copy_context().run, args=(in_between,))
        thread.start()
        thread.join()
        now = 7.0
        a.log()
    assert {r.op: r.seconds for r in seen.records} == {"exp": 1, "tanh": 0, "mul": 1.5, "log": 6}


def test_a_threads_first_op_has_no_seconds(monkeypatch):
    ticks = count()
    monkeypatch.setattr("minibert.autograd.trace.perf_counter", lambda: next(ticks))
    with mb.trace() as seen:
        thread = Thread(target=copy_context().run, args=(Tensor(1.0, requires_grad=True).exp,))
        thread.start()
        thread.join()
    assert [record.seconds for record in seen.records] == [0]


def test_a_graph_from_before_the_trace_has_no_number(x):
    before = Tensor(x, requires_grad=True).exp()
    with mb.trace() as seen:
        before.sum().backward()
    assert [(r.phase, r.op, r.number) for r in seen.records] == [
        ("forward", "sum", 0), ("backward", "sum", 0), ("backward", "exp", -1)]


def test_traces_nest_and_change_nothing(model, x):
    plain = model(x).data
    with mb.trace() as outer, mb.trace() as inner, mb.detect_anomaly():
        assert np.array_equal(model(x).data, plain)
    assert [r[:7] for r in outer.records] == [r[:7] for r in inner.records]
    with mb.trace() as outer:
        with mb.trace() as inner:
            model(x)
        model(x)
    assert len(inner.records) == 9 and len(outer.records) == 18


def test_a_foreign_module_is_named_after_its_class(x):
    class Caller(Module):
        __slots__ = ()

        def forward(self, x):
            return LayerNorm(4)(x)

    with mb.trace() as seen:
        Caller()(x)
    assert [record.module for record in seen.records] == ["Caller.LayerNorm"]


def test_a_trace_does_not_keep_the_graph(x):
    leaf = Tensor(x, requires_grad=True)
    with mb.trace() as seen:
        leaf.exp().sum().backward()
    assert len(seen._known) == 0


# ---- anomalies ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_first_infinity_of_a_forward_is_named(model, x):
    model.blocks[1].norm.weight.data[2] = np.inf
    message = (r"layer_norm in blocks\.1\.norm \(called at layers\.py:\d+\) got input 1 of "
               r"\(2, 5, 4\), \(4,\), \(4,\), with 1 of 4 values not finite: inf at \(2,\)")
    with pytest.raises(FloatingPointError, match=message), mb.detect_anomaly():
        model(x)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_function_is_named_with_the_line_that_called_it():
    x = Tensor(np.array([np.inf, 1.0]))
    with pytest.raises(FloatingPointError, match=r"softmax .*called at test_trace.py:\d+\)"):
        with mb.detect_anomaly():
            F.softmax(x)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_op_that_makes_one_is_named_with_the_line():
    x = Tensor(np.array([[1.0, 2.0], [3.0, 0.0]]), requires_grad=True)
    message = (r"log in no module \(called at test_trace.py:\d+\) computed \(2, 2\) from "
               r"\(2, 2\), with 1 of 4 values not finite: -inf at \(1, 1\)")
    with pytest.raises(FloatingPointError, match=message), mb.detect_anomaly():
        x.log()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gradient_that_is_not_finite_is_named_with_the_line_of_its_op():
    x = Tensor(np.array([4.0, 0.0, 1.0]), requires_grad=True)
    message = (r"sqrt in no module \(called at test_trace.py:\d+\) computed in backward, from a "
               r"gradient of \(3,\), that of input 0, \(3,\), with 1 of 3 values not finite: inf "
               r"at \(1,\)")
    with mb.detect_anomaly():
        y = x.sqrt().sum()
        with pytest.raises(FloatingPointError, match=message):
            y.backward()
        assert x.grad is None


def test_a_gradient_given_from_outside_is_checked():
    x = Tensor(np.ones(2), requires_grad=True)
    with mb.detect_anomaly(), pytest.raises(FloatingPointError, match="exp .*was given a gradient"):
        x.exp().backward(np.array([1.0, np.nan]))


def test_masks_and_extremes_are_no_anomaly():
    """No op stores an infinity on the way: what is masked away is finite."""
    q = Tensor(np.full((1, 1, 3, 2), 300.0, np.float32), requires_grad=True)
    mask = np.array([[True, False, False], [False, False, False], [True, True, False]])
    for implementation in (mb.no_grad, mb.reference):
        with implementation(), mb.detect_anomaly():
            output = F.scaled_dot_product_attention(q, q, q, mask, is_causal=True)
            loss = F.cross_entropy(output.reshape(3, 2), np.array([0, -100, 1]))
    loss.backward()
    assert np.isfinite(q.grad).all()
