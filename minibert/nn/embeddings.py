"""From token ids to the vectors that enter the first block.

Without positions a block cannot tell one order of its tokens from another, so all models add a
learned vector for each position. BERT adds one more for the segment (which of two sentences);
DistilBERT, which reads by BERT's embeddings, has no segments.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.hooks import hook_point
from minibert.autograd.tensor import Tensor
from minibert.nn.block import AttentionInputs
from minibert.nn.layers import Dropout, Embedding, LayerNorm
from minibert.nn.module import Module


POSITION_OFFSET = 2  # rows of BART's table of positions before position 0


class BertEmbeddings(Module):
    """Token + segment + position, then layer norm and dropout (Devlin et al. 2019, section 3).

    Without segments `type_vocab_size` is 0. The row `padding_idx` of the word embeddings gets no
    gradient from a look-up, nor does the row `position_padding_idx` of the positions.
    """

    __slots__ = ("word_embeddings", "position_embeddings", "token_type_embeddings", "norm",
                 "dropout")

    def __init__(self, vocab_size: int, hidden_size: int, max_positions: int, type_vocab_size: int,
                 eps: float, dropout: float, padding_idx: int | None = None,
                 position_padding_idx: int | None = None):
        super().__init__()
        self.word_embeddings = Embedding(vocab_size, hidden_size, padding_idx)
        self.position_embeddings = Embedding(max_positions, hidden_size, position_padding_idx)
        self.token_type_embeddings = Embedding(type_vocab_size, hidden_size) \
            if type_vocab_size else None
        self.norm = LayerNorm(hidden_size, eps)
        self.dropout = Dropout(dropout)

    def forward(self, input_ids: np.ndarray | None, token_type_ids: np.ndarray,
                inputs: AttentionInputs, inputs_embeds: Tensor | None = None) -> Tensor:
        """Ids (B, T), token_type_ids (B or 1, T; not read without segments), inputs.position_ids
        (B or 1, T) -> (B, T, C).

        `inputs_embeds` (B, T, C) replace the word embeddings of `input_ids`.
        """
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        positions = self.position_embeddings(inputs.position_ids)
        x = hook_point("hook_embed", words)
        if self.token_type_embeddings is not None:
            segments = self.token_type_embeddings(token_type_ids)
            x = x + hook_point("hook_token_type_embed", segments)
        x = x + hook_point("hook_pos_embed", positions)
        return self.dropout(self.norm(x), inputs.rng)


class GPT2Embeddings(Module):
    """Token + position, then dropout (Radford et al. 2018, section 3.1)."""

    __slots__ = ("word_embeddings", "position_embeddings", "dropout")

    def __init__(self, vocab_size: int, hidden_size: int, max_positions: int, dropout: float):
        super().__init__()
        self.word_embeddings = Embedding(vocab_size, hidden_size)
        self.position_embeddings = Embedding(max_positions, hidden_size)
        self.dropout = Dropout(dropout)

    def forward(self, input_ids: np.ndarray | None, inputs: AttentionInputs,
                inputs_embeds: Tensor | None = None) -> Tensor:
        """Ids (B, T), inputs.position_ids (B or 1, T) -> (B, T, C); see BertEmbeddings."""
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        positions = self.position_embeddings(inputs.position_ids)
        x = hook_point("hook_embed", words) + hook_point("hook_pos_embed", positions)
        return self.dropout(x, inputs.rng)


class BartEmbeddings(Module):
    """Token + position, then layer norm and dropout: of BART's encoder, or of its decoder. The
    word embeddings are those of both, so they are looked up outside."""

    __slots__ = ("position_embeddings", "norm", "dropout")

    def __init__(self, hidden_size: int, max_positions: int, eps: float, dropout: float):
        super().__init__()
        self.position_embeddings = Embedding(max_positions + POSITION_OFFSET, hidden_size)
        self.norm = LayerNorm(hidden_size, eps)
        self.dropout = Dropout(dropout)

    def forward(self, words: Tensor, inputs: AttentionInputs) -> Tensor:
        """Word embeddings (B, T, C), inputs.position_ids (B or 1, T) -> (B, T, C)."""
        positions = self.position_embeddings(inputs.position_ids + POSITION_OFFSET)
        x = hook_point("hook_embed", words) + hook_point("hook_pos_embed", positions)
        return self.dropout(self.norm(x), inputs.rng)
