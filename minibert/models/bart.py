"""BART: an encoder and a decoder of the same block (Lewis et al. 2020, section 2).

The encoder attends to both sides of every token, as BERT's blocks do. The decoder is causal, as
GPT-2's blocks are, and has a third branch: cross-attention to the encoder's output.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.generation.generate import GenerationMixin
from minibert.models.config import BartConfig
from minibert.models.losses import token_loss
from minibert.models.outputs import BaseModelOutput, Seq2SeqLMOutput, Seq2SeqModelOutput
from minibert.models.pretrained_model import PretrainedModel, as_tuple, make_padding_mask
from minibert.nn.block import AttentionInputs, BlockConfig, TransformerStack
from minibert.nn.embeddings import Embeddings
from minibert.nn.kv_cache import KeyValueCache
from minibert.nn.layers import Embedding
from minibert.nn.module import Module, new_parameter
from minibert.validate import checked_ids

Rng = np.random.Generator
POSITION_OFFSET = 2  # rows of the table of positions before position 0


def shift_tokens_right(ids: np.ndarray, pad_token_id: int, decoder_start_token_id: int
                       ) -> np.ndarray:
    """The decoder's inputs (B, T) for the targets `ids` (B, T): the start token, then each target
    but the last; padding where a target is not scored (-100)."""
    ids = np.asarray(ids)
    start = np.full_like(ids[:, :1], decoder_start_token_id)
    shifted = np.concatenate([start, ids[:, :-1]], axis=1)
    return np.where(shifted == F.IGNORE_INDEX, pad_token_id, shifted)


class BartPretrainedModel(PretrainedModel):
    """The base of BART's classes: how their weights are drawn."""

    __slots__ = ()
    config_class = BartConfig

    def draw(self, name: str, shape: tuple[int, ...], rng: Rng) -> np.ndarray:
        """Normal with standard deviation `init_std`, as in Hugging Face (positions may have their
        own); the bias of the logits, which is not trained, begins at zero."""
        if name == "final_logits_bias":
            return np.zeros(shape, np.float32)
        spread, own = self.config.init_std, self.config.position_initializer_range
        if own is not None and name.endswith("position_embeddings.weight"):
            spread = own
        return rng.standard_normal(shape, np.float32) * np.float32(spread)


class BartStack(Module):
    """The encoder, or the decoder: position embeddings and blocks."""

    __slots__ = ("embeddings", "stack")

    def __init__(self, config: BartConfig, layers: int, block_config: BlockConfig):
        super().__init__()
        positions = config.max_position_embeddings + POSITION_OFFSET
        self.embeddings = Embeddings(0, config.d_model, positions, config.dropout,
                                     eps=block_config.layer_norm_eps)
        self.stack = TransformerStack(layers, block_config)

    def forward(self, words: Tensor, inputs: AttentionInputs,
                hidden_states: list[Tensor] | None = None) -> Tensor:
        """Word embeddings (B, T, C) -> (B, T, C)."""
        rows = replace(inputs, position_ids=inputs.position_ids + POSITION_OFFSET)
        return self.stack(self.embeddings(None, rows, words), inputs, hidden_states)


class BartModel(BartPretrainedModel):
    """The bare model: one table of word embeddings, the encoder, the decoder."""

    __slots__ = ("word_embeddings", "encoder", "decoder")

    def __init__(self, config: BartConfig, rng: Rng | int | None = 0):
        """`rng` None leaves the weights at zero, to be loaded."""
        super().__init__(config)
        self.word_embeddings = Embedding(config.vocab_size, config.d_model, config.pad_token_id)
        self.encoder = BartStack(config, config.encoder_layers, config.block_config)
        self.decoder = BartStack(config, config.decoder_layers, config.decoder_block_config)
        self.initialize(rng)

    def encode(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
               inputs_embeds: Tensor | None = None, position_ids: np.ndarray | None = None,
               output_hidden_states: bool = False, output_attentions: bool = False,
               rng: Rng | None = None) -> BaseModelOutput:
        """The encoder's output: all (B, S), or inputs_embeds (B, S, C) for the ids."""
        input_ids, inputs_embeds, shape = self._batch_shape(input_ids, inputs_embeds)
        inputs = AttentionInputs(attn_mask=make_padding_mask(attention_mask, shape),
                                 position_ids=self._positions(position_ids, shape), rng=rng,
                                 attentions=[] if output_attentions else None)
        hidden_states = [] if output_hidden_states else None
        x = self.encoder(self._words(input_ids, inputs_embeds), inputs, hidden_states)
        return BaseModelOutput(x, as_tuple(hidden_states), as_tuple(inputs.attentions))

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                decoder_input_ids: np.ndarray | None = None,
                decoder_attention_mask: np.ndarray | None = None,
                encoder_outputs: BaseModelOutput | None = None,
                past_key_values: KeyValueCache | None = None, inputs_embeds: Tensor | None = None,
                decoder_inputs_embeds: Tensor | None = None, output_hidden_states: bool = False,
                output_attentions: bool = False, position_ids: np.ndarray | None = None,
                decoder_position_ids: np.ndarray | None = None, rng: Rng | None = None
                ) -> Seq2SeqModelOutput:
        """The encoder's ids and mask (B, S), or its output (`encoder_outputs`, with the mask); the
        decoder's ids and mask (B, T), by default the encoder's ids shifted to the right.

        Positions are columns unless they are given, which Hugging Face does not offer. With
        `past_key_values` the decoder's are the tokens after those in the cache (see GPT2Model).
        Errors: InputError for shapes that differ, for ids that the model does not have, and in
        training mode for an activation_dropout.
        """
        config = self.config
        if self.training and config.activation_dropout:
            raise InputError(f"BartModel: activation_dropout = {config.activation_dropout} cannot "
                             "be trained with: from_pretrained(folder, activation_dropout=0.0)")
        if encoder_outputs is None:
            encoder_outputs = self.encode(input_ids, attention_mask, inputs_embeds, position_ids,
                                          output_hidden_states, output_attentions, rng)
        elif input_ids is not None or inputs_embeds is not None:
            raise InputError("BartModel: pass either encoder_outputs or the encoder's inputs")
        source = encoder_outputs.last_hidden_state  # (B, S, C)
        if decoder_input_ids is None and decoder_inputs_embeds is None and input_ids is not None:
            decoder_input_ids = shift_tokens_right(input_ids, config.pad_token_id,
                                                   config.decoder_start_token_id)
        decoder_input_ids, decoder_inputs_embeds, shape = self._batch_shape(
            decoder_input_ids, decoder_inputs_embeds, "decoder_")
        if shape[0] != source.shape[0]:
            raise InputError(f"BartModel: {shape[0]} rows of decoder_input_ids for "
                             f"{source.shape[0]} of the encoder: one for each is expected")
        mask, position_ids = self._begin(past_key_values, decoder_attention_mask,
                                         decoder_position_ids, shape, "decoder_")
        inputs = AttentionInputs(
            attn_mask=mask, is_causal=past_key_values is None, position_ids=position_ids, rng=rng,
            cache=past_key_values, attentions=[] if output_attentions else None,
            encoder_hidden_states=source, cross_attentions=[] if output_attentions else None,
            encoder_attn_mask=make_padding_mask(attention_mask, source.shape[:2]))
        hidden_states = [] if output_hidden_states else None
        x = self.decoder(self._words(decoder_input_ids, decoder_inputs_embeds), inputs,
                         hidden_states)
        if past_key_values is not None:
            past_key_values.commit()
        return Seq2SeqModelOutput(x, as_tuple(hidden_states), as_tuple(inputs.attentions),
                                  as_tuple(inputs.cross_attentions), source,
                                  encoder_outputs.hidden_states, encoder_outputs.attentions)

    def _words(self, ids: np.ndarray | None, embeddings: Tensor | None) -> Tensor:
        """Word embeddings (B, T, C) of the ids, times sqrt(C) with `scale_embedding` (Vaswani et
        al. 2017, section 3.4); or those that were given, as they are."""
        if embeddings is not None:
            return embeddings
        words = self.word_embeddings(ids)
        return words * math.sqrt(self.config.d_model) if self.config.scale_embedding else words


