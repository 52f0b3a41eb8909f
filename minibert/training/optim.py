"""AdamW (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2).

The formula is `_adamw`. The class hands it the parameters side by side in flat arrays (see
flat_group.py), and follows PyTorch in what an optimizer may be asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import numpy as np

from minibert.autograd.fused.threads import parallel_for, split_evenly
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.layers import Embedding
from minibert.nn.module import Module
from minibert.training.flat_group import FlatGroup

BLOCK = 1 << 17  # elements; the fewer blocks, the less often two threads wait for each other


def _adamw(flat: FlatGroup, step: int, group: dict, blocks: list[slice]) -> None:
    """One step of the elements in `blocks`, in place, block by block.

    With t = step, m and v the moments and g the gradient:
        w <- (1 - lr * weight_decay) w
        m <- beta1 m + (1 - beta1) g              v <- beta2 v + (1 - beta2) g^2
        w <- w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
    Both corrections are pulled out of the arrays: with c = sqrt(1 - beta2^t) the last fraction is
    c / (1 - beta1^t) * m / (sqrt(v) + c * eps), which saves a pass.
    """
    lr, (beta1, beta2) = group["lr"], group["betas"]
    correction = math.sqrt(1 - beta2 ** step)
    step_size = lr * correction / (1 - beta1 ** step)
    eps, decay = group["eps"] * correction, 1 - lr * group["weight_decay"]
    scratch = np.empty((2, min(BLOCK, flat.data.size)), flat.dtype)
    for block in blocks:
        w, m, v = flat.data[block], flat.exp_avg[block], flat.exp_avg_sq[block]
        g, temporary = flat.gradient(block, scratch[0]), scratch[1, :len(w)]
        m *= beta1
        np.multiply(g, 1 - beta1, out=temporary)
        m += temporary
        v *= beta2
        np.multiply(g, g, out=temporary)
        temporary *= 1 - beta2
        v += temporary
        np.sqrt(v, out=temporary)
        temporary += eps
        np.divide(m, temporary, out=temporary)
        temporary *= step_size
        if decay != 1:
            w *= decay
        w -= temporary


class AdamW:
    """PyTorch's `torch.optim.AdamW`: decoupled weight decay, bias correction, parameter groups.

    `params` is an iterable of tensors, or of dicts with "params" and settings of their own. What
    `param_groups[i]["lr"]` (or "betas", "eps", "weight_decay") holds at a step counts for that
    step. Errors: no parameters, one in two groups, settings out of range.
    """

    def __init__(self, params: Iterable, lr: float = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2):
        self.defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        self.param_groups: list[dict] = []
        self.flat_groups: list[list[FlatGroup]] = []
        params = list(params)
        if not params:
            raise InputError("AdamW: got no parameters")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict) -> None:
        """Add parameters with settings of their own; a tensor given twice is stepped once."""
        unknown = set(group) - {"params", *self.defaults}
        if unknown:
            raise InputError(f"AdamW: unknown setting {sorted(unknown)[0]!r} in a parameter group: "
                             f"expected {sorted(self.defaults)}")
        group = {**self.defaults, **group}
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        group["params"] = list({id(parameter): parameter for parameter in params}.values())
        _check_group(group, {id(p) for other in self.param_groups for p in other["params"]})
        self.param_groups.append(group)
        self.flat_groups = self._laid_out(self._state())

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        if not all([_same_parameters(group, flats) and all([flat.fits() for flat in flats])
                    for group, flats in zip(self.param_groups, self.flat_groups)]):
            self.flat_groups = self._laid_out(self._state())
        for group, flats in zip(self.param_groups, self.flat_groups):
            for flat in flats:
                flat.gather()
                for start, end, step in flat.runs():
                    blocks = [slice(low, min(low + BLOCK, end))
                              for low in range(start, end, BLOCK)]
                    sizes = [block.stop - block.start for block in blocks]
                    parallel_for(partial(_adamw, flat, step, group), split_evenly(blocks, sizes))

    def zero_grad(self) -> None:
        """Set every gradient to None."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    # ---- what a checkpoint stores ----------------------------------------------------------------

    def state_dict(self) -> dict:
        """PyTorch's layout: {"state": {i: {"step", "exp_avg", "exp_avg_sq"}}, "param_groups"}; i
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
            raise InputError(f"AdamW.load_state_dict: the stored groups have "
                             f"{[len(group['params']) for group in groups]} parameters, "
                             f"these {sizes}")
        order = [parameter for group in self.param_groups for parameter in group["params"]]
        for i, entry in state_dict["state"].items():
            if not entry["exp_avg"].shape == entry["exp_avg_sq"].shape == order[i].shape:
                raise InputError("AdamW.load_state_dict: moments of shape "
                                 f"{entry['exp_avg'].shape} for parameter {i} of shape "
                                 f"{order[i].shape}")
        for group, stored in zip(self.param_groups, groups):
            group.update({name: stored[name] for name in self.defaults})
        self.flat_groups = self._laid_out({id(order[i]): entry
                                           for i, entry in state_dict["state"].items()})

    def _state(self) -> dict[int, dict]:
        """Step count and moments of every parameter laid out so far, by identity."""
        return {id(parameter): {"step": step, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
                for flats in self.flat_groups for flat in flats
                for parameter, step, exp_avg, exp_avg_sq in zip(
                    flat.parameters, flat.steps, flat.views(flat.exp_avg),
                    flat.views(flat.exp_avg_sq))}

    def _laid_out(self, state: dict[int, dict]) -> list[list[FlatGroup]]:
        """New flat arrays for the groups as they are now, with the moments in `state`."""
        flat_groups = []
        for group in self.param_groups:
            by_dtype: dict[np.dtype, list[Tensor]] = {}
            for parameter in group["params"]:
                by_dtype.setdefault(parameter.dtype, []).append(parameter)
            flat_groups.append([FlatGroup(alike, dtype) for dtype, alike in by_dtype.items()])
            for flat in flat_groups[-1]:
                flat.restore(state)
        return flat_groups


def _check_group(group: dict, taken: set[int]) -> None:
    """Refuse what PyTorch refuses, with the value."""
    for parameter in group["params"]:
        if not isinstance(parameter, Tensor) or not parameter.is_leaf:
            raise InputError(f"AdamW: can only step leaf tensors, got {type(parameter).__name__}")
        if id(parameter) in taken:
            raise InputError(f"AdamW: a parameter of shape {parameter.shape} is in two groups")
    for name in ("lr", "eps", "weight_decay"):
        if not group[name] >= 0:
            raise InputError(f"AdamW: {name} is {group[name]}: expected a number of at least 0")
    if len(group["betas"]) != 2 or not all([0 <= beta < 1 for beta in group["betas"]]):
        raise InputError(f"AdamW: betas are {group['betas']}: expected two numbers, 0 <= beta < 1")


def _same_parameters(group: dict, flats: list[FlatGroup]) -> bool:
    laid_out = {id(parameter) for flat in flats for parameter in flat.parameters}
    return laid_out == {id(parameter) for parameter in group["params"]}


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients in place so that their norm, taken over all of them as one vector, is at
    most `max_norm`; return the norm as it was (Pascanu et al. 2013, algorithm 1).

    As in PyTorch, max_norm / (norm + 1e-6) is the factor; a tied parameter counts once. Gradients
    whose norm is not finite are left as they are: look at what is returned.
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = list({id(p): p.grad for p in parameters if p.grad is not None}.values())
    sizes = [grad.size for grad in grads]
    squares = np.zeros(len(grads))

    def add_squares(part: list[int]) -> None:
        for i in part:
            squares[i] = np.vdot(grads[i], grads[i])

    def scale(part: list[np.ndarray]) -> None:
        for grad in part:
            grad *= factor

    parallel_for(add_squares, split_evenly(list(range(len(grads))), sizes))
    norm = math.sqrt(squares.sum())
    factor = max_norm / (norm + 1e-6)
    if factor < 1 and math.isfinite(norm):
        parallel_for(scale, split_evenly(grads, sizes))
    return norm


def decay_groups(model: Module, weight_decay: float) -> tuple[list[dict], list[str], list[str]]:
    """(parameter groups for AdamW, names that decay, names that do not).

    Weight matrices decay; biases, layer norms and embeddings do not, nor an output layer that is
    tied to an embedding. (nanoGPT decays embeddings too.)
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, Embedding)}
    decayed, exempt = {}, {}
    for name, parameter in model.named_parameters():
        matrix = parameter.ndim >= 2 and id(parameter) not in embeddings
        (decayed if matrix else exempt)[name] = parameter
    groups = [{"params": list(decayed.values()), "weight_decay": weight_decay},
              {"params": list(exempt.values()), "weight_decay": 0.0}]
    return [group for group in groups if group["params"]], list(decayed), list(exempt)
