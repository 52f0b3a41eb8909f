"""Continuing a text, or answering one: greedily, by sampling, or by beam search."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.generation.beam_search import FinishedTexts, beam_search
from minibert.generation.config import (GenerationConfig, StoredOptions, read_stored_options,
                                        write_stored_options)
from minibert.generation.decoding import (DecoderAfterEncoder, GrowingTexts, checked_mask,
                                          mask_of_padding)
from minibert.generation.sampling import (draw, keep_top_k, keep_top_p, only_token,
                                          with_repetition_penalty, with_temperature,
                                          without_tokens)
from minibert.nn.module import evaluating
from minibert.validate import checked_ids, whole_number


class GenerationMixin:
    """The part of a model that predicts the next token: `generate`, and its options in the model's
    folder."""

    __slots__ = ()
    generation_config: StoredOptions | None  # a slot of the model's class

    def generate(self, input_ids: np.ndarray, attention_mask: np.ndarray | None = None, *,
                 rng: np.random.Generator | int = 0, streamer=None, **options) -> np.ndarray:
        """Continue each row of `input_ids` (B, T): -> ids (B * num_return_sequences, T + new).

        An encoder-decoder reads them with its encoder; what is continued is the decoder's start
        token: -> ids (B * num_return_sequences, 1 + new). Its padding may stand on the right, too.

        `options` are those of GenerationConfig; they replace those of the model's folder
        (`generation_config`). `attention_mask` (B, T) is 0 at the padding of short prompts, on the
        left; without it a padding token that ends no text is taken as padding. A row ends with an
        end token, or after `max_new_tokens`; what follows in a longer array is `pad_token_id`.
        `rng`, a generator or a seed, draws the samples: the same seed gives the same text.
        `streamer` has put(ids) and end(), as TextStreamer has. Errors: an empty prompt, options out
        of range, padding that cannot be distinguished from end tokens, more tokens than the model
        has positions (unless `sliding_window`), logits that are not finite.
        """
        stored, config = self.generation_config, self.config
        chosen = GenerationConfig(**options) if stored is None else stored.with_options(options)
        chosen = replace(chosen, **{
            name: getattr(config, name, None)
            for name in ("eos_token_id", "pad_token_id", "forced_eos_token_id")
            if getattr(chosen, name) is None})
        _check_vocabulary(config.vocab_size, chosen)
        ends, pad = np.array(chosen.eos_token_id or (), np.int64), chosen.pad_token_id
        if pad is None:
            pad = ends[0] if len(ends) else -1
        ids = checked_ids("input_ids", input_ids, config.vocab_size)
        ids = ids.astype(np.int64)  # uint64 and the int64 of new tokens would make float64
        mask = mask_of_padding(ids, pad, ends) if attention_mask is None else attention_mask
        has_encoder = getattr(config, "is_encoder_decoder", False)
        mask = checked_mask(mask, ids.shape, not has_encoder)
        copies = chosen.num_beams if chosen.num_beams > 1 else chosen.num_return_sequences
        with evaluating(self), no_grad():
            model = self
            if has_encoder:
                model = DecoderAfterEncoder(self, ids, mask, copies)
                ids = np.full((len(ids), 1), config.decoder_start_token_id)
                mask = np.ones_like(ids, bool)
            new_tokens = chosen.new_tokens(ids.shape[1])
            longest, positions = int(mask.sum(axis=1).max()), config.max_position_embeddings
            if longest + new_tokens > positions and not chosen.sliding_window:
                raise InputError(f"generate: {longest} tokens and {new_tokens} new ones are more "
                                 f"than the model's {positions} positions: ask for fewer, or for "
                                 "sliding_window")
            texts = GrowingTexts(model, ids.repeat(copies, axis=0), mask.repeat(copies, axis=0),
                                 new_tokens)
            if chosen.num_beams > 1:
                if streamer is not None:
                    raise InputError("streamer: beam search has its text only at the end: leave "
                                     "one of them out")
                finished = beam_search(texts, chosen, new_tokens, ends)
                return _as_array(ids, finished, chosen.num_return_sequences, pad)
            return _one_by_one(texts, chosen, new_tokens, ends, pad, np.random.default_rng(rng),
                               streamer)

    def read_settings(self, folder: Path, values: dict) -> None:
        """See PretrainedModel: here generation_config.json."""
        self.generation_config = read_stored_options(folder, values)

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write config.json and model.safetensors, and generation_config.json for a model that was
        opened with such options."""
        super().save_pretrained(folder)
        write_stored_options(folder, self.generation_config)


def _one_by_one(texts: GrowingTexts, config: GenerationConfig, new_tokens: int, ends: np.ndarray,
                pad: int, rng: np.random.Generator, streamer) -> np.ndarray:
    """Add one token per row at a time: the likeliest, or one drawn after temperature, top-k and
    top-p, in this order -> ids (B, T + new)."""
    ended = np.zeros(len(texts.ids), bool)
    if streamer is not None:
        streamer.put(texts.ids)
    for step in range(1, new_tokens + 1):
        logits = texts.next_logits()
        logits = with_repetition_penalty(logits, texts.ids, config.repetition_penalty, texts.mask)
        logits = without_tokens(logits, config.suppress_tokens)
        logits = only_token(logits, config.forced_token(texts.ids.shape[1], step == new_tokens))
        if config.do_sample:
            logits = keep_top_k(with_temperature(logits, config.temperature), config.top_k)
            new = draw(keep_top_p(logits, config.top_p), rng)
        else:
            new = logits.argmax(axis=-1)
        new = np.where(ended, pad, new)
        texts.append(new)
        if streamer is not None:
            streamer.put(new)
        ended |= np.isin(new, ends)
        if ended.all():
            break
    if streamer is not None:
        streamer.end()
    return texts.ids


def _as_array(prompts: np.ndarray, finished: list[FinishedTexts], count: int, pad: int
              ) -> np.ndarray:
    """The best `count` texts of each prompt as rows, padded on the right."""
    fewest = min([len(found.texts) for found in finished])
    if fewest < count:
        raise InputError(f"num_return_sequences = {count}: there are only {fewest} different texts "
                         "of this length")
    texts = [tokens for found in finished for _, tokens in found.texts[:count]]
    output = np.full((len(texts), max(map(len, texts))), pad)
    for row, tokens in zip(output, texts):
        row[:len(tokens)] = tokens
    return np.concatenate([prompts.repeat(count, axis=0), output], axis=1)


def _check_vocabulary(vocab_size: int, config: GenerationConfig) -> None:
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        if getattr(config, name) is not None:
            whole_number(name, getattr(config, name), 0, vocab_size - 1)
    for token in config.suppress_tokens:
        whole_number("suppress_tokens", token, 0, vocab_size - 1)
    if len(set(config.suppress_tokens)) == vocab_size:
        raise InputError(f"suppress_tokens: all {vocab_size} tokens are ruled out: leave some")