class BartForConditionalGeneration(GenerationMixin, BartPretrainedModel):
    """BART with a language model's head on its decoder: the word embedding itself, and a bias that
    is not trained."""

    __slots__ = ("model", "final_logits_bias", "generation_config")

    def __init__(self, config: BartConfig, rng: Rng | int | None = 0):
        super().__init__(config)
        self.generation_config = None
        self.model = BartModel(config, None)
        self.final_logits_bias = new_parameter(1, config.vocab_size)
        self.final_logits_bias.requires_grad = False
        self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                decoder_input_ids: np.ndarray | None = None,
                decoder_attention_mask: np.ndarray | None = None,
                encoder_outputs: BaseModelOutput | None = None,
                past_key_values: KeyValueCache | None = None, inputs_embeds: Tensor | None = None,
                decoder_inputs_embeds: Tensor | None = None, labels: np.ndarray | None = None,
                output_hidden_states: bool = False, output_attentions: bool = False,
                position_ids: np.ndarray | None = None,
                decoder_position_ids: np.ndarray | None = None, rng: Rng | None = None,
                logits_to_keep: int = 0) -> Seq2SeqLMOutput:
        """logits (B, T, V), or those of the last `logits_to_keep` tokens. `labels` (B, T) are the
        targets themselves, -100 where none is scored; the decoder's inputs are these, shifted to
        the right, unless they are given. A training step calls target_loss instead."""
        if labels is not None and decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids = self._shifted(labels)
        outputs = self.model(input_ids, attention_mask, decoder_input_ids, decoder_attention_mask,
                             encoder_outputs, past_key_values, inputs_embeds,
                             decoder_inputs_embeds, output_hidden_states, output_attentions,
                             position_ids, decoder_position_ids, rng)
        x = outputs.last_hidden_state
        logits = F.linear(x[:, -logits_to_keep:] if logits_to_keep else x, *self._head())
        loss = None if labels is None else token_loss(logits, labels)
        return Seq2SeqLMOutput(loss, logits, outputs.decoder_hidden_states,
                               outputs.decoder_attentions, outputs.cross_attentions,
                               outputs.encoder_last_hidden_state, outputs.encoder_hidden_states,
                               outputs.encoder_attentions)

    def target_loss(self, input_ids: np.ndarray, attention_mask: np.ndarray | None,
                    targets: np.ndarray, rng: Rng | None = None) -> Tensor:
        """The forward of a training step: the sum of the losses at `targets` (B, T), -100 is
        ignored. The loss is fused with the head; loss and gradients equal those of `forward`."""
        with self.scope():
            decoder_input_ids = self._shifted(targets)
            x = self.model(input_ids, attention_mask, decoder_input_ids, rng=rng).last_hidden_state
            return F.linear_cross_entropy(x, *self._head(), np.asarray(targets), reduction="sum")

    def _head(self) -> tuple[Tensor, Tensor]:
        """Weight (V, C) and bias (V,) of the logits."""
        return self.model.word_embeddings.weight, self.final_logits_bias.reshape(-1)

    def _shifted(self, labels: np.ndarray) -> np.ndarray:
        labels = checked_ids("labels", labels, self.config.vocab_size, ignored=F.IGNORE_INDEX)
        return shift_tokens_right(labels, self.config.pad_token_id,
                                  self.config.decoder_start_token_id)
