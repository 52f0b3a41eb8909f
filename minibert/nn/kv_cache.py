"""What attention has computed of the tokens so far, so that a new token asks only for itself.

Keys and values of a causal model never change once they are computed: later tokens do not influence
earlier ones. So they are kept, and a text grows at the cost of one token a step.
"""

from __future__ import annotations

import numpy as np

from minibert.errors import InputError
from minibert.nn.module import Module


class KeyValueCache:
    """The keys and values of B rows of tokens, for every attention that they passed.

    Room for `capacity` tokens in each row is taken at once, so that nothing is ever moved. Row b
    holds `lengths[b]` tokens, each at the place that is its position: padding is not kept, and a
    query sees the places up to its own. The cache is filled in place; nothing in it has a gradient.
    """

    __slots__ = ("lengths", "capacity", "_kept", "_new", "_grown")

    def __init__(self, rows: int, capacity: int):
        self.lengths = np.zeros(rows, np.int64)
        self.capacity = capacity
        self._kept: dict[Module, np.ndarray] = {}  # (B, capacity, 2C) of each attention
        self._new = None  # where the tokens of this call come from, and where they go
        self._grown = self.lengths  # what the lengths will be when they are all in

    def begin(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Make room for new tokens (B, T), True for one and False for padding, which may stand on
        either side; they count from `commit` on, so that a call which fails leaves no trace.
        -> (their positions (B, T), 0 for padding; who may attend to whom (B, 1, T, S), None where
        all may to all). Errors: other rows, more tokens than there is room for.
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
        self._grown = lengths
        seen = np.arange(lengths.max(initial=0)) <= positions[:, None, :, None]
        return positions, None if seen.all() else seen

    def update(self, attention: Module, keys_values: np.ndarray) -> np.ndarray:
        """Keep the keys and values (B, T, 2C) that `attention` computed of the tokens admitted
        last; -> those of all tokens so far (B, S, 2C), a view."""
        if attention not in self._kept:
            B, _, width = keys_values.shape
            self._kept[attention] = np.zeros((B, self.capacity, width), keys_values.dtype)
        kept, (rows, columns, places) = self._kept[attention], self._new
        kept[rows, places] = keys_values[rows, columns]
        return kept[:, :self._grown.max()]

    def commit(self) -> None:
        """All attentions have what was admitted last: it belongs to the text now."""
        self.lengths = self._grown

    def reorder(self, rows: np.ndarray) -> None:
        """Row b goes on with what row rows[b] (B,) has held. Only rows that change are copied."""
        rows = np.asarray(rows)
        if rows.shape != self.lengths.shape or rows.dtype.kind not in "iu":
            raise InputError(f"cache: reorder expects a row's number for each of the "
                             f"{len(self.lengths)} rows, got {rows.dtype} of shape {rows.shape}")
        changed = np.flatnonzero(rows != np.arange(len(rows)))
        held = self.lengths.max()
        for kept in self._kept.values():
            kept[changed, :held] = kept[rows[changed], :held]
        self.lengths = self.lengths[rows]
