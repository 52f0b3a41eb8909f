"""Named activations: lines `x = hook_point("hook_z", x)` where a value of a model arises.

Names and axes are TransformerLens's. Without a watcher a hook point returns its tensor and does
nothing else. `watch_points` installs a watcher for one model: it gets each activation of that model
and may put another tensor in its place (see models/activations.py for the public functions).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from minibert.autograd.context_variables import set_within
from minibert.autograd.tensor import Tensor, observers
from minibert.autograd.trace import Observer, path_within

# (full name, tensor, "file:line" of the hook point) -> the tensor that takes its place.
Visit = Callable[[str, Tensor, str], Tensor]

_watchers: ContextVar[tuple] = ContextVar("watchers", default=())  # of (model, Visit)
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Parts of a module's path and a hook point's name, and TransformerLens's name; applied in this
# order. Its HookedEncoder writes "embed." before hook_embed, its HookedTransformer does not.
TRANSFORMER_LENS_NAMES = (
    ("bert.", ""), ("transformer.", ""), ("model.", ""), ("stack.", ""), ("dense.", ""),
    ("expand.", ""), ("embeddings.norm.", "embed.ln."), ("embeddings.", ""),
    ("cross_attention_norm.", "ln_cross."), ("attention_norm.", "ln1."),
    ("feed_forward_norm.", "ln2."), ("final_norm.", "ln_final."),
    ("norm.", "ln."), ("attention.", "attn."), ("feed_forward.", "mlp."),
    ("cross_attn.hook_attn_out", "hook_cross_attn_out"), ("attn.hook_attn_out", "hook_attn_out"),
    ("mlp.hook_mlp_out", "hook_mlp_out"))


def hook_point(name: str, x: Tensor) -> Tensor:
    """`x`, or what a watcher puts in its place. The full name is the running module's path in
    TransformerLens's words and `name`: blocks.0.attn.hook_z."""
    watchers = _watchers.get()
    if not watchers:
        return x
    caller = sys._getframe(1)
    source = f"{os.path.relpath(caller.f_code.co_filename, _ROOT)}:{caller.f_lineno}"
    for model, visit in watchers:
        path = path_within(model)
        if path is not None:  # a module of this model runs
            x = visit(full_name(path, name), x, source.replace(os.sep, "/"))
    return x


def full_name(path: str, name: str) -> str:
    """("bert.stack.blocks.0.attention", "hook_z") -> "blocks.0.attn.hook_z"."""
    name = f"{path}.{name}" if path else name
    for ours, theirs in TRANSFORMER_LENS_NAMES:
        name = name.replace(ours, theirs)
    return name


@contextmanager
def watch_points(model, visit: Visit, alone: bool = False) -> Iterator[None]:
    """Within it `visit` is called at each hook point of `model`, in this thread and in those that
    it starts in a copy of its context. Several watchers are called in order, each with the result
    of the one before; with `alone`, earlier watchers and observers (a trace) are not called."""
    watchers, observing = ((), ()) if alone else (_watchers.get(), observers.get())
    # while there is an observer, modules enter their module_scope
    with set_within(_watchers, (*watchers, (model, visit))), \
            set_within(observers, (*observing, Observer())):
        yield


def is_watched() -> bool:
    """Whether hook points are watched."""
    return bool(_watchers.get())
