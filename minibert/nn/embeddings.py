"""From token ids to the vectors that enter the first block.

Without positions a block cannot tell one order of its tokens from another, so all models add a
learned vector for each position.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.hooks import hook_point
from minibert.autograd.tensor import Tensor
from minibert.nn.block import AttentionInputs
from minibert.nn.layers import Dropout, Embedding, LayerNorm
from minibert.nn.module import Module


class Embeddings(Module):
    """Token + segment (which of two sentences) + position, then layer norm and dropout (Devlin et
    al. 2019, section 3).

    `vocab_size` 0: the tokens' vectors are always given; `type_vocab_size` 0: no segments; `eps`
    None: no layer norm (Radford et al. 2018, section 3.1). The row `padding_idx` of the word
    embeddings gets no gradient from a look-up, nor does the row `position_padding_idx`.
    """

    __slots__ = ("word_embeddings", "position_embeddings", "token_type_embeddings", "norm",
                 "dropout")

    def __init__(self, vocab_size: int, hidden_size: int, max_positions: int, dropout: float,
                 type_vocab_size: int = 0, eps: float | None = None,
                 padding_idx: int | None = None, position_padding_idx: int | None = None):
        super().__init__()
        self.word_embeddings = Embedding(vocab_size, hidden_size, padding_idx) \
            if vocab_size else None
        self.position_embeddings = Embedding(max_positions, hidden_size, position_padding_idx)
        self.token_type_embeddings = Embedding(type_vocab_size, hidden_size) \
            if type_vocab_size else None
        self.norm = None if eps is None else LayerNorm(hidden_size, eps)
        self.dropout = Dropout(dropout)

    def forward(self, input_ids: np.ndarray | None, inputs: AttentionInputs,
                inputs_embeds: Tensor | None = None, token_type_ids: np.ndarray | None = None
                ) -> Tensor:
        """Ids (B, T), inputs.position_ids (B or 1, T), token_type_ids (B or 1, T; not read without
        segments) -> (B, T, C). `inputs_embeds` (B, T, C) replace the word embeddings."""
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        positions = self.position_embeddings(inputs.position_ids)
        x = hook_point("hook_embed", words)
        if self.token_type_embeddings is not None:
            segments = self.token_type_embeddings(token_type_ids)
            x = x + hook_point("hook_token_type_embed", segments)
        x = x + hook_point("hook_pos_embed", positions)
        return self.dropout(x if self.norm is None else self.norm(x), inputs.rng)
