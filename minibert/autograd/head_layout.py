"""The layout of attention's heads: how many there are, and where they lie in a vector.

A linear layer computes queries, keys and values of all heads side by side: (B, T, (H + 2 K) D) with
H query heads, K key heads and K value heads of width D. Both functions here take tensors and arrays
alike; of arrays they return views where NumPy can make one.
"""

from __future__ import annotations

from dataclasses import dataclass

from minibert.errors import InputError


@dataclass(frozen=True)
class HeadLayout:
    """H query heads, K key/value heads, head width D; each key/value head serves H / K query heads
    side by side (Ainslie et al. 2023, "GQA", section 2.2; K = H in the models of this package).
    Errors: H is no multiple of K."""

    num_heads: int
    num_key_value_heads: int
    head_dim: int

    def __post_init__(self):
        H, K = self.num_heads, self.num_key_value_heads
        if K < 1 or H % K:
            raise InputError(f"attention: {H} query heads cannot share {K} key/value heads: choose "
                             f"a divisor of {H}")

    @property
    def query_width(self) -> int:
        """H D: the width of all queries, and of attention's output."""
        return self.num_heads * self.head_dim

    @property
    def key_value_width(self) -> int:
        """2 K D: the width of all keys and values."""
        return 2 * self.num_key_value_heads * self.head_dim

    def split(self, query, key_value=None):
        """(query (B, H, T, D), key (B, K, S, D), value (B, K, S, D)) of the linear layer's output:
        `query` (B, T, H D) and `key_value` (B, S, 2 K D), or all in one, (B, T, (H + 2 K) D)."""
        H, K = self.num_heads, self.num_key_value_heads
        if key_value is None:
            heads = split_heads(query, self.head_dim)  # (B, H + 2 K, T, D)
            return heads[:, :H], heads[:, H:H + K], heads[:, H + K:]
        heads = split_heads(key_value, self.head_dim)  # (B, 2 K, S, D)
        return split_heads(query, self.head_dim), heads[:, :K], heads[:, K:]


def split_heads(x, head_dim: int):
    """(B, T, N D) -> (B, N, T, D)"""
    B, T, width = x.shape
    return x.reshape(B, T, width // head_dim, head_dim).transpose(0, 2, 1, 3)


def merge_heads(heads):
    """(B, N, T, D) -> (B, T, N D), the heads side by side."""
    B, N, T, D = heads.shape
    return heads.transpose(0, 2, 1, 3).reshape(B, T, N * D)
