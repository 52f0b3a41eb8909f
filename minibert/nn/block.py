"""The Transformer block, and a stack of them: the same lines for every model.

Models differ in the mask they pass and in where layer norm stands: after each addition (Vaswani et
al. 2017, section 3.1), or before each branch and once more at the end of the stack (Radford et al.
2019, section 2.3).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minibert.autograd.gradient_checkpointing import checkpoint
from minibert.autograd.hooks import hook_point, is_watched
from minibert.autograd.tensor import Tensor
from minibert.nn.attention import AttentionInputs, BlockConfig, MultiHeadAttention
from minibert.nn.layers import Dropout, LayerNorm, Linear
from minibert.nn.module import Module, in_modes


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
