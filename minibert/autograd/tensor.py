"""Tensor: a NumPy array that remembers how it was computed, and the walk that goes back over it.

An op computes an output array, defines its own backward function right below, and hands both to one
door, `Tensor.from_op`. `loss.backward()` then walks the graph from the loss to the leaves and calls
each op's backward function once, two frames below the user's line. That is all of reverse-mode
differentiation (Baydin et al. 2018, "Automatic Differentiation in Machine Learning", section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

# Context variables, not globals: restored after an exception, and a worker can copy its caller's.
_grad_enabled: ContextVar[bool] = ContextVar("grad_enabled", default=True)
# From the id of a leaf to the tensor that takes its gradient instead: when several threads walk
# back at once, or a checkpoint walks within a walk, no two may write into one `.grad`.
stand_ins: ContextVar[dict[int, Tensor]] = ContextVar("stand_ins", default={})
# Whoever watches the door (tracing, anomaly detection): see trace.py for the methods they have.
observers: ContextVar[tuple] = ContextVar("observers", default=())

BackwardFunction = Callable[[np.ndarray], tuple]


@contextmanager
def no_grad() -> Iterator[None]:
    """Within it (or in a function it decorates) ops record nothing: no graph, no memory held."""
    token = _grad_enabled.set(False)
    try:
        yield
    finally:
        _grad_enabled.reset(token)


def is_recorded(*inputs: Tensor) -> bool:
    """Whether an op on `inputs` will be asked for gradients: if not, it need not keep anything."""
    return _grad_enabled.get() and any([tensor.requires_grad for tensor in inputs])


def freed_graph(grad: np.ndarray) -> tuple:
    """Stands where a backward function stood, once the walk has used and dropped it."""
    raise RuntimeError("backward: this graph was already walked and freed: run the forward again, "
                       "or pass retain_graph=True to the first backward")


class Tensor:
    """An array with a gradient.

    `data` is the array (shared with the caller, not copied); `grad` is None until `backward` has
    left an array of the same shape and dtype there; `grad_fn` is the backward function of the op
    that made the tensor (None for a leaf) and `inputs` are the tensors that the op was given.

    `backward` refuses a graph whose values were replaced (`x.data = ...`, `x.data *= 2`) after the
    forward. A write into the array itself (`x.data[0] = 1`) is not seen: call `touch()` after one.

    Comparisons give plain boolean arrays, element by element; hashing goes by identity.
    """

    __slots__ = ("_data", "_version", "_input_versions", "_retains_grad", "requires_grad", "grad",
                 "grad_fn", "inputs", "grad_buffer", "__weakref__")

    # An array on the left of a tensor leaves the operator to it: array + tensor is a tensor.
    __array_ufunc__ = None

    def __init__(self, array, requires_grad: bool = False):
        if isinstance(array, Tensor):
            raise TypeError("Tensor: got a Tensor: use .detach() for one that shares its array")
        data = np.asarray(array)
        if data.dtype.kind not in "fciub":
            raise TypeError(f"Tensor: expected numbers, got dtype {data.dtype}")
        if requires_grad and data.dtype.kind not in "fc":
            raise TypeError(f"Tensor: only floating point can require gradients, got {data.dtype}")
        self._set_up(data, requires_grad, None, (), ())

    def _set_up(self, data, requires_grad, grad_fn, inputs, input_versions) -> None:
        self._data = data
        self._version = 0
        self._input_versions = input_versions
        self._retains_grad = False
        self.requires_grad = requires_grad
        self.grad = None
        self.grad_fn = grad_fn
        self.inputs = inputs
        self.grad_buffer = None  # an optimizer may name the array where a leaf's gradient is kept

    @staticmethod
    def from_op(output: np.ndarray, inputs: tuple[Tensor, ...],
                backward: BackwardFunction) -> Tensor:
        """The one door: the tensor that an op returns.

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

    # ---- the walk ------------------------------------------------------------------------------

    def backward(self, grad: np.ndarray | None = None, retain_graph: bool = False) -> None:
        """Add d(self)/d(leaf), weighted by `grad`, to the `.grad` of every leaf that requires it.

        `grad` has the tensor's shape; a tensor of one element needs none. The graph is freed as it
        is walked unless `retain_graph`. Errors: a tensor that requires no gradient, a graph that
        was already freed, a `grad` of another shape, values replaced since the forward.
        """
        grad = self._first_gradient(grad)
        if self.grad_fn is None:
            _accumulate(self, grad)
            return
        order = topological_order(self)
        gradients = {id(self): grad}
        watching = observers.get()
        while order:
            tensor = order.pop()
            grad = gradients.pop(id(tensor), None)
            if grad is not None:  # None: all its consumers said that it has no influence
                if tensor._retains_grad:
                    _accumulate(tensor, grad)
                for observer in watching:
                    observer.before_backward(tensor, grad)
                input_grads = tensor.grad_fn(grad)
                for observer in watching:
                    observer.after_backward(tensor, grad, input_grads)
                for source, source_grad in zip(tensor.inputs, input_grads, strict=True):
                    if source_grad is None or not source.requires_grad:
                        continue
                    source_grad = _checked(source_grad, source, tensor)
                    if source.grad_fn is None:
                        _accumulate(source, source_grad)
                    elif id(source) in gradients:  # a new array: the first may be shared
                        gradients[id(source)] = np.asarray(gradients[id(source)] + source_grad)
                    else:
                        gradients[id(source)] = source_grad
            if not retain_graph:
                tensor.grad_fn, tensor.inputs = freed_graph, ()
            input_grads = source_grad = None  # nor does the walk itself hold on to arrays

    def _first_gradient(self, grad: np.ndarray | None) -> np.ndarray:
        if not self.requires_grad:
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

    # ---- what a user reads and sets --------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        return self._data

    @data.setter
    def data(self, array: np.ndarray) -> None:
        if not isinstance(array, np.ndarray):
            raise TypeError(f"Tensor.data: expected a NumPy array, got {type(array).__name__}")
        self._data = array
        self._version += 1

    def touch(self) -> None:
        """Report a write into the array: `backward` then refuses a graph that needs what was there.
        """
        self._version += 1

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        return self._data.dtype

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    def detach(self) -> Tensor:
        """A tensor that shares the array and requires no gradient."""
        return Tensor(self._data)

    def numpy(self) -> np.ndarray:
        """The array itself, without a copy; what is computed from it is not recorded."""
        return self._data

    def item(self) -> float | int | bool | complex:
        """The one element as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: expected one element, got shape {self.shape}")
        return self._data.item()

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor too when `backward` passes through it."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad: this tensor requires no gradient")
        self._retains_grad = self.grad_fn is not None

    # ---- Python's protocols, each on purpose -----------------------------------------------------

    def __repr__(self) -> str:
        text = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=100)
        if self.grad_fn is not None:
            return f"Tensor({text}, grad_fn={self.grad_fn.__name__})"
        return f"Tensor({text}, requires_grad=True)" if self.requires_grad else f"Tensor({text})"

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
        if self.requires_grad:
            raise TypeError("NumPy was given a tensor that requires a gradient, and would lose it: "
                            "use x.detach() or x.numpy() if that is meant, or an op of minibert")
        return np.array(self._data, dtype=dtype, copy=copy)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if self.grad_fn is not None:
            raise RuntimeError("deepcopy: only leaves can be copied; detach() this one first")
        copy = type(self).__new__(type(self))
        copy._set_up(self._data.copy(), self.requires_grad, None, (), ())
        copy.grad = None if self.grad is None else self.grad.copy()
        return copy

    __hash__ = object.__hash__

    def __eq__(self, other) -> np.ndarray:
        return _compared(self) == _compared(other)

    def __ne__(self, other) -> np.ndarray:
        return _compared(self) != _compared(other)

    def __lt__(self, other) -> np.ndarray:
        return _compared(self) < _compared(other)

    def __le__(self, other) -> np.ndarray:
        return _compared(self) <= _compared(other)

    def __gt__(self, other) -> np.ndarray:
        return _compared(self) > _compared(other)

    def __ge__(self, other) -> np.ndarray:
        return _compared(self) >= _compared(other)


def topological_order(root: Tensor) -> list[Tensor]:
    """The op results that `root` depends on, each after its inputs: the walk starts at the end,
    and reaches a tensor only when all its consumers are done.

    Depth first with a stack of our own: a chain of 50,000 ops needs no recursion. All that can be
    refused is refused here, before any gradient is added anywhere.
    """
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        tensor, inputs_are_done = stack.pop()
        if inputs_are_done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            _check_unchanged(tensor)
            stack.append((tensor, True))
            stack += [(source, False) for source in tensor.inputs if source.grad_fn is not None]
    return order


def _check_unchanged(tensor: Tensor) -> None:
    """Refuse a node that was freed, or whose values were replaced since the forward."""
    if tensor.grad_fn is freed_graph:
        freed_graph(tensor.data)
    changed = [i for i, (source, version) in enumerate(zip(tensor.inputs, tensor._input_versions))
               if source._version != version]
    if changed or tensor._version:
        what = f"input {changed[0]}" if changed else "the output"
        raise RuntimeError(f"backward: the data of {what} of {op_name(tensor.grad_fn)} was "
                           "replaced after the forward (by an optimizer step, or by x.data = ...): "
                           "run the forward again, or change the data after backward")


def _checked(grad: np.ndarray, source: Tensor, tensor: Tensor) -> np.ndarray:
    """The gradient for `source` in its dtype; another shape is a mistake in the op."""
    if type(grad) is not np.ndarray:  # arithmetic on 0-d arrays gives NumPy scalars
        grad = np.asarray(grad)
    if grad.shape != source.shape:
        raise RuntimeError(f"{tensor.grad_fn.__name__} returned a gradient of shape {grad.shape} "
                           f"for an input of shape {source.shape}")
    if grad.dtype != source.dtype:  # a float32 input beside a float64 one
        grad = (grad.real if source.dtype.kind == "f" else grad).astype(source.dtype)
    return grad


def _accumulate(tensor: Tensor, grad: np.ndarray) -> None:
    """Add to `.grad`; the first contribution is copied, since a leaf owns its gradient."""
    tensor = _owner(tensor)
    if tensor.grad is not None:
        tensor.grad += grad
    elif tensor.grad_buffer is not None:
        if grad is not tensor.grad_buffer:
            np.copyto(tensor.grad_buffer, grad)
        tensor.grad = tensor.grad_buffer
    else:
        tensor.grad = np.array(grad, order="C")


def _owner(leaf: Tensor) -> Tensor:
    """Who takes a leaf's gradient: see stand_ins."""
    return stand_ins.get().get(id(leaf), leaf)


def gradient_buffer(tensor: Tensor) -> np.ndarray | None:
    """Where the first contribution to a leaf's gradient will be kept, if that is known. An op may
    compute it right there and return it: a copy less (about 1 % of a step at GPT-2's width)."""
    owner = _owner(tensor)
    if owner.grad is not None or tensor.grad_fn is not None:
        return None
    if owner is not tensor:  # a worker's, made only now and dropped after the step: see Workers
        owner.grad_buffer = np.empty_like(owner.data, order="C")
    return owner.grad_buffer


def gradient_so_far(tensor: Tensor) -> np.ndarray | None:
    """What earlier contributions have left of a leaf's gradient, None before the first. An op that
    touches a few rows of it may add to them right there, and return None for the whole."""
    return _owner(tensor).grad if tensor.grad_fn is None else None


def op_name(backward: BackwardFunction) -> str:
    """The name of an op: matmul, from its backward function, matmul_backward."""
    return backward.__name__.removesuffix("_backward")


def _compared(value) -> np.ndarray:
    """What a comparison compares: of a complex number (the complex step) only the real part."""
    array = np.asarray(value._data if isinstance(value, Tensor) else value)
    return array.real if array.dtype.kind == "c" else array
