"""The activations of a model by name: kept in a cache, or changed by hooks while it runs.

Names and axes are TransformerLens's (Nanda & Bloom 2022), values those of its
`from_pretrained_no_processing`; `hook_names(model)` lists them. While a model is watched, the
reference implementation runs (autograd/reference.py), where each of these values exists, and
gradient checkpointing is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from minibert.autograd.functional import reference
from minibert.autograd.hooks import full_name, watch_points
from minibert.autograd.tensor import Tensor, is_recorded, no_grad
from minibert.errors import InputError
from minibert.nn.block import MultiHeadAttention
from minibert.nn.module import Module, evaluating

Names = str | Sequence[str] | Callable[[str], bool]
Hook = Callable[[np.ndarray, str], np.ndarray | None]

# The axes of an activation, by the last part of its name; all others are (B, T, C). S are the keys,
# F is the width inside the feed-forward layer.
AXES = {"hook_q": "BTHD", "hook_k": "BSHD", "hook_v": "BSHD", "hook_z": "BTHD",
        "hook_result": "BTHC", "hook_qk": "BHTS", "hook_attn_scores": "BHTS",
        "hook_pattern": "BHTS", "hook_scale": "BT1", "hook_pre": "BTF", "hook_post": "BTF",
        "hook_out": "BC"}
RESULT = "hook_result"  # each head's part of attn_out (without the bias), computed from hook_z


# ---- the cache -----------------------------------------------------------------------------------


class ActivationCache(Mapping):
    """The activations of one forward: name -> read-only array, in TransformerLens's axes.
    `cache["blocks.0.attn.hook_pattern"]`, or short `cache["pattern", 0]` (the layer may count from
    the end), `cache["ln1.scale", 0]`, `cache["embed"]`. `attn.hook_result` (B, T, H, C) is computed
    from hook_z when it is read. Errors: InputError for a name that is not there."""

    def __init__(self, model: Module):
        self.model = model
        self._tensors: dict[str, Tensor] = {}
        self._sources: dict[str, str] = {}

    def __getitem__(self, key: str | tuple[str, int]) -> np.ndarray:
        name = self.name(key)
        if name.endswith(RESULT):
            z = self[name.replace(RESULT, "hook_z")]  # (B, T, H, D)
            return np.einsum("bthd,chd->bthc", z, output_weight(self.model, name, z.shape[-2:]))
        return _read_only(transformer_lens_axes(name, self._tensors[name].data))

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, key: object) -> bool:
        """Whether `cache[key]` gives an array."""
        try:
            self.name(key)
        except InputError:
            return False
        return True

    def name(self, key: str | tuple[str, int]) -> str:
        """The full name of a short one: ("pattern", 0) -> "blocks.0.attn.hook_pattern"."""
        short, layer = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
        if not isinstance(short, str) or not isinstance(layer, (int, np.integer, type(None))):
            raise InputError(f"cache[{key!r}]: expected a name, or (name, layer) as in "
                             "cache['pattern', 0]")
        known = [*self, *[name.replace("hook_z", RESULT) for name in self if "hook_z" in name]]
        plain = short.replace("hook_", "")
        if layer is None:
            fits = [name for name in known if name.replace("hook_", "") == plain]
        else:
            layers = [int(name.split(".")[1]) for name in known if name.startswith("blocks.")]
            layer += 1 + max(layers, default=0) if layer < 0 else 0
            fits = [name for name in known if name.startswith(f"blocks.{layer}.")
                    and name.replace("hook_", "").endswith(f".{plain}")]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise InputError(f"cache[{key!r}] may be {' or '.join(fits)}: write one of them")
        raise InputError(f"cache[{key!r}] is not in the cache: {_nearest(short, known)}")

    def grad(self, key: str | tuple[str, int]) -> np.ndarray:
        """The gradient with respect to an activation, in its axes, once `backward` was called on a
        number computed from the outputs (which adds to the parameters' `.grad`, too); zeros where
        that number does not depend on it. Errors: InputError without `grads=True`."""
        tensor = self._tensors[self._stored(key)]
        if all([kept.grad is None for kept in self._tensors.values()]):
            raise InputError(f"cache.grad({key!r}): there is no gradient: call run_with_cache(..., "
                             "grads=True), then backward() on a number made of the outputs")
        grad = np.zeros_like(tensor.data) if tensor.grad is None else tensor.grad
        return _read_only(transformer_lens_axes(self.name(key), grad))

    def source(self, key: str | tuple[str, int]) -> str:
        """"minibert/autograd/reference.py:194": the line of the hook point."""
        return self._sources[self._stored(key)]

    def _stored(self, key: str | tuple[str, int]) -> str:
        name = self.name(key)
        if name.endswith(RESULT):
            raise InputError(f"{name} is computed from hook_z, which has a gradient and a line")
        return name


def output_weight(model: Module, name: str, heads: tuple[int, int]) -> np.ndarray:
    """W_O of the attention to which the activation `name` belongs, by head: (C, H, D)."""
    for path, module in model.named_modules():
        if isinstance(module, MultiHeadAttention) \
                and full_name(path, "hook_z").rpartition(".")[0] == name.rpartition(".")[0]:
            return module.output.weight.data.reshape(-1, *heads)
    raise InputError(f"{name}: the model has no such attention")


# ---- hooks ---------------------------------------------------------------------------------------


@contextmanager
def hooks(model: Module, hooks: Sequence[tuple[Names, Hook]]) -> Iterator[None]:
    """Within it the model calls each hook `f(array, name)` where its activation arises.

    `array` is the activation, read-only, in TransformerLens's axes; f returns an array of its shape
    and dtype, which takes its place (a constant: no gradient passes it), or None. `hooks` are pairs
    (names, f): see run_with_cache for names. Errors: InputError for an unknown name, for another
    shape or dtype, and at the end for a hook that did not run.
    """
    chosen: dict[str, list[Hook]] = {}
    for names, function in hooks:
        if not callable(function):
            raise InputError(f"hooks: {function!r} is no function of (array, name)")
        for name in matching_names(model, names, computed=False):
            chosen.setdefault(name, []).append(function)
    visited = set()

    def visit(name: str, x: Tensor, source: str) -> Tensor:
        visited.add(name)
        for function in chosen.get(name, ()):
            x = _replaced(function, name, x)
        return x

    with reference(), watch_points(model, visit):
        yield
    missed = [name for name in chosen if name not in visited]
    if missed:
        reason = "this call of the model does not compute it" if visited else (
            f"{type(model).__name__} was not called within hooks(model, ...): call it itself")
        raise InputError(f"hooks: the hook on {', '.join(missed[:3])} did not run: {reason}")


_hooks = hooks  # run_with_hooks has a parameter of this name


def _replaced(function: Hook, name: str, x: Tensor) -> Tensor:
    """x, or the array that a hook returns for it, as a constant in x's memory layout."""
    array = transformer_lens_axes(name, x.data)
    new = function(_read_only(array), name)
    if new is None:
        return x
    if not isinstance(new, np.ndarray) or new.shape != array.shape or new.dtype != array.dtype:
        given = f"{new.dtype} {new.shape}" if isinstance(new, np.ndarray) else type(new).__name__
        raise InputError(f"hooks: the hook on {name} returned {given}: expected None or an array "
                         f"{array.dtype} {array.shape}")
    data = np.empty_like(x.data)
    data[...] = transformer_lens_axes(name, new)
    return Tensor(data, requires_grad=is_recorded(x))


def transformer_lens_axes(name: str, array: np.ndarray) -> np.ndarray:
    """A view: q, k, v and z (B, H, T, D) <-> (B, T, H, D); all others as they are."""
    turned = AXES.get(name.rpartition(".")[2], "").endswith("HD")
    return array.swapaxes(1, 2) if turned else array


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that refuses to be written: the array is the model's own."""
    view = array.view()
    view.flags.writeable = False
    return view


# ---- names ---------------------------------------------------------------------------------------


class HookName(NamedTuple):
    """One activation: its name, the letters of its axes, its shape (B, T and S by letter, the sizes
    that the model settles as numbers) and the line "file:line" of its hook point."""

    name: str
    axes: str
    shape: tuple[str | int, ...]
    source: str


class HookNames(list):
    """The rows of `hook_names`; printed, a table."""

    def __str__(self) -> str:
        rows = [("name", "axes", "shape", "line")]
        rows += [(row.name, ",".join(row.axes), ",".join(map(str, row.shape)), row.source)
                 for row in self]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(map(str.ljust, row, widths)) for row in rows]
        return "\n".join(map(str.rstrip, lines))


