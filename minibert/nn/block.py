"""The Transformer block: its config, its inputs, attention, feed-forward, and a stack of blocks.

The same lines for every model. Models differ in the mask they pass and in where layer norm stands:
after each addition (Vaswani et al. 2017, section 3.1), or before each branch and once more at the
end of the stack (Radford et al. 2019, section 2.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.gradient_checkpointing import checkpoint
from minibert.autograd.head_layout import HeadLayout
from minibert.autograd.hooks import hook_point, is_watched
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.kv_cache import KeyValueCache
from minibert.nn.layers import Dropout, LayerNorm, Linear
from minibert.nn.module import Module, in_modes


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
    attention_output_dropout: bool = True  # whether `dropout` applies to its output
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
        kept = {} if inputs.cache is None else inputs.cache.of_encoder
        source, key_value = kept.get(self, (None, None))
        if source is not encoder_hidden_states:
            key_value = F.linear(encoder_hidden_states, weight[width:], bias[width:])
            kept[self] = encoder_hidden_states, key_value
        return query, key_value


class FeedForward(Module):
    """Each token by itself: W2 activation(W1 x + b1) + b2, (..., C) -> (..., C) (Vaswani et al.
    2017, section 3.3)."""

    __slots__ = ("expand", "output")

    def __init__(self, config: BlockConfig):
        super().__init__()
        self.expand = Linear(config.hidden_size, config.intermediate_size,
                             activation=config.activation)
        self.output = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., intermediate) -> (..., C)"""
        return hook_point("hook_mlp_out", self.output(self.expand(x)))


class TransformerBlock(Module):
    """(B, T, C) -> (B, T, C): two branches, attention and feed-forward, are added to the residual
    stream x, each after dropout; with `config.cross_attention` a third one between them."""

    __slots__ = ("attention", "attention_norm", "cross_attention", "cross_attention_norm",
                 "feed_forward", "feed_forward_norm", "attention_dropout", "dropout", "norm_first")

    def __init__(self, config: BlockConfig):
        super().__init__()
        self.attention = MultiHeadAttention(config)
        self.attention_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.cross_attention = self.cross_attention_norm = None
        if config.cross_attention:
            self.cross_attention = MultiHeadAttention(config)
            self.cross_attention_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = Dropout(config.dropout)
        self.attention_dropout = Dropout(config.dropout * config.attention_output_dropout)
        self.norm_first = config.norm_first

    def forward(self, x: Tensor, inputs: AttentionInputs = AttentionInputs()) -> Tensor:
        """x (B, T, C) -> (B, T, C)."""
        rng, cross, source = inputs.rng, self.cross_attention, inputs.encoder_hidden_states
        x = hook_point("hook_resid_pre", x)
        if self.norm_first:
            x = x + self.attention_dropout(self.attention(self.attention_norm(x), inputs), rng)
            x = hook_point("hook_resid_mid", x)
            if cross is not None:
                x = x + self.dropout(cross(self.cross_attention_norm(x), inputs.cross, source), rng)
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)), rng)
            return hook_point("hook_resid_post", x)
        x = hook_point("hook_resid_mid", x + self.attention_dropout(self.attention(x, inputs), rng))
        x = self.attention_norm(x)
        if cross is not None:
            x = self.cross_attention_norm(x + self.dropout(cross(x, inputs.cross, source), rng))
        x = hook_point("hook_resid_post", x + self.dropout(self.feed_forward(x), rng))
        return hook_point("hook_normalized_resid_post", self.feed_forward_norm(x))


class TransformerStack(Module):
    """Blocks one after the other; with `norm_first` a final layer norm follows them.

    With `gradient_checkpointing` (an attribute that may be set at any time) a block's activations
    are not kept for backward but computed again there: less memory, more time, the same gradients.
    """

    __slots__ = ("blocks", "final_norm", "gradient_checkpointing")

    def __init__(self, num_layers: int, config: BlockConfig):
        super().__init__()
        self.blocks = [TransformerBlock(config) for _ in range(num_layers)]
        self.final_norm = LayerNorm(config.hidden_size, config.layer_norm_eps) \
            if config.norm_first else None
        self.gradient_checkpointing = False

    def forward(self, x: Tensor, inputs: AttentionInputs = AttentionInputs(),
                hidden_states: list[Tensor] | None = None) -> Tensor:
        """x (B, T, C) -> (B, T, C). To a list given as `hidden_states` the stream is appended
        before the first block and after each one (the last time after the last norm)."""
        recompute = self.gradient_checkpointing and inputs.attentions is None \
            and inputs.cache is None and not is_watched()
        for block in self.blocks:
            if hidden_states is not None:
                hidden_states.append(x)
            x = recomputed(block, x, inputs) if recompute else block(x, inputs)
        if self.final_norm is not None:
            x = self.final_norm(x)
        if hidden_states is not None:
            hidden_states.append(x)
        return x


def recomputed(block: TransformerBlock, x: Tensor, inputs: AttentionInputs) -> Tensor:
    """block(x, inputs), whose activations are computed again in backward (gradient checkpointing),
    in the modes and with the random numbers of the forward."""
    modes = {module: module.training for module in block.modules()}

    def run(rng: np.random.Generator | None, x: Tensor, source: Tensor | None = None) -> Tensor:
        with in_modes(modes):
            return block(x, replace(inputs, rng=rng, encoder_hidden_states=source))

    source = inputs.encoder_hidden_states
    activations = [x] if source is None else [x, source]
    return checkpoint(run, activations, list(block.parameters()), inputs.rng)
