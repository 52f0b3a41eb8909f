"""The Transformer block, and a stack of them: the same lines for every model.

A block adds two things to the stream of vectors that runs through the model: what each token found
among the others (attention) and what it makes of it by itself (feed-forward). Models differ in the
mask they pass and in where layer norm stands: after each addition (Vaswani et al. 2017, section
3.1), or before each branch and once more at the end of the stack (Radford et al. 2019,
section 2.3).
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.gradient_checkpointing import checkpoint
from minibert.autograd.tensor import Tensor
from minibert.nn.attention import MultiHeadAttention
from minibert.nn.kv_cache import KeyValueCache
from minibert.nn.layers import Dropout, LayerNorm, Linear
from minibert.nn.module import Module
from minibert.nn.module import in_modes


class FeedForward(Module):
    """Each token by itself: (..., C) -> (..., intermediate) -> (..., C)."""

    __slots__ = ("expand", "output")

    def __init__(self, hidden_size: int, intermediate_size: int, activation: str):
        super().__init__()
        self.expand = Linear(hidden_size, intermediate_size, activation=activation)
        self.output = Linear(intermediate_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.expand(x))


class TransformerBlock(Module):
    """(B, T, C) -> (B, T, C). Dropout falls on the two branches, never on the stream itself."""

    __slots__ = ("attention", "attention_norm", "feed_forward", "feed_forward_norm", "dropout",
                 "norm_first")

    def __init__(self, hidden_size: int, num_heads: int, intermediate_size: int, activation: str,
                 norm_first: bool, dropout: float, attention_dropout: float, eps: float):
        super().__init__()
        self.attention = MultiHeadAttention(hidden_size, num_heads, attention_dropout)
        self.attention_norm = LayerNorm(hidden_size, eps)
        self.feed_forward = FeedForward(hidden_size, intermediate_size, activation)
        self.feed_forward_norm = LayerNorm(hidden_size, eps)
        self.dropout = Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x: Tensor, attn_mask: np.ndarray | None = None, is_causal: bool = False,
                rng: np.random.Generator | None = None, attentions: list | None = None,
                cache: KeyValueCache | None = None) -> Tensor:
        """The arguments are those of `MultiHeadAttention`."""
        if self.norm_first:
            x = x + self._attend(self.attention_norm(x), attn_mask, is_causal, rng, attentions,
                                 cache)
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)), rng)
        x = self.attention_norm(x + self._attend(x, attn_mask, is_causal, rng, attentions, cache))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x), rng))

    def _attend(self, x: Tensor, attn_mask, is_causal, rng, attentions, cache) -> Tensor:
        attended = self.attention(x, None, attn_mask, is_causal, rng, attentions, cache)
        return self.dropout(attended, rng)


class TransformerStack(Module):
    """Blocks on top of each other; where the norm comes first, a last one follows them.

    With `gradient_checkpointing` (an attribute that may be set at any time) a block's activations
    are not kept for backward but computed again there: less memory, more time, the same gradients.
    """

    __slots__ = ("blocks", "final_norm", "gradient_checkpointing")

    def __init__(self, num_layers: int, hidden_size: int, num_heads: int, intermediate_size: int,
                 activation: str, norm_first: bool, dropout: float, attention_dropout: float,
                 eps: float, gradient_checkpointing: bool = False):
        super().__init__()
        self.gradient_checkpointing = gradient_checkpointing
        self.blocks = [TransformerBlock(hidden_size, num_heads, intermediate_size, activation,
                                        norm_first, dropout, attention_dropout, eps)
                       for _ in range(num_layers)]
        self.final_norm = LayerNorm(hidden_size, eps) if norm_first else None

    def forward(self, x: Tensor, attn_mask: np.ndarray | None = None, is_causal: bool = False,
                rng: np.random.Generator | None = None, hidden_states: list | None = None,
                attentions: list | None = None, cache: KeyValueCache | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C).

        To a list given as `hidden_states` the stream is appended before the first block and after
        each one (the last time after the last norm); to `attentions` each block's weights. A
        `cache` stands for the tokens before x.
        """
        for block in self.blocks:
            if hidden_states is not None:
                hidden_states.append(x)
            if self.gradient_checkpointing and attentions is None and cache is None:
                x = self._checkpointed(block, x, attn_mask, is_causal, rng)
            else:
                x = block(x, attn_mask, is_causal, rng, attentions, cache)
        if self.final_norm is not None:
            x = self.final_norm(x)
        if hidden_states is not None:
            hidden_states.append(x)
        return x

    def _checkpointed(self, block: TransformerBlock, x: Tensor, attn_mask, is_causal, rng
                      ) -> Tensor:
        modes = [(module, module.training) for module in block.modules()]

        def run(x, rng):  # in backward, too, in the modes of the forward
            with in_modes(modes):
                return block(x, attn_mask, is_causal, rng)

        return checkpoint(run, x, list(block.parameters()), rng)
