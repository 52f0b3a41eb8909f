"""Multi-head attention, and the two values that a block is given: its config and its inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.head_layout import HeadLayout
from minibert.autograd.hooks import hook_point
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.kv_cache import KeyValueCache
from minibert.nn.layers import Linear
from minibert.nn.module import Module


@dataclass(frozen=True)
class BlockConfig:
    """The sizes and options of a Transformer block. `norm_first`: layer norm before each branch
    instead of after each addition."""

    hidden_size: int
    num_heads: int
    intermediate_size: int
    activation: str = "gelu"
    norm_first: bool = False
    dropout: float = 0.0
    attention_dropout: float = 0.0
    attention_output_dropout: bool = True  # whether `dropout` falls on attention's branch
    layer_norm_eps: float = 1e-5
    cross_attention: bool = False  # a branch that attends to an encoder's output

    @property
    def head_layout(self) -> HeadLayout:
        """The heads of an attention of this width; an InputError where they do not divide it."""
        if self.hidden_size % self.num_heads:
            raise InputError(f"attention: a width of {self.hidden_size} cannot be split into "
                             f"{self.num_heads} heads: choose a multiple")
        return HeadLayout(self.num_heads, self.num_heads, self.hidden_size // self.num_heads)


@dataclass(frozen=True)
class AttentionInputs:
    """The inputs that all blocks of a call share, besides the vectors x (B, T, C)."""

    attn_mask: np.ndarray | None = None  # boolean, True = may attend, broadcasts to (B, H, T, S)
    is_causal: bool = False  # hide later tokens
    position_ids: np.ndarray | None = None  # (1 or B, T)
    rng: np.random.Generator | None = None  # for dropout
    cache: KeyValueCache | None = None  # keys and values of the tokens before x
    attentions: list[Tensor] | None = None  # each block appends its weights (B, H, T, S)
    encoder_hidden_states: Tensor | None = None  # (B, S, C), for cross-attention
    encoder_attn_mask: np.ndarray | None = None  # as attn_mask, S tokens of the encoder
    cross_attentions: list[Tensor] | None = None  # as attentions

    @property
    def cross(self) -> AttentionInputs:
        """The inputs of cross-attention: the encoder's mask, no causality. Errors: InputError
        where there is no encoder's output."""
        if self.encoder_hidden_states is None:
            raise InputError("attention: a block with cross-attention reads an encoder's output: "
                             "pass AttentionInputs(encoder_hidden_states=...)")
        return replace(self, attn_mask=self.encoder_attn_mask, is_causal=False,
                       attentions=self.cross_attentions)


class MultiHeadAttention(Module):
    """(B, T, C) -> (B, T, C): softmax(Q K^T / sqrt(D)) V with H heads of width D = C / H (Vaswani
    et al. 2017, section 3.2). K is the number of key/value heads, here H (see HeadLayout).

    One linear layer computes queries, keys and values: the rows of its weight are those of the
    queries, head by head, then those of the keys, then those of the values.
    """

    __slots__ = ("qkv", "output", "layout", "dropout")

    def __init__(self, config: BlockConfig):
        super().__init__()
        self.layout = layout = config.head_layout
        self.qkv = Linear(config.hidden_size, layout.query_width + layout.key_value_width)
        self.output = Linear(layout.query_width, config.hidden_size)
        self.dropout = config.attention_dropout

    def forward(self, x: Tensor, inputs: AttentionInputs = AttentionInputs(),
                encoder_hidden_states: Tensor | None = None) -> Tensor:
        """x (B, T, C) -> (B, T, C). Keys and values come from x and, with a cache, from the tokens
        before it; or from `encoder_hidden_states` (B, S, C): cross-attention, whose keys and values
        a cache keeps from the first call on."""
        if encoder_hidden_states is not None:
            query, key_value = self._cross(x, encoder_hidden_states, inputs)
        else:
            query, key_value = self.qkv(x), None  # (B, T, (H + 2 K) D): all in one
            if inputs.cache is not None:
                width = self.layout.query_width
                key_value = inputs.cache.update(self, query[..., width:])  # (B, S, 2 K D)
                query = query[..., :width]  # (B, T, H D)
        p = self.dropout if self.training else 0.0
        mixed = F.multi_head_attention(query, key_value, self.layout, inputs.attn_mask, p,
                                       inputs.is_causal, inputs.rng, inputs.attentions)
        return hook_point("hook_attn_out", self.output(mixed))  # (B, T, H D) -> (B, T, C)

    def _cross(self, x: Tensor, encoder_hidden_states: Tensor, inputs: AttentionInputs
               ) -> tuple[Tensor, Tensor]:
        """Queries (B, T, H D) of x, keys and values (B, S, 2 K D) of the encoder's output."""
        width, weight, bias = self.layout.query_width, self.qkv.weight, self.qkv.bias
        query = F.linear(x, weight[:width], bias[:width])
        key_value = None if inputs.cache is None else \
            inputs.cache.of_encoder(self, encoder_hidden_states)
        if key_value is None:
            key_value = F.linear(encoder_hidden_states, weight[width:], bias[width:])
            if inputs.cache is not None:
                inputs.cache.keep_of_encoder(self, encoder_hidden_states, key_value)
        return query, key_value
