"""Module: a part of a model, which may hold parameters and other modules.

The attributes of a module are named in its class's `__slots__`, so that plain Python refuses a
misspelt one, in reading and in writing. Parameters and modules are found by walking the attributes
in that order; lists and tuples of modules are walked too, their items are called `blocks.0`...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from fnmatch import fnmatchcase
from itertools import groupby
from operator import itemgetter

import numpy as np

from minibert.autograd.context_variables import set_within
from minibert.autograd.tensor import Tensor, observers
from minibert.autograd.trace import module_scope
from minibert.errors import InputError


# The modes within in_modes, which take precedence over the modules' own. A context variable: of
# several threads with one model, one can evaluate while another trains.
_modes: ContextVar[dict[Module, bool]] = ContextVar("modes", default={})
_without_memory: ContextVar[bool] = ContextVar("without_memory", default=False)


class Parameter(Tensor):
    """A tensor that is trained: a leaf that requires a gradient."""

    __slots__ = ()

    def __init__(self, array: np.ndarray):
        super().__init__(array, requires_grad=True)


def new_parameter(*shape: int, value: float = 0.0) -> Parameter:
    """A float32 parameter filled with one value, until it is drawn or loaded. Errors: InputError
    for a shape that is too large for any array."""
    if _without_memory.get():
        try:
            return Parameter(np.broadcast_to(np.float32(value), shape))
        except ValueError as error:
            raise InputError(f"a parameter of shape {shape}: {error}") from None
    return Parameter(np.full(shape, value, np.float32) if value else np.zeros(shape, np.float32))


def without_memory() -> AbstractContextManager:
    """Within it new parameters are read-only views of one number, so a model of any size shows its
    names and shapes without memory for its weights."""
    return set_within(_without_memory, True)


class Module:
    """A part of a model. A subclass names its attributes in `__slots__` and defines `forward`."""

    __slots__ = ("_training", "__weakref__")

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__slots__" not in vars(cls):
            raise TypeError(f"{cls.__name__}: a module names its attributes: add a line like "
                            "__slots__ = (\"weight\", \"bias\")")

    def __init__(self):
        self._training = True

    @property
    def training(self) -> bool:
        """Whether dropout is on (training mode) or off (evaluation mode)."""
        return _modes.get().get(self, self._training)

    def forward(self, *args, **kwargs):
        """Compute the module's output; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args, **kwargs):
        if observers.get():  # a trace records in which module an op ran
            with module_scope(self):
                return self.forward(*args, **kwargs)
        return self.forward(*args, **kwargs)

    def scope(self) -> AbstractContextManager:
        """Within it a trace records ops under this module: for methods other than `forward`."""
        return module_scope(self) if observers.get() else nullcontext()

    # ---- walking the attributes ------------------------------------------------------------------

    def _attributes(self) -> Iterator[tuple[str, object]]:
        """(name, value) of all attributes, base classes first; the items of lists one by one."""
        for cls in reversed(type(self).__mro__):
            for name in vars(cls).get("__slots__", ()):
                value = getattr(self, name, None)
                if isinstance(value, (list, tuple)):
                    yield from ((f"{name}.{i}", item) for i, item in enumerate(value))
                else:
                    yield name, value

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module (its name is the prefix) and all within it, parents before their parts."""
        yield prefix, self
        for name, value in self._attributes():
            if isinstance(value, Module):
                yield from value.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and all within it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter); a tied one, which occurs twice, once under its first name."""
        found = {}  # id of a parameter: (its first name, the parameter)
        for name, value in self._attributes():
            if isinstance(value, Parameter):
                found.setdefault(id(value), (name, value))
            elif isinstance(value, Module):
                for rest, parameter in value.named_parameters():
                    found.setdefault(id(parameter), (f"{name}.{rest}", parameter))
        return iter(found.values())

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    # ---- values ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """The parameters' arrays by name (not copies); a tied parameter is there once."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy arrays into the parameters, in the parameters' dtype.

        All names and shapes must fit, or nothing is loaded and the InputError lists what does not.
        """
        parameters = dict(self.named_parameters())
        problems = [f"{name} is missing" for name in parameters if name not in state]
        problems += [f"{name} is unknown" for name in state if name not in parameters]
        problems += [f"{name} has shape {np.shape(state[name])}, expected {parameter.shape}"
                     for name, parameter in parameters.items()
                     if name in state and np.shape(state[name]) != parameter.shape]
        problems += [f"{name} holds no real numbers" for name in parameters
                     if name in state and np.asarray(state[name]).dtype.kind not in "biuf"]
        if problems:
            if len(problems) > 8:
                problems[8:] = [f"and {len(problems) - 8} more"]
            raise InputError(f"{type(self).__name__}.load_state_dict: {'; '.join(problems)}")
        for name, parameter in parameters.items():
            parameter.data = np.array(state[name], dtype=parameter.dtype)

    def astype(self, dtype: np.dtype | type) -> Module:
        """Convert all parameters to `dtype`, in place, and drop their gradients."""
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
            parameter.grad = None
        return self

    def double(self) -> Module:
        """Convert all parameters to float64 (for gradient checks)."""
        return self.astype(np.float64)

    def float(self) -> Module:
        """Convert all parameters to float32 (for training)."""
        return self.astype(np.float32)

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    # ---- modes -----------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Module:
        """Set training mode (dropout on), or evaluation mode, here and in all parts."""
        for module in self.modules():
            module._training = bool(mode)
        return self

    def eval(self) -> Module:
        """Set evaluation mode (dropout off), here and in all parts."""
        return self.train(False)

    def freeze(self, *patterns: str) -> None:
        """Stop training the parameters whose names match a pattern: `freeze("bert.embeddings.*")`.

        `*` matches anything, dots too; without a pattern all are frozen. Errors: InputError for a
        pattern that matches no name.
        """
        for parameter in self._matching(patterns):
            parameter.requires_grad = False
            parameter.grad = None

    def unfreeze(self, *patterns: str) -> None:
        """Train the parameters whose names match a pattern again: see freeze."""
        for parameter in self._matching(patterns):
            parameter.requires_grad = True

    def _matching(self, patterns: tuple[str, ...]) -> list[Parameter]:
        parameters = dict(self.named_parameters())
        chosen = {}
        for pattern in patterns or ("*",):
            names = [name for name in parameters if fnmatchcase(name, pattern)]
            if not names:
                raise InputError(f"freeze: no parameter's name fits {pattern!r}: the names begin "
                                 f"with {', '.join(list(parameters)[:3])}")
            chosen.update((name, parameters[name]) for name in names)
        return list(chosen.values())

    # ---- printing --------------------------------------------------------------------------------

    def __repr__(self) -> str:
        """The modules as a tree with the shapes and the number of their parameters; equal
        neighbours are shown once."""
        return "\n".join(self._tree())

    def _tree(self) -> list[str]:
        settings = ", ".join(f"{name}={value}" for name, value in self._attributes()
                             if isinstance(value, (int, float, str)) and name != "_training")
        count = sum(parameter.size for parameter in self.parameters())
        words = [f"{type(self).__name__}({settings})"]
        words += [f"{count:,} parameters"] if count else []
        words += [f"{name} {value.shape}" for name, value in self._attributes()
                  if isinstance(value, Parameter)]
        lines = ["  ".join(words)]
        parts = [(name, value._tree()) for name, value in self._attributes()
                 if isinstance(value, Module)]
        for tree, group in groupby(parts, key=itemgetter(1)):
            names = [name for name, _ in group]
            label = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}, each"
            lines.append(f"  {label}: {tree[0]}")
            lines += [f"  {line}" for line in tree[1:]]
        return lines


# ---- modes within a context ----------------------------------------------------------------------


def evaluating(model: Module) -> AbstractContextManager:
    """Within it all modules of `model` are in evaluation mode, for this thread (and for threads
    that run in a copy of its context); the modes that train() and eval() set stay as they are."""
    return in_modes(dict.fromkeys(model.modules(), False))


def in_modes(modes: Mapping[Module, bool]) -> AbstractContextManager:
    """Within it each module has the mode (`training`) that `modes` says."""
    return set_within(_modes, {**_modes.get(), **modes})