def hook_names(model: Module) -> HookNames:
    """A HookName for every activation, in the order in which they arise, from a forward of one
    token; and each hook_result, which the cache computes from hook_z."""
    found = HookNames()

    def note(name: str, x: Tensor, source: str) -> Tensor:
        shape = transformer_lens_axes(name, x.data).shape
        found.append(_row(name, shape, source))
        if name.endswith("hook_z"):
            result = name.replace("hook_z", RESULT)
            found.append(_row(result, (*shape[:-1], model.config.hidden_size), source))
        return x

    with reference(), no_grad(), evaluating(model), watch_points(model, note, alone=True):
        model(**model.dummy_inputs)
    return found


def _row(name: str, shape: tuple[int, ...], source: str) -> HookName:
    last = name.rpartition(".")[2]
    axes = AXES.get(last, "BTC")
    if last == "hook_logits":  # for each token, or for a text as a whole
        axes = "BTV" if len(shape) == 3 else "BK"
    return HookName(name, axes, tuple([axis if axis in "BTS" else size
                                       for axis, size in zip(axes, shape)]), source)


def matching_names(model: Module, names: Names, computed: bool = True) -> list[str]:
    """The full names that `names` chooses: a name or pattern, a list of them, or a function of a
    name. A hook_result stands for its hook_z if `computed`. Errors: InputError for what matches
    nothing, and for a hook_result if not `computed`."""
    known = [row.name for row in hook_names(model)]
    if callable(names):
        chosen = [name for name in known if names(name) and RESULT not in name]
        if not chosen:
            raise InputError("names: the function chooses none of the model's activations: see "
                             "minibert.hook_names(model)")
        return chosen
    chosen = []
    for pattern in [names] if isinstance(names, str) else names:
        fits = [name for name in known if fnmatchcase(name, pattern)]
        if not computed and fits and all([RESULT in name for name in fits]):
            raise InputError(f"hooks: {pattern} is computed from hook_z and does not reach the "
                             "outputs: put the hook on hook_z or hook_attn_out")
        if not fits:
            raise InputError(f"names: {pattern!r} matches no activation: "
                             f"{_nearest(pattern, known)}; see minibert.hook_names(model)")
        chosen += [name.replace(RESULT, "hook_z") for name in fits]
    if not chosen:
        raise InputError("names: an empty list chooses nothing: leave it out to keep all")
    return list(dict.fromkeys(chosen))


