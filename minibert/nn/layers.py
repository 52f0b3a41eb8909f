"""The layers of every model: Linear, Embedding, LayerNorm, Dropout.

Their weights are zeros (a layer norm's are ones) until a model's `initialize` draws them: the
distribution is part of an architecture, see models/.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.hooks import hook_point
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.module import Module, new_parameter
from minibert.validate import number, one_of

# Under the names that Hugging Face's configurations use: x Phi(x), with Phi the normal distribution
# function, as BERT has it; its approximation by tanh, at most 4.7e-4 away, as GPT-2 has it.
GELUS = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
ACTIVATIONS = (*GELUS, "relu")


class Linear(Module):
    """y = x W^T + b: (..., in_features) -> (..., out_features), with W of shape (out, in), followed
    by the `activation`, one of ACTIVATIONS, if there is one. Errors: an unknown activation."""

    __slots__ = ("weight", "bias", "activation")

    def __init__(self, in_features: int, out_features: int, bias: bool = True,
                 activation: str | None = None):
        super().__init__()
        if activation is not None:
            one_of("Linear: activation", activation, ACTIVATIONS)
        self.activation = activation
        self.weight = new_parameter(out_features, in_features)
        self.bias = new_parameter(out_features) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)"""
        if self.activation in GELUS:
            return F.linear_gelu(x, self.weight, self.bias, GELUS[self.activation])
        y = F.linear(x, self.weight, self.bias)
        if self.activation == "relu":
            return hook_point("hook_post", F.relu(hook_point("hook_pre", y)))
        return y


class Embedding(Module):
    """A table of vectors: integer ids of any shape (...) -> (..., embedding_dim). The row
    `padding_idx`, if given, gets no gradient from a look-up, as in PyTorch (a negative one counts
    from the end). Errors: a row that the table does not have."""

    __slots__ = ("weight", "padding_idx")

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None):
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise InputError(f"padding_idx (pad_token_id) = {padding_idx}: the table has the "
                                 f"rows 0 to {num_embeddings - 1}: set it to one, or to None")
            padding_idx %= num_embeddings
        self.weight = new_parameter(num_embeddings, embedding_dim)
        self.padding_idx = padding_idx

    def forward(self, ids: np.ndarray) -> Tensor:
        """ids (...) -> (..., embedding_dim)"""
        return F.embedding(ids, self.weight, self.padding_idx)


class LayerNorm(Module):
    """Normalize each vector of the last axis to mean 0 and variance 1, then scale and shift it."""

    __slots__ = ("weight", "bias", "eps")

    def __init__(self, normalized_shape: int, eps: float = 1e-5):
        super().__init__()
        self.weight = new_parameter(normalized_shape, value=1.0)
        self.bias = new_parameter(normalized_shape)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., normalized_shape), the same shape."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class Dropout(Module):
    """In training mode, set each element to zero with probability p and divide the others by 1 - p.
    Errors: p outside [0, 1)."""

    __slots__ = ("p",)

    def __init__(self, p: float):
        super().__init__()
        self.p = number("dropout: p", p, at_least=0, below=1)

    def forward(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """The same shape. In training mode p > 0 needs `rng`."""
        return F.dropout(x, self.p, self.training, rng)
