"""The layers that everything is made of: Linear, Embedding, LayerNorm, Dropout.

Their weights are zeros (a layer norm's are ones) until a model's `initialize` draws them: how they
are drawn is part of an architecture, and stands with the models.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.module import Module, Parameter


# Under the names that Hugging Face's configurations use: x Phi(x), with Phi the normal distribution
# function, as BERT has it; the same curve through tanh, at most 4.7e-4 away, as GPT-2 does.
GELUS = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
ACTIVATIONS = (*GELUS, "relu")


class Linear(Module):
    """y = x W^T + b: (..., in_features) -> (..., out_features), with W of shape (out, in). Then the
    `activation`, one of ACTIVATIONS, if there is one."""

    __slots__ = ("weight", "bias", "activation")

    def __init__(self, in_features: int, out_features: int, bias: bool = True,
                 activation: str | None = None):
        super().__init__()
        if activation is not None and activation not in ACTIVATIONS:
            raise InputError(f"activation: {activation!r} is unknown: use one of "
                             f"{', '.join(ACTIVATIONS)}")
        self.activation = activation
        self.weight = Parameter(np.zeros((out_features, in_features), np.float32))
        self.bias = Parameter(np.zeros(out_features, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if self.activation in GELUS:
            return F.linear_gelu(x, self.weight, self.bias, GELUS[self.activation])
        y = F.linear(x, self.weight, self.bias)
        return F.relu(y) if self.activation == "relu" else y


class Embedding(Module):
    """A table of vectors: integer ids of any shape (...) -> (..., embedding_dim)."""

    __slots__ = ("weight",)

    def __init__(self, num_embeddings: int, embedding_dim: int):
        super().__init__()
        self.weight = Parameter(np.zeros((num_embeddings, embedding_dim), np.float32))

    def forward(self, ids: np.ndarray) -> Tensor:
        return F.embedding(ids, self.weight)


class LayerNorm(Module):
    """Each vector of the last axis to mean 0 and variance 1, then scaled and shifted."""

    __slots__ = ("weight", "bias", "eps")

    def __init__(self, normalized_shape: int, eps: float = 1e-5):
        super().__init__()
        self.weight = Parameter(np.ones(normalized_shape, np.float32))
        self.bias = Parameter(np.zeros(normalized_shape, np.float32))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class Dropout(Module):
    """In training each element is zeroed with probability p and the others divided by 1 - p."""

    __slots__ = ("p",)

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise InputError(f"dropout: p = {p}: a probability must be at least 0 and below 1")
        self.p = p

    def forward(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """The same shape. A training step with p > 0 must be given `rng`."""
        return F.dropout(x, self.p, self.training, rng)
