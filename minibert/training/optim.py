"""AdamW, Muon, the table of optimizers, gradient clipping and the choice of the weights that decay.

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
from minibert.models.heads import MaskedLMHead, Pooler
from minibert.nn.block import MultiHeadAttention, TransformerStack
from minibert.nn.layers import Embedding, Linear
from minibert.nn.module import Module
from minibert.training.optimizer import FlatGroup, Optimizer
from minibert.validate import number, whole_number


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
            number(f"{self.name}: {name}", settings[name], at_least=0)
        two_betas(f"{self.name}: betas", settings["betas"])


def two_betas(name: str, value: object) -> tuple[float, float]:
    """Check the decay rates of AdamW's two moments, a tuple or list. Errors: InputError, not two
    numbers in [0, 1)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InputError(f"{name} = {value!r:.60}: expected two numbers")
    beta1, beta2 = [number(f"each of {name}", beta, at_least=0, below=1) for beta in value]
    return beta1, beta2


ADAMW_RMS = 0.2  # the root mean square of AdamW's updates over lr, as Liu et al. measured it


class Muon(AdamW):
    """Muon for the matrices of the hidden layers, AdamW for embeddings, outputs, norms and biases
    (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks").

    A group whose `matrix_shape` is (rows, columns) is stepped by Muon: each of its parameters, of
    shape (n rows, columns), is n such matrices, one below another. A group without one is stepped
    by AdamW. The update of a matrix has the root mean square of a typical AdamW update, so that one
    `lr` and one `weight_decay` serve both (Liu et al. 2025, "Muon is Scalable for LLM Training",
    section 2.2). It has one moment where AdamW has two. Errors: as Optimizer; momentum outside
    [0, 1), a parameter that is not made of matrices of that shape.
    """

    def __init__(self, params: Iterable, lr: float = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, momentum: float = 0.95,
                 matrix_shape: tuple[int, int] | None = None):
        Optimizer.__init__(self, params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum": momentum, "matrix_shape": matrix_shape})

    @classmethod
    def split_groups(cls, model: Module, groups: list[dict]) -> list[dict]:
        """Set `matrix_shape` for the weights of the linear layers in the blocks, in the pooler and
        before the words' decoder. The queries of all heads are one matrix, the keys another, the
        values a third."""
        shapes: dict[int, tuple[int, int]] = {}
        for part in model.modules():
            if isinstance(part, (TransformerStack, Pooler, MaskedLMHead)):
                for module in part.modules():
                    if isinstance(module, MultiHeadAttention):
                        layout, qkv = module.layout, module.qkv.weight
                        shapes[id(qkv)] = (layout.key_value_width // 2, qkv.shape[1])
                    elif isinstance(module, Linear):
                        shapes.setdefault(id(module.weight), module.weight.shape)
        split = []
        for group in groups:
            by_shape: dict[tuple | None, list[Tensor]] = {}
            for parameter in group["params"]:
                by_shape.setdefault(shapes.get(id(parameter)), []).append(parameter)
            split += [{**group, "params": alike, "matrix_shape": shape}
                      for shape, alike in by_shape.items()]
        return split

    def moments_of(self, group: dict) -> tuple[str, ...]:
        return self.moment_names if group["matrix_shape"] is None else ("momentum_buffer",)

    def blocks(self, flat: FlatGroup, start: int, end: int, group: dict) -> list[slice]:
        """Whole parameters, for a matrix cannot be cut."""
        if group["matrix_shape"] is None:
            return super().blocks(flat, start, end, group)
        return [slice(first, first + parameter.size)
                for first, parameter in zip(flat.starts, flat.parameters) if start <= first < end]

    def update(self, w: np.ndarray, g: np.ndarray, moments: list[np.ndarray], step: int,
               settings: dict, scratch: np.ndarray) -> None:
        """With m the moment, g the gradient, O the matrix `orthogonalized`:
            m <- momentum m + (1 - momentum) g
            u = momentum m + (1 - momentum) g                      (Nesterov's momentum)
            w <- (1 - lr * weight_decay) w - lr * 0.2 sqrt(max(rows, columns)) O(u)
        """
        shape = settings["matrix_shape"]
        if shape is None:
            super().update(w, g, moments, step, settings, scratch)
            return
        [m] = moments
        lr, momentum = settings["lr"], settings["momentum"]
        np.multiply(g, 1 - momentum, out=scratch)
        m *= momentum
        m += scratch
        scratch += momentum * m
        direction = orthogonalized(scratch.reshape(-1, *shape))
        w *= 1 - lr * settings["weight_decay"]
        w -= lr * ADAMW_RMS * math.sqrt(max(shape)) * direction.reshape(-1)

    def check_settings(self, settings: dict) -> None:
        super().check_settings(settings)
        number("Muon: momentum", settings["momentum"], at_least=0, below=1)
        shape = settings["matrix_shape"]
        if shape is None:
            return
        if not isinstance(shape, (tuple, list)) or len(shape) != 2:
            raise InputError(f"Muon: matrix_shape = {shape!r:.60}: expected (rows, columns)")
        for size in shape:
            whole_number("Muon: each of matrix_shape", size, at_least=1)
        for parameter in settings["params"]:
            if parameter.ndim != 2 or parameter.shape[1] != shape[1] \
                    or parameter.shape[0] % shape[0]:
                raise InputError(f"Muon: a parameter of shape {parameter.shape} in a group of "
                                 f"matrix_shape {shape}: expected (n * {shape[0]}, {shape[1]}); "
                                 "leave matrix_shape out for AdamW")


def orthogonalized(matrices: np.ndarray, steps: int = 5) -> np.ndarray:
    """About U V^T for each matrix U S V^T in (N, rows, columns): all singular values near 1.

    Each Newton-Schulz step X <- a X + b (X X^T) X + c (X X^T)^2 X applies a s + b s^3 + c s^5 to
    every singular value s; at first they are divided by the Frobenius norm. Five steps with these
    coefficients (Jordan et al. 2024) bring all of 0.002 and more to between 0.68 and 1.21: small
    ones grow fast, in return for which none comes nearer to 1.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    rows, columns = matrices.shape[-2:]
    x = matrices.swapaxes(-1, -2) if rows > columns else matrices  # X X^T is then the smaller one
    x = x / (np.sqrt(np.square(x).sum((-2, -1), keepdims=True)) + 1e-7)
    for _ in range(steps):
        gram = x @ x.swapaxes(-1, -2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.swapaxes(-1, -2) if rows > columns else x


OPTIMIZERS = {"adamw": AdamW, "muon": Muon}  # by the names that TrainingSettings.optimizer takes


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
        is_bias = name.endswith("bias")  # BART's for the logits is (1, V)
        matrix = parameter.ndim >= 2 and not is_bias and id(parameter) not in embeddings
        (decayed if matrix else exempt)[name] = parameter
    groups = [{"params": list(decayed.values()), "weight_decay": weight_decay},
              {"params": list(exempt.values()), "weight_decay": 0.0}]
    return [group for group in groups if group["params"]], list(decayed), list(exempt)
