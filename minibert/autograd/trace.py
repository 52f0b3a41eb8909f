"""Watching the door: what a model computed, op by op, and where a number first went wrong.

`trace()` writes down every op that passes `Tensor.from_op` and every step of the walk back;
`detect_anomaly()` stops at the first value that is not finite. Both know in which module an op ran
because `Module.__call__` enters `module_scope` while somebody watches.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from threading import local
from time import perf_counter
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from minibert.atomic_files import write_text
from minibert.autograd.tensor import BackwardFunction, Tensor, observers, op_name

# ---- where an op runs --------------------------------------------------------------------------

_NOWHERE: tuple[str, dict[int, str]] = ("", {})
# The path of the module that runs, and the names of all parts of the outermost one, by identity.
_scope: ContextVar[tuple[str, dict[int, str]]] = ContextVar("scope", default=_NOWHERE)


@contextmanager
def module_scope(module) -> Iterator[None]:
    """Say that `module` runs now. Paths are the names of the outermost module's `named_modules()`;
    that module itself, and one that is no part of it, goes by its class."""
    path, names = _scope.get()
    own = names.get(id(module))
    if own is None:
        own = ".".join([part for part in (path, type(module).__name__) if part])
    if not names:
        names = {}
        for name, part in module.named_modules():
            names.setdefault(id(part), name or own)
    token = _scope.set((own, names))
    try:
        yield
    finally:
        _scope.reset(token)


# ---- trace -------------------------------------------------------------------------------------

SCHEMA = {"schema": "minibert.trace", "version": 1}


class Record(NamedTuple):
    """One op, forward or backward. The two have the same number.

    Backward, `inputs` are the shapes of the gradients that the op returned (None: not needed) and
    `output` that of the gradient it was given. `bytes` counts new memory: a view has none. The
    seconds of a forward run from the thread's record before it, so they hold the Python in between;
    a worker's first op has none.
    """

    number: int
    phase: str
    op: str
    module: str
    inputs: tuple[tuple[int, ...] | None, ...]
    output: tuple[int, ...]
    dtype: str
    bytes: int
    seconds: float


class Clock(local):
    """When this thread wrote its last record (`since`), in seconds: workers do not wait for each
    other's. It starts where a thread first looks at it."""

    def __init__(self):
        self.since = perf_counter()


class Trace:
    """What `trace()` saw: `records` are Records, `str()` is a table, `write` a file of JSON."""

    def __init__(self):
        self.records: list[Record] = []
        self._numbers = count()
        self._known = WeakKeyDictionary()  # backward function: (number, module path)
        self._clock = Clock()

    def after_forward(self, backward: BackwardFunction, result: Tensor,
                      inputs: tuple[Tensor, ...]) -> None:
        since = self._clock.since  # before the time now: a new thread's begins when it is asked for
        seconds = perf_counter() - since
        number, module = next(self._numbers), _scope.get()[0]
        self._known[backward] = number, module
        arrays = [source.data for source in inputs]
        self.records.append(Record(
            number, "forward", op_name(backward), module, tuple([array.shape for array in arrays]),
            result.shape, str(result.dtype), _new_bytes([result.data], arrays), seconds))
        self._clock.since = perf_counter()

    def before_backward(self, tensor: Tensor, grad: np.ndarray) -> None:
        self._clock.since = perf_counter()

    def after_backward(self, tensor: Tensor, grad: np.ndarray, input_grads: tuple) -> None:
        seconds = perf_counter() - self._clock.since
        number, module = self._known.get(tensor.grad_fn, (-1, ""))  # made before the trace
        shapes = tuple([None if array is None else array.shape for array in input_grads])
        self.records.append(Record(
            number, "backward", op_name(tensor.grad_fn), module, shapes, grad.shape,
            str(grad.dtype), _new_bytes([made for made in input_grads if made is not None], [grad]),
            seconds))
        self._clock.since = perf_counter()

    def __str__(self) -> str:
        """A table with a line for each record and a last one with the sums."""
        rows = [("#", "phase", "op", "module", "inputs", "output", "dtype", "bytes", "ms")]
        for record in self.records:
            inputs = " ".join(["-" if shape is None else _shape(shape) for shape in record.inputs])
            rows.append((str(record.number), record.phase, record.op, record.module, inputs,
                         _shape(record.output), record.dtype, f"{record.bytes:,}",
                         f"{record.seconds * 1e3:.3f}"))
        total_bytes = sum([record.bytes for record in self.records])
        total_seconds = sum([record.seconds for record in self.records])
        rows.append(("", "", f"{len(self.records)} records", "", "", "", "", f"{total_bytes:,}",
                     f"{total_seconds * 1e3:.3f}"))
        widths = [max([len(cell) for cell in column]) for column in zip(*rows)]
        to_the_right = (0, 7, 8)
        lines = ["  ".join([cell.rjust(width) if i in to_the_right else cell.ljust(width)
                            for i, (cell, width) in enumerate(zip(row, widths))]) for row in rows]
        return "\n".join([line.rstrip() for line in lines])

    def write(self, path: str | os.PathLike) -> None:
        """JSON lines: the schema's name and version, then one object for each record."""
        lines = [SCHEMA] + [record._asdict() for record in self.records]
        write_text(path, "".join([json.dumps(line) + "\n" for line in lines]))


