"""The heads: what stands on top of a stack of blocks and turns vectors into predictions."""

from __future__ import annotations

from minibert.autograd import functional as F
from minibert.autograd.hooks import hook_point
from minibert.autograd.ops import tanh
from minibert.autograd.tensor import Tensor
from minibert.models.config import BertConfig
from minibert.nn.layers import LayerNorm, Linear
from minibert.nn.module import Module, Parameter, new_parameter


class Pooler(Module):
    """tanh(W h + b) of the first token's vector h ([CLS]): (B, T, C) -> (B, C) (Devlin et al. 2018,
    section 3.1)."""

    __slots__ = ("dense",)

    def __init__(self, hidden_size: int):
        super().__init__()
        self.dense = Linear(hidden_size, hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, C) -> (B, C)"""
        return hook_point("hook_out", tanh(self.dense(hidden_states[:, 0])))


class MaskedLMHead(Module):
    """The logits of every word: (..., C) -> (..., V) (Devlin et al. 2018, section 3.1, task 1).

    The vector is transformed once more and multiplied with the vectors of all words: the decoder is
    the word embedding (V, C) itself, the same Parameter, unless the config unties them.
    """

    __slots__ = ("dense", "norm", "decoder", "bias")

    def __init__(self, config: BertConfig, word_embeddings: Parameter):
        super().__init__()
        V, C = word_embeddings.shape
        self.dense = Linear(C, C, activation=config.hidden_act)
        self.norm = LayerNorm(C, config.layer_norm_eps)
        self.decoder = word_embeddings if config.tie_word_embeddings else new_parameter(V, C)
        self.bias = new_parameter(V)

    def transform(self, hidden_states: Tensor) -> Tensor:
        """(..., C) -> (..., C): what is multiplied with the words' vectors."""
        return hook_point("hook_transformed", self.norm(self.dense(hidden_states)))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., C) -> (..., V)"""
        return F.linear(self.transform(hidden_states), self.decoder, self.bias)
