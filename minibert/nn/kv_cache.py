"""The keys and values that attention has computed so far, kept while a text is generated.

Keys and values of a causal model never change once they are computed: no later token has an
influence on them. So only the new token is computed at each step of decoding.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.attention_masks import causal_mask
from minibert.autograd.tensor import Tensor, is_recorded
from minibert.errors import InputError
from minibert.nn.module import Module


class KeyValueCache:
    """The keys and values of B rows of tokens, for every attention that they passed.

    Memory for `capacity` tokens in each row is allocated at once. Row b holds `lengths[b]` tokens,
    each at the index that is its position: padding is not kept, and a query attends to the indices
    up to its own. The cache is filled in place; nothing in it has a gradient. A forward is
    begin(tokens), update(...) by each attention, commit().

    `of_encoder`: {attention: (the encoder's output, the keys and values (B, S, 2 K D) that it
    computed from this very tensor)}; no token of the decoder changes them.
    """

    __slots__ = ("lengths", "capacity", "of_encoder", "_kept", "_new", "_new_lengths")

    def __init__(self, rows: int, capacity: int):
        self.lengths = np.zeros(rows, np.int64)
        self.capacity = capacity
        self._kept: dict[Module, np.ndarray] = {}  # (B, capacity, 2 K D) of each attention
        self.of_encoder: dict[Module, tuple[Tensor, Tensor]] = {}
        self._new = None  # (rows, columns, positions) of the new tokens
        self._new_lengths = self.lengths

    def begin(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Begin a forward over new tokens (B, T), True for one and False for padding, which may
        stand on either side. They count from `commit` on: a forward that fails changes nothing.

        -> (their positions (B, T), 0 for padding; the attention mask (B, 1, T, S), None where all
        may attend to all). Errors: other rows, more tokens than there is room for.
        """
        if len(tokens) != len(self.lengths):
            raise InputError(f"cache: got {len(tokens)} rows of tokens for a cache of "
                             f"{len(self.lengths)}: make a cache of that many rows")
        lengths = self.lengths + tokens.sum(axis=1)
        if lengths.max(initial=0) > self.capacity:
            raise InputError(f"cache: {lengths.max()} tokens are more than the {self.capacity} "
                             "that there is room for: make a cache with more room")
        positions = np.where(tokens, self.lengths[:, None] + tokens.cumsum(axis=1) - 1, 0)
        rows, columns = tokens.nonzero()
        self._new = rows, columns, positions[rows, columns]
        self._new_lengths = lengths
        allowed = causal_mask(positions, np.arange(lengths.max(initial=0)))  # (B, T, S)
        return positions, None if allowed.all() else allowed[:, None]

    def update(self, attention: Module, key_value: Tensor) -> Tensor:
        """Keep the keys and values (B, T, 2 K D) of the new tokens that `attention` computed;
        -> those of all tokens so far (B, S, 2 K D), a view. Errors: a recorded tensor."""
        if is_recorded(key_value):
            raise InputError("attention: a cache holds no gradients: call the model within "
                             "minibert.no_grad()")
        new = key_value.data
        if attention not in self._kept:
            self._kept[attention] = np.zeros((len(new), self.capacity, new.shape[2]), new.dtype)
        kept, (rows, columns, positions) = self._kept[attention], self._new
        kept[rows, positions] = new[rows, columns]
        return Tensor(kept[:, :self._new_lengths.max()])

    def commit(self) -> None:
        """End a forward: the new tokens belong to the text now."""
        self.lengths = self._new_lengths

    def reorder(self, rows: np.ndarray) -> None:
        """Replace row b by row rows[b] (B,). Only rows that change are copied. Of an encoder's
        output nothing is: rows change places within one prompt, or the caller passes another."""
        rows = np.asarray(rows)
        if rows.shape != self.lengths.shape or rows.dtype.kind not in "iu":
            raise InputError(f"cache: reorder expects a row's number for each of the "
                             f"{len(self.lengths)} rows, got {rows.dtype} of shape {rows.shape}")
        changed = np.flatnonzero(rows != np.arange(len(rows)))
        held = self.lengths.max()
        for kept in self._kept.values():
            kept[changed, :held] = kept[rows[changed], :held]
        self.lengths = self.lengths[rows]
