"""Optimizer: the part that every optimizer shares. A formula and the names of its moments are added
by a subclass: see AdamW in optim.py, and Muon for one that treats matrices as matrices.

The interface is PyTorch's `torch.optim.Optimizer`. The parameters of a group and their moments lie
side by side in flat arrays, and each parameter's `.data` is a view of its part. A step is then a
few passes over long arrays, block by block, so that a block stays in the cache from the first pass
to the last (13.4 -> 7.9 ms at 4 layers of width 256), and no Python loop over tensors.

A user may put another array in `.data` at any time: each step copies in what was replaced.
Gradients stay where backward left them, so a `.grad` that a user keeps is never written into.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import partial
from itertools import accumulate

import numpy as np

from minibert.autograd.fused.threads import parallel_for, split_evenly
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.module import Module

BLOCK = 1 << 17  # elements; the fewer blocks, the less often two threads wait for each other
PADDING = np.zeros(16, np.float32)
ALIGNMENT = len(PADDING)  # each parameter's part starts at a multiple, for whole vector loads


class FlatGroup:
    """The parameters of one group and one dtype, side by side in flat arrays.

    `parameters[i]` owns the elements from `starts[i]` up to `starts[i] + its size`; the few
    elements of padding up to the next start are zero and stay so. `steps[i]` counts the steps of
    that parameter, for the bias correction: a parameter that had no gradient has taken fewer.
    The parameter `state` holds the first steps and moments, in the form that state() returns.
    """

    def __init__(self, parameters: list[Tensor], dtype: np.dtype, moment_names: tuple[str, ...],
                 state: dict[int, dict]):
        self.parameters, self.dtype = parameters, dtype
        self.ends = list(accumulate([-(-parameter.size // ALIGNMENT) * ALIGNMENT
                                     for parameter in parameters]))
        self.starts = [0, *self.ends[:-1]]
        self.data = np.zeros(self.ends[-1], dtype)
        self.moments = {name: np.zeros(self.ends[-1], dtype) for name in moment_names}
        self.data_views = self.views(self.data)
        self.moment_views = {name: self.views(moment) for name, moment in self.moments.items()}
        self.steps = [0] * len(parameters)
        for i, parameter in enumerate(parameters):
            if id(parameter) in state:
                self.steps[i] = int(state[id(parameter)]["step"])
                for name, views in self.moment_views.items():
                    np.copyto(views[i], state[id(parameter)][name], casting="same_kind")
        self.gather()

    def views(self, flat: np.ndarray) -> list[np.ndarray]:
        """The part of each parameter, in the parameter's shape."""
        return [flat[start:start + parameter.size].reshape(parameter.shape)
                for start, parameter in zip(self.starts, self.parameters)]

    def gather(self) -> None:
        """Copy in every `.data` that is not our view of `self.data`. Error: a `.grad` of another
        shape."""
        for parameter, data in zip(self.parameters, self.data_views):
            # another parameter's view (two were exchanged) is about to be written over
            if parameter.data is not data and np.may_share_memory(parameter.data, self.data):
                parameter.data = parameter.data.copy()
        for parameter, data in zip(self.parameters, self.data_views):
            if parameter.data is not data:
                np.copyto(data, parameter.data)
                parameter.data = data
            if parameter.grad is not None and parameter.grad.shape != data.shape:
                raise InputError(f"step: a gradient of shape {parameter.grad.shape} for a "
                                 f"parameter of shape {data.shape}: the two must be equal")

    def gradient(self, block: slice, scratch: np.ndarray) -> np.ndarray:
        """The gradients of the elements in `block`: a view where one parameter holds them all, else
        copied one after another into `scratch`, which stays in the cache."""
        i = bisect_right(self.starts, block.start) - 1
        if block.stop <= self.starts[i] + self.parameters[i].size:
            return self.parameters[i].grad.reshape(-1)[block.start - self.starts[i]:
                                                       block.stop - self.starts[i]]
        parts = []
        while i < len(self.starts) and self.starts[i] < block.stop:
            low, high = max(self.starts[i], block.start), min(self.ends[i], block.stop)
            part = self.parameters[i].grad.reshape(-1)[low - self.starts[i]:high - self.starts[i]]
            parts += [part, PADDING[:high - low - len(part)]]
            i += 1
        return np.concatenate(parts, out=scratch[:block.stop - block.start])

    def stretches(self) -> list[tuple[int, int, int]]:
        """(start, end, step number) of each stretch of neighbours to be stepped alike.

        Counts the step. A parameter without a gradient is left out, as in PyTorch: it does not
        move, decay or count. Usually one stretch covers everything.
        """
        found = []
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            self.steps[i] += 1
            parameter.touch()
            if found and found[-1][1] == self.starts[i] and found[-1][2] == self.steps[i]:
                found[-1] = (found[-1][0], self.ends[i], self.steps[i])
            else:
                found.append((self.starts[i], self.ends[i], self.steps[i]))
        return found

    def state(self) -> dict[int, dict]:
        """{"step", and each moment by name} of every parameter by its id; the arrays are views."""
        return {id(parameter): {"step": self.steps[i],
                                **{name: views[i] for name, views in self.moment_views.items()}}
                for i, parameter in enumerate(self.parameters)}


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
                for start, end, step in flat.stretches():
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
        return {key: entry for flats in self.flat_groups for flat in flats
                for key, entry in flat.state().items()}

    def _current_layout(self) -> list[list[tuple]]:
        """All that flat arrays are made for; of another layout, they are made anew."""
        return [[(id(parameter), parameter.shape, parameter.dtype) for parameter in group["params"]]
                for group in self.param_groups]

    def _lay_out(self, state: dict[int, dict]) -> None:
        """Make flat arrays for the groups as they are now, with the moments in `state`."""
        layout, flat_groups = self._current_layout(), []
        for group in self.param_groups:
            by_dtype: dict[np.dtype, list[Tensor]] = {}
            for parameter in group["params"]:
                by_dtype.setdefault(parameter.dtype, []).append(parameter)
            flat_groups.append([FlatGroup(alike, dtype, self.moments_of(group), state)
                                for dtype, alike in by_dtype.items()])
        self.layout, self.flat_groups = layout, flat_groups  # an error above leaves the former ones

    def _check_parameters(self, parameters: list) -> None:
        taken = {id(p) for other in self.param_groups for p in other["params"]}
        for parameter in parameters:
            if not isinstance(parameter, Tensor) or not parameter.is_leaf:
                raise InputError(f"{self.name}: can only step leaf tensors, got "
                                 f"{type(parameter).__name__}: give model.parameters()")
            if id(parameter) in taken:
                raise InputError(f"{self.name}: a parameter of shape {parameter.shape} is in two "
                                 "groups")