def _nearest(name: str, known: list[str]) -> str:
    return f"nearest: {', '.join(get_close_matches(name, known, 3, 0.0)) or 'none'}"


class HookedRootModule(Module):
    """A module whose activations can be kept and changed, under TransformerLens's name."""

    __slots__ = ()

    @property
    def dummy_inputs(self) -> dict[str, np.ndarray]:
        """The smallest input of `forward`: one token, for hook_names."""
        return {"input_ids": np.zeros((1, 1), np.int64)}

    def run_with_cache(self, *args, names: Names | None = None, grads: bool = False, **inputs
                       ) -> tuple[object, ActivationCache]:
        """(the outputs of this call of the model, its ActivationCache). `names`: a name, a pattern
        ("blocks.*.attn.hook_pattern"), a list of them or a function of a name; None keeps all. With
        `grads` the forward is recorded, and `cache.grad(name)` is there after backward. Errors:
        InputError for names that match nothing, and for `grads` in no_grad."""
        if grads and not is_recorded(Tensor(np.zeros(1), requires_grad=True)):
            raise InputError("run_with_cache: grads=True within no_grad: no gradient is recorded "
                             "there")
        wanted = None if names is None else set(matching_names(self, names))
        cache = ActivationCache(self)

        def keep(name: str, x: Tensor, source: str) -> Tensor:
            if wanted is None or name in wanted:
                if grads:
                    if not is_recorded(x):  # nothing before it is trained: it becomes a leaf
                        x = Tensor(x.data, requires_grad=True)
                    x.retain_grad()
                cache._tensors[name], cache._sources[name] = x, source
            return x

        with reference(), watch_points(self, keep), nullcontext() if grads else no_grad():
            return self(*args, **inputs), cache

    def run_with_hooks(self, *args, hooks: Sequence[tuple[Names, Hook]], **inputs) -> object:
        """The outputs of this call of the model within `hooks(model, hooks)`: see there."""
        with _hooks(self, hooks):
            return self(*args, **inputs)
