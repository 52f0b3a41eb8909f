"""Multi-head attention: every token looks up what it needs among the others.

Each head asks with a query, finds by a key and takes away a value; softmax(q k^T / sqrt(D)) v is
computed in `functional.scaled_dot_product_attention` (Vaswani et al. 2017, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd import reference
from minibert.autograd.ops import split
from minibert.autograd.tensor import Tensor, is_recorded
from minibert.errors import InputError
from minibert.nn.kv_cache import KeyValueCache
from minibert.nn.layers import Linear
from minibert.nn.module import Module


class MultiHeadAttention(Module):
    """(B, T, C) -> (B, T, C) with H heads of width D = C / H.

    One linear layer computes queries, keys and values: the rows of its weight (3C, C) are those of
    the queries, then those of the keys, then those of the values.
    """

    __slots__ = ("qkv", "output", "num_heads", "dropout")

    def __init__(self, hidden_size: int, num_heads: int, dropout: float = 0.0):
        super().__init__()
        if hidden_size % num_heads:
            raise InputError(f"attention: a width of {hidden_size} cannot be split into "
                             f"{num_heads} heads: choose a multiple")
        self.qkv = Linear(hidden_size, 3 * hidden_size)
        self.output = Linear(hidden_size, hidden_size)
        self.num_heads = num_heads
        self.dropout = dropout

    def forward(self, x: Tensor, context: Tensor | None = None, attn_mask: np.ndarray | None = None,
                is_causal: bool = False, rng: np.random.Generator | None = None,
                attentions: list | None = None, cache: KeyValueCache | None = None) -> Tensor:
        """Queries come from `x`, keys and values from `context` (B, S, C), or from `x` as well.

        `attn_mask` is boolean and broadcasts to (B, H, T, S); `is_causal` hides later positions.
        The weights (B, H, T, S) are appended to `attentions`, if there is such a list. With a
        `cache` the S keys are those of earlier calls and of x.
        """
        p = self.dropout if self.training else 0.0
        if context is None and attentions is None and cache is None:
            return self.output(F.multi_head_attention(self.qkv(x), self.num_heads, attn_mask, p,
                                                      is_causal, rng))
        query, key, value = self._queries_keys_values(x, context, cache)
        if attentions is not None:
            attentions.append(reference.attention_weights(query, key, attn_mask, is_causal))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask, p, is_causal, rng=rng)
        return self.output(reference.merge_heads(mixed))

    def _queries_keys_values(self, x: Tensor, context: Tensor | None, cache: KeyValueCache | None
                             ) -> Sequence[Tensor]:
        """(B, H, T, D) and twice (B, H, S, D)"""
        if cache is not None:
            return self._after_the_past(x, context, cache)
        if context is None:
            return reference.split_heads(self.qkv(x), self.num_heads)
        C = x.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        parts = [F.linear(x, weight[:C], bias[:C]),
                 *split(F.linear(context, weight[C:], bias[C:]), 2, axis=-1)]
        return [self._heads(part) for part in parts]

    def _after_the_past(self, x: Tensor, context: Tensor | None, cache: KeyValueCache
                        ) -> Sequence[Tensor]:
        if context is not None:
            raise InputError("attention: a cache is for a text that sees itself, not a context")
        C = x.shape[-1]
        qkv = self.qkv(x)
        if is_recorded(qkv):
            raise InputError("attention: a cache holds no gradients: call the model within "
                             "minibert.no_grad()")
        kept = Tensor(cache.update(self, qkv.data[..., C:]))  # (B, S, 2C)
        return [self._heads(part) for part in (qkv[..., :C], kept[..., :C], kept[..., C:])]

    def _heads(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        H = self.num_heads
        return x.reshape(B, T, H, C // H).transpose(0, 2, 1, 3)  # (B, H, T, D)
