"""Optimizer: the part that every optimizer shares. A formula and the names of its moments are added
by a subclass: see AdamW in optim.py, and Muon for one that treats matrices as matrices.

The parameters of a group lie side by side in flat arrays (flat_group.py), and a formula is applied
to them block by block. The interface is PyTorch's `torch.optim.Optimizer`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from minibert.autograd.fused.threads import parallel_for, split_evenly
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.module import Module
from minibert.training.flat_group import FlatGroup

BLOCK = 1 << 17  # elements; the fewer blocks, the less often two threads wait for each other


class Optimizer:
    """Parameter groups, their moments and step counts.

    A subclass gives `moment_names`, `update`, `check_settings` and `from_settings`. `params` is an
    iterable of tensors, or of dicts with "params" and settings of their own; what
    `param_groups[i]["lr"]` (or another setting) holds at a step counts for that step. Errors: no
    parameters, one in two groups, settings out of range.
    """

    moment_names: tuple[str, ...] = ()  # arrays like the parameters, zero at first, kept by name

    def __init__(self, params: Iterable, defaults: dict):
        self.name = type(self).__name__
        self.defaults = defaults
        self.param_groups: list[dict] = []
        self.flat_groups: list[list[FlatGroup]] = []
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            cure = "model.parameters()" if hasattr(params, "parameters") else "a list of tensors"
            raise InputError(f"{self.name}: got a {type(params).__name__}: expected {cure}")
        params = list(params)
        if not params:
            raise InputError(f"{self.name}: got no parameters")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    # ---- what a subclass defines -----------------------------------------------------------------

    @classmethod
    def split_groups(cls, model: Module, groups: list[dict]) -> list[dict]:
        """The parameter groups of `model`, split where this optimizer treats them differently."""
        return groups

    @classmethod
    def from_settings(cls, groups: list[dict], settings) -> Optimizer:
        """The optimizer of a TrainingSettings over parameter groups."""
        raise NotImplementedError

    def update(self, w: np.ndarray, g: np.ndarray, moments: list[np.ndarray], step: int,
               settings: dict, scratch: np.ndarray) -> None:
        """The formula over one block: weights `w` and `moments` (one array for each of
        `moment_names`), changed in place; gradients `g`, only read; all (N,). `step` is 1 at the
        first step, `settings` the parameter group; `scratch` (N,) may be overwritten."""
        raise NotImplementedError

    def check_settings(self, settings: dict) -> None:
        """Errors: a setting of a parameter group that is out of range."""
        raise NotImplementedError

    def moments_of(self, group: dict) -> tuple[str, ...]:
        """The names of the moments that the parameters of `group` have."""
        return self.moment_names

    def blocks(self, flat: FlatGroup, start: int, end: int, group: dict) -> list[slice]:
        """The elements from `start` to `end` of a flat array, cut for `update`."""
        return [slice(low, min(low + BLOCK, end)) for low in range(start, end, BLOCK)]

    # ---- steps -----------------------------------------------------------------------------------

    def add_param_group(self, group: dict) -> None:
        """Add parameters with settings of their own; a tensor given twice is stepped once."""
        unknown = set(group) - {"params", *self.defaults}
        if unknown:
            raise InputError(f"{self.name}: unknown setting {sorted(unknown)[0]!r} in a parameter "
                             f"group: expected {sorted(self.defaults)}")
        group = {**self.defaults, **group}
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        group["params"] = list({id(parameter): parameter for parameter in params}.values())
        self._check_parameters(group["params"])
        self.check_settings(group)
        self.param_groups.append(group)
        self._lay_out(self._state())

    def step(self, trial: bool = False) -> None:
        """Move every parameter that has a gradient. `trial`: compute the same on copies of each
        block and drop it, to see how long it takes."""
        if self.layout != self._current_layout():
            self._lay_out(self._state())
        for group, flats in zip(self.param_groups, self.flat_groups):
            for flat in flats:
                flat.gather()
                steps = list(flat.steps)
                for start, end, step in flat.runs():
                    blocks = self.blocks(flat, start, end, group)
                    sizes = [block.stop - block.start for block in blocks]
                    parallel_for(partial(self._update_blocks, flat, step, group, trial),
                                 split_evenly(blocks, sizes))
                if trial:
                    flat.steps = steps

    def _update_blocks(self, flat: FlatGroup, step: int, group: dict, trial: bool,
                       blocks: list[slice]) -> None:
        longest = max([block.stop - block.start for block in blocks])
        scratch = np.empty((2, longest), flat.dtype)
        for block in blocks:
            w, moments = flat.data[block], [moment[block] for moment in flat.moments.values()]
            if trial:
                w, moments = w.copy(), [moment.copy() for moment in moments]
            g = flat.gradient(block, scratch[0])
            self.update(w, g, moments, step, group, scratch[1, :len(w)])

    def zero_grad(self) -> None:
        """Set every gradient to None."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    # ---- what a checkpoint stores ----------------------------------------------------------------

    def state_dict(self) -> dict:
        """PyTorch's layout: {"state": {i: {"step", and each moment by name}}, "param_groups"}; i
        numbers the parameters through all groups. The arrays are views, not copies."""
        state = self._state()
        order = [parameter for group in self.param_groups for parameter in group["params"]]
        index = {id(parameter): i for i, parameter in enumerate(order)}
        return {"state": {i: state[id(p)] for i, p in enumerate(order) if state[id(p)]["step"]},
                "param_groups": [{**group, "params": [index[id(p)] for p in group["params"]]}
                                 for group in self.param_groups]}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over what `state_dict` gave. Errors: other groups, sizes or shapes."""
        groups = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in self.param_groups]
        if [len(group["params"]) for group in groups] != sizes:
            raise InputError(f"{self.name}.load_state_dict: the stored groups have "
                             f"{[len(group['params']) for group in groups]} parameters, "
                             f"these {sizes}")
        order = [parameter for group in self.param_groups for parameter in group["params"]]
        moments = [self.moments_of(group) for group in self.param_groups for _ in group["params"]]
        for i, entry in state_dict["state"].items():
            for moment in moments[i]:
                if entry[moment].shape != order[i].shape:
                    raise InputError(f"{self.name}.load_state_dict: {moment} of shape "
                                     f"{entry[moment].shape} for parameter {i} of shape "
                                     f"{order[i].shape}")
        for group, stored in zip(self.param_groups, groups):
            group.update({name: stored[name] for name in self.defaults})
        self._lay_out({id(order[i]): entry for i, entry in state_dict["state"].items()})

    def moment_bytes(self) -> int:
        """The memory of all moments."""
        return sum([len(self.moments_of(group)) * parameter.data.nbytes
                    for group in self.param_groups for parameter in group["params"]])

    def _state(self) -> dict[int, dict]:
        """Step count and moments of every parameter laid out so far, by identity."""
        return {id(parameter): entry for flats in self.flat_groups for flat in flats
                for parameter, entry in zip(flat.parameters, flat.state())}

    def _current_layout(self) -> list[list[tuple]]:
        """All that flat arrays are made for; of another layout, they are made anew."""
        return [[(id(parameter), parameter.shape, parameter.dtype) for parameter in group["params"]]
                for group in self.param_groups]

    def _lay_out(self, state: dict[int, dict]) -> None:
        """Make flat arrays for the groups as they are now, with the moments in `state`."""
        self.layout, self.flat_groups = self._current_layout(), []
        for group in self.param_groups:
            by_dtype: dict[np.dtype, list[Tensor]] = {}
            for parameter in group["params"]:
                by_dtype.setdefault(parameter.dtype, []).append(parameter)
            self.flat_groups.append([FlatGroup(alike, dtype, self.moments_of(group))
                                     for dtype, alike in by_dtype.items()])
            for flat in self.flat_groups[-1]:
                flat.restore(state)

    def _check_parameters(self, parameters: list) -> None:
        taken = {id(p) for other in self.param_groups for p in other["params"]}
        for parameter in parameters:
            if not isinstance(parameter, Tensor) or not parameter.is_leaf:
                raise InputError(f"{self.name}: can only step leaf tensors, got "
                                 f"{type(parameter).__name__}: give model.parameters()")
            if id(parameter) in taken:
                raise InputError(f"{self.name}: a parameter of shape {parameter.shape} is in two "
                                 "groups")