def _shape(shape: tuple[int, ...]) -> str:
    """(2, 3) as 2x3, and a single number as 1."""
    return "x".join(map(str, shape)) or "1"


def _new_bytes(arrays: list[np.ndarray], older: list[np.ndarray]) -> int:
    """The memory of `arrays` that are no views of an older one."""
    return sum([array.nbytes for array in arrays
                if not any([np.may_share_memory(array, other) for other in older])])


@contextmanager
def trace() -> Iterator[Trace]:
    """Within it everything that passes the door is written down: `with trace() as seen: ...`, then
    `print(seen)`."""
    seen = Trace()
    with _watching(seen):
        yield seen


@contextmanager
def _watching(observer) -> Iterator[None]:
    token = observers.set((*observers.get(), observer))
    try:
        yield
    finally:
        observers.reset(token)


# ---- detect_anomaly ----------------------------------------------------------------------------


class AnomalyDetector:
    """Raises FloatingPointError at the first op whose result or gradient is not finite."""

    def __init__(self):
        self._known = WeakKeyDictionary()  # backward function: (module path, line of the call)

    def after_forward(self, backward: BackwardFunction, result: Tensor,
                      inputs: tuple[Tensor, ...]) -> None:
        self._known[backward] = _scope.get()[0], _calling_line()
        shapes = ", ".join([str(source.shape) for source in inputs])
        for i, source in enumerate(inputs):
            self._check(backward, source.data, f"got input {i} of {shapes}")
        self._check(backward, result.data, f"computed {result.shape} from {shapes}")

    def before_backward(self, tensor: Tensor, grad: np.ndarray) -> None:
        self._check(tensor.grad_fn, grad, f"was given a gradient of {grad.shape} in backward")

    def after_backward(self, tensor: Tensor, grad: np.ndarray, input_grads: tuple) -> None:
        for i, array in enumerate(input_grads):
            if array is not None:
                what = f"computed in backward, from a gradient of {grad.shape}, that of input {i}, "
                self._check(tensor.grad_fn, array, f"{what}{array.shape}")

    def _check(self, backward: BackwardFunction, array: np.ndarray, what: str) -> None:
        finite = np.isfinite(array)
        if finite.all():
            return
        first = tuple([int(i) for i in np.argwhere(~finite)[0]])
        module, line = self._known.get(backward, ("", "before it began"))
        raise FloatingPointError(
            f"detect_anomaly: {op_name(backward)} in {module or 'no module'} ({line}) {what}, "
            f"with {(~finite).sum()} of {array.size} values not finite: {array[first]} at {first}")


def _calling_line() -> str:
    """file:line of the nearest caller outside this package, where the op was asked for."""
    frame, here = sys._getframe(1), os.path.dirname(__file__)
    while frame.f_back is not None and os.path.dirname(frame.f_code.co_filename) == here:
        frame = frame.f_back
    return f"called at {os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within it the first value that is not finite, forward or backward, raises a
    FloatingPointError that names the op, the module, the shapes and the line that called the op.
    Slow: every array is looked through."""
    with _watching(AnomalyDetector()):
        yield
