"""AdamW, the table of optimizers, gradient clipping and the choice of the weights that decay.

Another optimizer is a subclass of Optimizer with its formula and the names of its moments, and a
line in OPTIMIZERS.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minibert.autograd.fused.threads import parallel_for, split_evenly
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.layers import Embedding
from minibert.nn.module import Module
from minibert.training.optimizer import Optimizer
from minibert.validate import number


class AdamW(Optimizer):
    """PyTorch's `torch.optim.AdamW`: decoupled weight decay, bias correction, parameter groups
    (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2).

    See Optimizer for `params`, `param_groups` and the errors.
    """

    moment_names = ("exp_avg", "exp_avg_sq")

    def __init__(self, params: Iterable, lr: float = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 1e-2):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps,
                                  "weight_decay": weight_decay})

    @classmethod
    def from_settings(cls, groups: list[dict], settings) -> AdamW:
        return cls(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps)

    def update(self, w: np.ndarray, g: np.ndarray, moments: list[np.ndarray], step: int,
               settings: dict, scratch: np.ndarray) -> None:
        """With t = step, m and v the moments, g the gradient:
            w <- (1 - lr * weight_decay) w
            m <- beta1 m + (1 - beta1) g              v <- beta2 v + (1 - beta2) g^2
            w <- w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
        Both corrections are scalars: with c = sqrt(1 - beta2^t) the last fraction is
        c / (1 - beta1^t) * m / (sqrt(v) + c * eps), which saves a pass.
        """
        m, v = moments
        lr, (beta1, beta2) = settings["lr"], settings["betas"]
        correction = math.sqrt(1 - beta2 ** step)
        step_size = lr * correction / (1 - beta1 ** step)
        eps, decay = settings["eps"] * correction, 1 - lr * settings["weight_decay"]
        m *= beta1
        np.multiply(g, 1 - beta1, out=scratch)
        m += scratch
        v *= beta2
        np.multiply(g, g, out=scratch)
        scratch *= 1 - beta2
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += eps
        np.divide(m, scratch, out=scratch)
        scratch *= step_size
        if decay != 1:
            w *= decay
        w -= scratch

    def check_settings(self, settings: dict) -> None:
        for name in ("lr", "eps", "weight_decay"):
            number(f"AdamW: {name}", settings[name], at_least=0)
        betas = settings["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise InputError(f"AdamW: betas = {betas!r:.60}: expected two numbers")
        for beta in betas:
            number("AdamW: each of betas", beta, at_least=0, below=1)


OPTIMIZERS = {"adamw": AdamW}  # by the names that TrainingSettings.optimizer takes


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients in place so that their norm, taken over all of them as one vector, is at
    most `max_norm` (math.inf: no limit); return the norm as it was (Pascanu et al. 2013,
    algorithm 1).

    As in PyTorch, max_norm / (norm + 1e-6) is the factor; a tied parameter counts once. Gradients
    whose norm is not finite are left unchanged: check the returned value. Errors: max_norm is
    negative or not a number.
    """
    if max_norm != math.inf:
        max_norm = number("clip_grad_norm_: max_norm", max_norm, at_least=0)
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
