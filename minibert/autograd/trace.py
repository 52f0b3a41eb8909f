"""Callbacks on every op: what a model computed, op by op, and where a number first went wrong.

`watch(observer)` calls an observer for each op that passes `Tensor.from_op` and each backward
function that `Tensor.backward` calls. `trace()` records them all; `detect_anomaly()` stops at the
first value that is not finite. Both name the module in which an op ran: while there are observers,
`Module.__call__` enters `module_scope`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from itertools import count
from math import isfinite
from threading import local
from time import perf_counter
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from minibert.atomic_files import write_text
from minibert.autograd.context_variables import set_within
from minibert.autograd.tensor import BackwardFunction, Tensor, observers, op_name

# ---- observers ---------------------------------------------------------------------------------


class Observer:
    """Base of the objects that `watch` takes: three methods, which do nothing here. An exception of
    theirs ends the op."""

    def after_forward(self, backward: BackwardFunction, result: Tensor,
                      inputs: tuple[Tensor, ...]) -> None:
        """An op has computed `result` from `inputs`; `backward` is its backward function
        (tensor.op_name gives the op's name), the same object in all three methods."""

    def before_backward(self, tensor: Tensor, grad: np.ndarray) -> None:
        """`tensor.grad_fn(grad)` is called next; `grad` has the shape of the op's result."""

    def after_backward(self, tensor: Tensor, grad: np.ndarray, input_grads: tuple) -> None:
        """`tensor.grad_fn` has returned a gradient, or None, for each of `tensor.inputs`."""


@contextmanager
def watch(observer: Observer) -> Iterator[None]:
    """Within it `observer` is called on every op of this thread, and of those that it starts in a
    copy of its context. Several may watch at once. Error: a method is missing."""
    for name in ("after_forward", "before_backward", "after_backward"):
        if not callable(getattr(observer, name, None)):
            raise TypeError(f"watch: {type(observer).__name__} has no method {name}: an observer "
                            "has after_forward, before_backward and after_backward")
    with set_within(observers, (*observers.get(), observer)):  # those of the entry
        yield


# ---- where an op runs --------------------------------------------------------------------------

# The path of the module that runs, and the names of all parts of the outermost one, by identity.
_scope: ContextVar[tuple[str, dict[int, str]]] = ContextVar("scope", default=("", {}))


def module_scope(module) -> AbstractContextManager:
    """Within it ops run in `module`. Paths are the names of the outermost module's
    `named_modules()`; that module itself, and one that is no part of it, has its class's name."""
    path, names = _scope.get()
    own = names.get(id(module))
    if own is None:
        own = ".".join([part for part in (path, type(module).__name__) if part])
    if not names:
        names = {}
        for name, part in module.named_modules():
            names.setdefault(id(part), name or own)
    return set_within(_scope, (own, names))


def path_within(model) -> str | None:
    """The path of the running module within `model` ("": the model itself); None where no module of
    it runs. Paths are known within `watch` only."""
    path, names = _scope.get()
    own = names.get(id(model))
    return None if own is None else "" if path == own else path


# ---- trace -------------------------------------------------------------------------------------

SCHEMA = {"schema": "minibert.trace", "version": 2}  # 2: mean, std and abs_max


class Record(NamedTuple):
    """One op, forward or backward. The two have the same number.

    Backward, `inputs` are the shapes of the gradients that the op returned (None: not needed) and
    `output` that of the gradient it was given. `bytes` counts new memory: a view has none. The
    seconds of a forward run from the thread's record before it, so they include the Python in
    between; a worker's first op has none. With values, `mean`, `std` (over all elements) and
    `abs_max` are those of the output; else None.
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
    mean: float | None
    std: float | None
    abs_max: float | None


class Trace(Observer):
    """The result of `trace()`: `records` are Records, `str()` is a table, `write` makes a file."""

    def __init__(self, values: bool = False):
        self.records: list[Record] = []
        self.values = values
        self._numbers = count()
        self._known = WeakKeyDictionary()  # backward function: (number, module path)
        self._clock = local()  # `since`: the time of this thread's last record
        self._clock.since = perf_counter()

    def after_forward(self, backward: BackwardFunction, result: Tensor,
                      inputs: tuple[Tensor, ...]) -> None:
        now = perf_counter()
        seconds = now - getattr(self._clock, "since", now)
        self._known[backward] = next(self._numbers), _scope.get()[0]
        arrays = [source.data for source in inputs]
        self._add("forward", backward, arrays, result.data,
                  _new_bytes([result.data], arrays), seconds)

    def before_backward(self, tensor: Tensor, grad: np.ndarray) -> None:
        self._clock.since = perf_counter()

    def after_backward(self, tensor: Tensor, grad: np.ndarray, input_grads: tuple) -> None:
        seconds = perf_counter() - self._clock.since
        made = [array for array in input_grads if array is not None]
        self._add("backward", tensor.grad_fn, input_grads, grad, _new_bytes(made, [grad]), seconds)

    def _add(self, phase: str, backward: BackwardFunction, inputs: Sequence[np.ndarray | None],
             output: np.ndarray, new_bytes: int, seconds: float) -> None:
        number, module = self._known.get(backward, (-1, ""))  # -1: made before the trace
        shapes = tuple([None if array is None else array.shape for array in inputs])
        self.records.append(Record(number, phase, op_name(backward), module, shapes, output.shape,
                                   str(output.dtype), new_bytes, seconds,
                                   *self._statistics(output)))
        self._clock.since = perf_counter()

    def _statistics(self, array: np.ndarray) -> tuple[float | None, float | None, float | None]:
        """Mean, standard deviation and largest absolute value of the real part."""
        if not self.values or not array.size:
            return None, None, None
        real = array.real.astype(np.float64)
        return float(real.mean()), float(real.std()), float(np.abs(real).max())

    def __str__(self) -> str:
        """A table with a line for each record and a last one with the sums."""
        rows = [("#", "phase", "op", "module", "inputs", "output", "dtype", "bytes", "ms",
                 *(("mean", "std", "abs max") if self.values else ()))]
        for record in self.records:
            inputs = " ".join(["-" if shape is None else _shape(shape) for shape in record.inputs])
            rows.append((str(record.number), record.phase, record.op, record.module, inputs,
                         _shape(record.output), record.dtype, f"{record.bytes:,}",
                         f"{record.seconds * 1e3:.3f}",
                         *(["-" if value is None else f"{value:.4g}" for value in record[-3:]]
                           if self.values else ())))
        total_bytes = sum([record.bytes for record in self.records])
        total_seconds = sum([record.seconds for record in self.records])
        rows.append(("", "", f"{len(self.records)} records", "", "", "", "", f"{total_bytes:,}",
                     f"{total_seconds * 1e3:.3f}", *(("", "", "") if self.values else ())))
        widths = [max([len(cell) for cell in column]) for column in zip(*rows)]
        to_the_right = (0, *range(7, len(widths)))
        lines = ["  ".join([cell.rjust(width) if i in to_the_right else cell.ljust(width)
                            for i, (cell, width) in enumerate(zip(row, widths))]) for row in rows]
        return "\n".join([line.rstrip() for line in lines])

    def write(self, path: str | os.PathLike) -> None:
        """JSON lines: the schema's name and version, then one object for each record. NaN and
        infinities, which JSON has no numbers for, are the texts "nan", "inf" and "-inf"."""
        lines = [SCHEMA]
        for record in self.records:
            lines.append({name: str(value) if isinstance(value, float) and not isfinite(value)
                          else value for name, value in record._asdict().items()})
        write_text(path, "".join([json.dumps(line) + "\n" for line in lines]))


def _shape(shape: tuple[int, ...]) -> str:
    """(2, 3) as 2x3, and a single number as 1."""
    return "x".join(map(str, shape)) or "1"


def _new_bytes(arrays: list[np.ndarray], older: list[np.ndarray]) -> int:
    """The memory of `arrays` that are no views of an older one."""
    return sum([array.nbytes for array in arrays
                if not any([np.may_share_memory(array, other) for other in older])])


@contextmanager
def trace(values: bool = False) -> Iterator[Trace]:
    """Within it every op is recorded: `with trace() as seen: ...`, then `print(seen)`. `values`
    adds mean, standard deviation and largest absolute value of each output (and, backward, of each
    incoming gradient): three more passes over every array."""
    seen = Trace(values)
    with watch(seen):
        yield seen


# ---- detect_anomaly ----------------------------------------------------------------------------


class AnomalyDetector(Observer):
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
    """file:line of the nearest caller outside autograd/, which called the op."""
    frame, here = sys._getframe(1), os.path.dirname(__file__) + os.sep
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        frame = frame.f_back
    return f"called at {os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within it the first value that is not finite, forward or backward, raises a
    FloatingPointError that names the op, the module, the shapes and the line that called the op.
    Slow: every array is searched."""
    with watch(AnomalyDetector()):
        yield
