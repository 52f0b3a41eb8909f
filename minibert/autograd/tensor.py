"""Tensor: an array, how it was computed, and the walk back that computes gradients.

An op computes its output array, defines its own backward function right below, and hands both to
`Tensor.from_op`. `loss.backward()` visits the graph from the loss to the leaves and calls each op's
backward function once, two frames below the caller's line. That is reverse-mode differentiation
(Baydin et al. 2018, "Automatic Differentiation in Machine Learning", section 3.2). Ops return
gradients and touch nothing else; `accumulate` is the one function that adds them up.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from operator import attrgetter

import numpy as np

from minibert.autograd.context_variables import set_within

BackwardFunction = Callable[[np.ndarray], tuple]

# Context variables, not globals: restored after an exception, and a worker can copy its caller's.
_grad_enabled: ContextVar[bool] = ContextVar("grad_enabled", default=True)
# Callbacks that run on every op, forward and backward (see trace.watch).
observers: ContextVar[tuple] = ContextVar("observers", default=())
# id of a leaf -> the tensor whose `.grad` takes its gradient instead. Data-parallel workers and
# gradient checkpointing set it to collect a walk's gradients apart from the leaf's own.
grad_owners: ContextVar[dict[int, Tensor]] = ContextVar("grad_owners", default={})
# Held while a backward walk adds to a `.grad`: several threads may reach one leaf.
_grad_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child forked while the lock is held would wait for ever
    os.register_at_fork(before=_grad_lock.acquire, after_in_parent=_grad_lock.release,
                        after_in_child=_grad_lock.release)


class Tensor:
    """An array with a gradient.

    `data` is the array (shared with the caller, not copied); `grad` is None until `backward` has
    left an array of the same shape and dtype there; `grad_fn` is the backward function of the op
    that made the tensor (None for a leaf) and `inputs` are the tensors that the op was given. The
    result of float32 and float64 is float64; each gradient has the dtype of its own tensor.

    `backward` refuses a graph whose values were replaced (`x.data = ...`, `x.data *= 2`) after the
    forward. A write into the array itself (`x.data[0] = 1`) is not seen: call `touch()` after one.

    Comparisons give plain boolean arrays, element by element; hashing goes by identity.
    """

    __slots__ = ("_data", "_version", "_input_versions", "_requires_grad", "_retains_grad", "grad",
                 "grad_fn", "inputs", "__weakref__")

    # ---- the engine ------------------------------------------------------------------------------

    @staticmethod
    def from_op(output: np.ndarray, inputs: tuple[Tensor, ...],
                backward: BackwardFunction) -> Tensor:
        """The tensor that an op returns: every op of every model passes here.

        `backward` takes the gradient of the loss with respect to `output` and returns one gradient
        (or None) for each of `inputs`, in their shapes. It must not write into what it is given.
        """
        if type(output) is not np.ndarray:  # a full reduction decays to a NumPy scalar
            output = np.asarray(output)
        result = Tensor.__new__(Tensor)
        if is_recorded(*inputs):
            result._set_up(output, True, backward, inputs, [tensor._version for tensor in inputs])
        else:
            result._set_up(output, False, None, (), ())
        for observer in observers.get():
            observer.after_forward(backward, result, inputs)
        return result

    def backward(self, grad: np.ndarray | None = None, retain_graph: bool = False) -> None:
        """Add d(self)/d(leaf), weighted by `grad`, to the `.grad` of every leaf that requires it.

        `grad` has the tensor's shape; a tensor of one element needs none. The graph is freed as it
        is walked unless `retain_graph`. Errors: a tensor that requires no gradient, a graph that
        was already freed, a `grad` of another shape, values replaced since the forward.
        """
        grad = self._first_gradient(grad)
        order, observing = self.topological_order(), observers.get()
        gradients = {}  # id of an inner tensor -> the sum of what its consumers have contributed
        self.accumulate(grad, gradients)
        while order:
            tensor = order.pop()
            grad = gradients.pop(id(tensor), None)
            if grad is not None:  # None: no consumer contributed a gradient
                if tensor._retains_grad:
                    tensor._add_to_grad(grad)
                for observer in observing:
                    observer.before_backward(tensor, grad)
                input_grads = tensor.grad_fn(grad)
                for observer in observing:
                    observer.after_backward(tensor, grad, input_grads)
                for source, source_grad in zip(tensor.inputs, input_grads, strict=True):
                    if source_grad is not None and source._requires_grad:
                        source.accumulate(_checked(source_grad, source, tensor), gradients)
            if not retain_graph:
                tensor.grad_fn, tensor.inputs = freed_graph, ()
            input_grads = source_grad = None  # the walk itself keeps no array alive

    def topological_order(self) -> list[Tensor]:
        """The op results that this tensor depends on, itself the last, each after its inputs: from
        the end, a tensor is reached only when all its consumers are done.

        Depth first with an explicit stack: a chain of 50,000 ops needs no recursion. Errors: a
        graph that was freed or whose values were replaced, before any gradient is added anywhere.
        """
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            tensor, inputs_are_done = stack.pop()
            if inputs_are_done:
                order.append(tensor)
            elif tensor.grad_fn is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                _check_unchanged(tensor)
                stack.append((tensor, True))
                stack += [(source, False) for source in tensor.inputs]
        return order

    def accumulate(self, grad: np.ndarray, gradients: dict[int, np.ndarray]) -> None:
        """Add one consumer's contribution to this tensor's gradient: the chain rule's sum over all
        uses. It is kept in `gradients` until the walk arrives, and for a leaf in `.grad`."""
        if self.grad_fn is None:
            grad_owners.get().get(id(self), self)._add_to_grad(grad)
        elif id(self) in gradients:  # a new array: the first contribution may be shared
            gradients[id(self)] = np.asarray(gradients[id(self)] + grad)
        else:
            gradients[id(self)] = grad

    def _add_to_grad(self, grad: np.ndarray) -> None:
        with _grad_lock:
            if self.grad is None:
                self.grad = np.array(grad, order="C")  # a copy: a tensor owns its `.grad`
            else:
                self.grad += grad

    # ---- construction ----------------------------------------------------------------------------

    def __init__(self, array, requires_grad: bool = False):
        """`array`: numbers in anything that np.asarray accepts. Errors (TypeError): a Tensor, other
        things than numbers, requires_grad for numbers that are not floating point."""
        if isinstance(array, Tensor):
            raise TypeError("Tensor: got a Tensor: use .detach() for one that shares its array")
        data = np.asarray(array)
        if data.dtype.kind not in "fciub":
            raise TypeError(f"Tensor: expected numbers, got dtype {data.dtype}")
        self._set_up(data, False, None, (), ())
        self.requires_grad = requires_grad

    def _set_up(self, data, requires_grad, grad_fn, inputs, input_versions) -> None:
        self._data = data
        self._version = 0
        self._input_versions = input_versions
        self._requires_grad = requires_grad
        self._retains_grad = False
        self.grad = None
        self.grad_fn = grad_fn
        self.inputs = inputs

    def _first_gradient(self, grad: np.ndarray | None) -> np.ndarray:
        if not self._requires_grad:
            raise RuntimeError("backward: this tensor requires no gradient: nothing it was made "
                               "from has requires_grad=True, or it was made under no_grad")
        if grad is None:
            if self.size != 1:
                raise ValueError(f"backward: a tensor of shape {self.shape} needs the gradient to "
                                 "start from: pass an array of that shape, or reduce to one number")
            return np.ones(self.shape, self.dtype)
        grad = np.asarray(grad.data if isinstance(grad, Tensor) else grad, dtype=self.dtype)
        if grad.shape != self.shape:
            raise ValueError(f"backward: got a gradient of shape {grad.shape} for a tensor of "
                             f"shape {self.shape}: the two must be equal")
        return grad

    # ---- attributes ------------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        """The array. It may be replaced, not within a graph that is still to be walked."""
        return self._data

    @data.setter
    def data(self, array: np.ndarray) -> None:
        if not isinstance(array, np.ndarray):
            raise TypeError(f"Tensor.data: expected a NumPy array, got {type(array).__name__}")
        _check_dtype(array, self._requires_grad)
        self._data = array
        self._version += 1

    def touch(self) -> None:
        """Report a write into the array: `backward` then refuses a graph of the old values."""
        self._version += 1

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` computes a gradient for this tensor."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        _check_dtype(self._data, requires_grad)
        self._requires_grad = bool(requires_grad)

    # the array's: without a frame of Python, so that a debugger does not step into them
    shape = property(attrgetter("_data.shape"))
    dtype = property(attrgetter("_data.dtype"))
    ndim = property(attrgetter("_data.ndim"))
    size = property(attrgetter("_data.size"))

    @property
    def is_leaf(self) -> bool:
        """Whether no op made this tensor."""
        return self.grad_fn is None

    def detach(self) -> Tensor:
        """A tensor that shares the array and requires no gradient."""
        return Tensor(self._data)

    def numpy(self) -> np.ndarray:
        """The array itself, without a copy; what is computed from it is not recorded."""
        return self._data

    def item(self) -> float | int | bool | complex:
        """The one element as a Python number. Error: another number of elements."""
        if self.size != 1:
            raise ValueError(f"item: expected one element, got shape {self.shape}")
        return self._data.item()

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor too when `backward` passes through it."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad: this tensor requires no gradient")
        self._retains_grad = self.grad_fn is not None

    # ---- Python's protocols ----------------------------------------------------------------------

    # An array on the left of a tensor leaves the operator to it: array + tensor is a tensor.
    __array_ufunc__ = None

    def __repr__(self) -> str:
        text = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=100)
        if self.grad_fn is not None:
            return f"Tensor({text}, grad_fn={self.grad_fn.__name__})"
        return f"Tensor({text}, requires_grad=True)" if self._requires_grad else f"Tensor({text})"

    def __format__(self, format_spec: str) -> str:
        """f"{loss:.4f}": a tensor of one element as its number; without a format as str()."""
        return format(self.item(), format_spec) if format_spec else str(self)

    def __getattr__(self, name: str):
        """Runs for unknown attributes only: the error names ours for a method of PyTorch's."""
        ours = TORCH_NAMES.get(name)
        raise AttributeError(f"Tensor has no attribute {name!r}" + (f": {ours}" if ours else ""))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        """The tensors along the first axis, each with its place in the graph."""
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"bool: a tensor of shape {self.shape} is neither true nor false: use "
                             "(x > 0).any() or .all() on its comparison")
        return bool(self._data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if self._requires_grad:
            raise TypeError("NumPy was given a tensor that requires a gradient, and would lose it: "
                            "use x.detach() or x.numpy() if that is meant, or an op of minibert")
        return np.array(self._data, dtype=dtype, copy=copy)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if self.grad_fn is not None:
            raise RuntimeError("deepcopy: only leaves can be copied; detach() this one first")
        copy = type(self).__new__(type(self))
        copy._set_up(self._data.copy(), self._requires_grad, None, (), ())
        copy.grad = None if self.grad is None else self.grad.copy()
        return copy

    __hash__ = object.__hash__

    def __eq__(self, other) -> np.ndarray:
        return _real(self) == _real(other)

    def __ne__(self, other) -> np.ndarray:
        return _real(self) != _real(other)

    def __lt__(self, other) -> np.ndarray:
        return _real(self) < _real(other)

    def __le__(self, other) -> np.ndarray:
        return _real(self) <= _real(other)

    def __gt__(self, other) -> np.ndarray:
        return _real(self) > _real(other)

    def __ge__(self, other) -> np.ndarray:
        return _real(self) >= _real(other)


_ONE_DEVICE = "there is one device, the CPU"
TORCH_NAMES = {
    "view": "use .reshape(shape)", "permute": "use .transpose(axes)", "mT": "use .swapaxes(-1, -2)",
    "unsqueeze": "use minibert.ops.expand_dims(x, axis)", "clone": "use x + 0 or deepcopy",
    "contiguous": "every op accepts any memory layout", "requires_grad_": "set .requires_grad",
    "numel": "use .size", "dim": "use .ndim", "tolist": "use .data.tolist()",
    "masked_fill": "use minibert.ops.masked_fill(x, mask, value)", "device": _ONE_DEVICE,
    "to": f"use Tensor(x.data.astype(dtype)); {_ONE_DEVICE}", "cuda": _ONE_DEVICE,
    "cpu": _ONE_DEVICE, "float": "use Tensor(x.data.astype(np.float32))",
    "double": "use Tensor(x.data.astype(np.float64))"}


def no_grad() -> AbstractContextManager:
    """Within it (or in a function it decorates) ops record nothing: no graph, no memory held."""
    return set_within(_grad_enabled, False)


def is_recorded(*inputs: Tensor) -> bool:
    """Whether `backward` can reach an op on `inputs`; if not, it need not keep anything for it."""
    return _grad_enabled.get() and any([tensor._requires_grad for tensor in inputs])


def op_name(backward: BackwardFunction) -> str:
    """The name of an op from its backward function: matmul_backward, or softmax_node_backward where
    a node of fused/ calls the formula softmax_backward."""
    return backward.__name__.removesuffix("_backward").removesuffix("_node")


def freed_graph(grad: np.ndarray) -> tuple:
    """Replaces grad_fn after the graph was freed; raises."""
    raise RuntimeError("backward: this graph was already walked and freed: run the forward again, "
                       "or pass retain_graph=True to the first backward")


def _check_dtype(array: np.ndarray, requires_grad: bool) -> None:
    if requires_grad and array.dtype.kind not in "fc":
        raise TypeError(f"Tensor: only floating point can require gradients, got {array.dtype}: "
                        "make it from array.astype(np.float32)")


def _check_unchanged(tensor: Tensor) -> None:
    """Refuse a node that was freed, or whose values were replaced since the forward."""
    if tensor.grad_fn is freed_graph:
        freed_graph(tensor.data)  # raises
    changed = [i for i, (source, version) in enumerate(zip(tensor.inputs, tensor._input_versions))
               if source._version != version]
    if changed or tensor._version:
        what = f"input {changed[0]}" if changed else "the output"
        raise RuntimeError(f"backward: the data of {what} of {op_name(tensor.grad_fn)} was "
                           "replaced after the forward (by an optimizer step, or by x.data = ...): "
                           "run the forward again, or change the data after backward")


def _checked(grad: np.ndarray, source: Tensor, tensor: Tensor) -> np.ndarray:
    """The gradient for `source` in its dtype. Error: another shape, a mistake in the op."""
    if type(grad) is not np.ndarray:  # arithmetic on 0-d arrays gives NumPy scalars
        grad = np.asarray(grad)
    if grad.shape != source.shape:
        raise RuntimeError(f"{tensor.grad_fn.__name__} returned a gradient of shape {grad.shape} "
                           f"for an input of shape {source.shape}")
    if grad.dtype != source.dtype:  # a float32 input beside a float64 one
        grad = (grad.real if source.dtype.kind == "f" else grad).astype(source.dtype)
    return grad


def _real(value) -> np.ndarray:
    """The array to be compared; of complex numbers (the complex step) the real part decides."""
    array = np.asarray(value._data if isinstance(value, Tensor) else value)
    return array.real if array.dtype.kind == "c" else array
