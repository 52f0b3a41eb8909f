"""Decoding state: token ids, padding mask and key/value cache; checks of prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.kv_cache import KeyValueCache


class DecoderAfterEncoder:
    """The decoder of an encoder-decoder and its encoder's output, which was computed once. Called
    as a GPT2LMHeadModel is."""

    def __init__(self, model, input_ids: np.ndarray, mask: np.ndarray, copies: int):
        """input_ids, mask (B, S): of the encoder, whose output each of `copies` rows of the decoder
        reads."""
        self.model, self.config = model, model.config
        longest, most = int(mask.sum(axis=1).max()), model.config.max_position_embeddings
        if longest > most:
            raise InputError(f"generate: {longest} tokens are more than the {most} positions of "
                             "the encoder: shorten the text")
        places = np.maximum(mask.cumsum(axis=1) - 1, 0)  # padding is not counted
        encoded = model.model.encode(input_ids, mask, position_ids=places)
        states = Tensor(encoded.last_hidden_state.data.repeat(copies, axis=0))
        self.encoder_outputs = replace(encoded, last_hidden_state=states)  # (B copies, S, C)
        self.mask = mask.repeat(copies, axis=0)

    def __call__(self, input_ids: np.ndarray, attention_mask: np.ndarray,
                 position_ids: np.ndarray | None = None,
                 past_key_values: KeyValueCache | None = None, logits_to_keep: int = 0):
        return self.model(attention_mask=self.mask, decoder_input_ids=input_ids,
                          decoder_attention_mask=attention_mask,
                          decoder_position_ids=position_ids, encoder_outputs=self.encoder_outputs,
                          past_key_values=past_key_values, logits_to_keep=logits_to_keep)


class GrowingTexts:
    """B rows of tokens, the short ones padded on the left, with room for `new_tokens` more.

    `model` is called as a GPT2LMHeadModel is. As long as its positions suffice, each token is
    computed once and its keys and values are cached. After that the window over the last tokens is
    computed anew at each step, since the position of each of them has changed.
    """

    def __init__(self, model, ids: np.ndarray, mask: np.ndarray, new_tokens: int):
        """`ids` and `mask` (B, T): the mask is False at the padding."""
        self.model = model
        self.positions = model.config.max_position_embeddings
        self.ids, self.mask = ids, mask
        self._read = 0  # columns that the model has read, and the cache holds
        room = min(self.positions, int(mask.sum(axis=1).max()) + new_tokens)
        self._cache = KeyValueCache(len(ids), room)

    def next_logits(self) -> np.ndarray:
        """(B, V): the logits of the token that follows each row. Errors: they are not finite."""
        if self.mask.sum(axis=1).max() <= self.positions:
            new = slice(self._read, None)
            outputs = self.model(self.ids[:, new], attention_mask=self.mask[:, new],
                                 past_key_values=self._cache, logits_to_keep=1)
            self._read = self.ids.shape[1]
        else:
            self._cache = None
            mask = self.mask[:, -self.positions:]
            position_ids = np.maximum(mask.cumsum(axis=1) - 1, 0)
            outputs = self.model(self.ids[:, -self.positions:], attention_mask=mask,
                                 position_ids=position_ids, logits_to_keep=1)
        return checked_logits("generate", outputs.logits.data[:, -1])

    def append(self, tokens: np.ndarray) -> None:
        """One more token (B,) for each row."""
        self.ids = np.concatenate([self.ids, tokens[:, None]], axis=1)
        self.mask = np.concatenate([self.mask, np.ones((len(tokens), 1), bool)], axis=1)

    def reorder(self, rows: np.ndarray) -> None:
        """Row b goes on as what row rows[b] (B,) was."""
        self.ids, self.mask = self.ids[rows], self.mask[rows]
        if self._cache is not None:
            self._cache.reorder(rows)


def mask_of_padding(ids: np.ndarray, pad: int, ends: np.ndarray) -> np.ndarray:
    """The attention mask (B, T) of a batch that came without one: False at the token `pad` (-1:
    none). Where `pad` ends texts as well (`ends`), it may be a part of a text: then all tokens
    count, as in Hugging Face. Errors: rows that begin or end with different numbers of such tokens,
    which are most likely padding."""
    is_pad = ids == pad
    if pad not in ends:
        return ~is_pad
    for side, columns in (("begin", is_pad), ("end", is_pad[:, ::-1])):
        counts = np.logical_and.accumulate(columns, axis=1).sum(axis=1)
        if counts.min() != counts.max():
            raise InputError(f"generate: the rows {side} with {counts.min()} to {counts.max()} "
                             f"tokens {pad}, which may be padding or the end of a text: pass the "
                             "attention_mask")
    return np.ones(ids.shape, bool)


def checked_logits(name: str, logits: np.ndarray) -> np.ndarray:
    """`logits`, which must be finite. Errors: InputError that begins with `name`."""
    if not np.isfinite(logits).all():
        raise InputError(f"{name}: the model's logits are NaN or infinite: its weights are damaged "
                         "or too large")
    return logits


def checked_mask(attention_mask: np.ndarray, shape: tuple[int, int], goes_on: bool) -> np.ndarray:
    """The mask (B, T) of ids of `shape`, True at tokens. Errors: InputError for another shape, rows
    of padding alone, and, where the text itself `goes_on`, rows that end in padding."""
    mask = np.asarray(attention_mask)
    if mask.shape != shape or not np.isin(mask, (0, 1)).all():
        raise InputError(f"attention_mask: got shape {mask.shape} for ids of shape {shape}: "
                         "expected ones (tokens) and zeros (padding) in the shape of the ids")
    mask = mask.astype(bool)
    if not mask.any(axis=1).all():
        raise InputError(f"attention_mask: row {mask.any(axis=1).argmin()} is padding alone: leave "
                         "it out")
    if goes_on and not mask[:, -1].all():
        raise InputError(f"attention_mask: row {mask[:, -1].argmin()} ends in padding, where the "
                         "text is to go on: pad on the left (tokenizer.padding_side = 'left')")
    return mask
