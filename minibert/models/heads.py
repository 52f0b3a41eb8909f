"""What stands on top of a stack of blocks and turns vectors into predictions."""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.ops import tanh
from minibert.autograd.tensor import Tensor
from minibert.nn.layers import LayerNorm, Linear
from minibert.nn.module import Module, Parameter


class Pooler(Module):
    """The first token ([CLS]) speaks for the whole text: (B, T, C) -> (B, C)."""

    __slots__ = ("dense",)

    def __init__(self, hidden_size: int):
        super().__init__()
        self.dense = Linear(hidden_size, hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return tanh(self.dense(hidden_states[:, 0]))


class MaskedLMHead(Module):
    """Which word stands here? (..., C) -> (..., V).

    The vector is transformed once more and compared with the vectors of all words: the decoder is
    the word embedding (V, C) itself, the very same Parameter, unless the config unties them.
    """

    __slots__ = ("dense", "norm", "decoder", "bias")

    def __init__(self, hidden_size: int, vocab_size: int, activation: str, eps: float,
                 tied_to: Parameter | None):
        super().__init__()
        self.dense = Linear(hidden_size, hidden_size, activation=activation)
        self.norm = LayerNorm(hidden_size, eps)
        self.decoder = vocabulary_weight(vocab_size, hidden_size, tied_to)
        self.bias = Parameter(np.zeros(vocab_size, np.float32))

    def transform(self, hidden_states: Tensor) -> Tensor:
        """(..., C) -> (..., C): what is compared with the words."""
        return self.norm(self.dense(hidden_states))

    def forward(self, hidden_states: Tensor) -> Tensor:
        return F.linear(self.transform(hidden_states), self.decoder, self.bias)


def vocabulary_weight(vocab_size: int, hidden_size: int, tied_to: Parameter | None) -> Parameter:
    """The weight (V, C) that compares vectors with all words: the embedding's, or a new one."""
    if tied_to is not None:
        return tied_to
    return Parameter(np.zeros((vocab_size, hidden_size), np.float32))
