"""The heads: what stands on top of a stack of blocks and turns vectors into predictions."""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.hooks import hook_point
from minibert.autograd.ops import tanh
from minibert.autograd.tensor import Tensor
from minibert.models.config import BertConfig
from minibert.nn.layers import Dropout, LayerNorm, Linear
from minibert.nn.module import Module, Parameter, new_parameter


class Pooler(Module):
    """tanh(W h + b) of the first token's vector h ([CLS]): (B, T, C) -> (B, C) (Devlin et al. 2019,
    section 3.1)."""

    __slots__ = ("dense",)

    def __init__(self, hidden_size: int):
        super().__init__()
        self.dense = Linear(hidden_size, hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, C) -> (B, C)"""
        return hook_point("hook_out", tanh(self.dense(hidden_states[:, 0])))


class ClassificationHead(Module):
    """The scores of a text from its first token's vector, through a hidden layer: tanh with dropout
    on both sides (RoBERTa), or relu with dropout after it (DistilBERT)."""

    __slots__ = ("dense", "dropout", "has_tanh", "out_proj")

    def __init__(self, config: BertConfig, scores: int):
        super().__init__()
        C = config.hidden_size
        self.has_tanh = config.classifier_act == "tanh"
        self.dense = Linear(C, C, activation=None if self.has_tanh else config.classifier_act)
        self.dropout = Dropout(config.head_dropout)
        self.out_proj = Linear(C, scores)

    def forward(self, hidden_states: Tensor, rng: np.random.Generator | None) -> Tensor:
        """(B, T, C) -> (B, scores); `rng` is for dropout."""
        x = hidden_states[:, 0]
        x = tanh(self.dense(self.dropout(x, rng))) if self.has_tanh else self.dense(x)
        x = hook_point("hook_out", x)
        return self.out_proj(self.dropout(x, rng))


class MaskedLMHead(Module):
    """The logits of every word: (..., C) -> (..., V) (Devlin et al. 2019, section 3.1, task 1). The
    vector is transformed once more and multiplied with the vectors of all words: the decoder is the
    word embedding (V, C) itself, the same Parameter, unless the config unties them."""

    __slots__ = ("dense", "norm", "decoder", "bias")

    def __init__(self, config: BertConfig, word_embeddings: Parameter):
        super().__init__()
        V, C = word_embeddings.shape
        self.dense = Linear(C, C, activation=config.mlm_act)
        self.norm = LayerNorm(C, config.layer_norm_eps)
        self.decoder = word_embeddings if config.tie_word_embeddings else new_parameter(V, C)
        self.bias = new_parameter(V)

    def transform(self, hidden_states: Tensor) -> Tensor:
        """(..., C) -> (..., C): what is multiplied with the words' vectors."""
        return hook_point("hook_transformed", self.norm(self.dense(hidden_states)))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., C) -> (..., V)"""
        return F.linear(self.transform(hidden_states), self.decoder, self.bias)
