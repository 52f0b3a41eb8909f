"""The models' outputs, under Hugging Face's names. A field that was not requested is None.

Letters: B batch, T tokens, H heads, C width, V vocabulary. `hidden_states` are one more than there
are layers, (B, T, C) each, the first is the input of the first block; `attentions` are one per
layer, (B, H, T, T).
"""

from __future__ import annotations

from dataclasses import dataclass

from minibert.autograd.tensor import Tensor


@dataclass
class BaseModelOutput:
    """last_hidden_state (B, T, C)."""

    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class BaseModelOutputWithPooling:
    """last_hidden_state (B, T, C), pooler_output (B, C)."""

    last_hidden_state: Tensor
    pooler_output: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class BertForPreTrainingOutput:
    """prediction_logits (B, T, V), seq_relationship_logits (B, 2)."""

    loss: Tensor | None
    prediction_logits: Tensor
    seq_relationship_logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class PreTrainingLosses:
    """The outputs of BertForPreTraining.pretraining_losses: sums, not means, of the losses.
    mlm_loss over the M masked positions, mlm_logits (M, V) (None where gradients are recorded: the
    logits' gradient overwrites them); nsp_loss, nsp_logits (B, 2) (None without labels)."""

    mlm_loss: Tensor
    mlm_logits: Tensor | None
    nsp_loss: Tensor | None = None
    nsp_logits: Tensor | None = None


@dataclass
class LossAndLogits:
    """logits (B, T, V) of a language model, (B, K) of a classifier with K classes, (B, T, K) of one
    for tokens, (B, choices) of a multiple choice."""

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class Seq2SeqModelOutput:
    """last_hidden_state (B, T, C) of the decoder, encoder_last_hidden_state (B, S, C);
    cross_attentions are one per layer of the decoder, (B, H, T, S)."""

    last_hidden_state: Tensor
    decoder_hidden_states: tuple[Tensor, ...] | None = None
    decoder_attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    encoder_last_hidden_state: Tensor | None = None
    encoder_hidden_states: tuple[Tensor, ...] | None = None
    encoder_attentions: tuple[Tensor, ...] | None = None


@dataclass
class Seq2SeqLMOutput:
    """logits (B, T, V) of the decoder's tokens; the others as in Seq2SeqModelOutput."""

    loss: Tensor | None
    logits: Tensor
    decoder_hidden_states: tuple[Tensor, ...] | None = None
    decoder_attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    encoder_last_hidden_state: Tensor | None = None
    encoder_hidden_states: tuple[Tensor, ...] | None = None
    encoder_attentions: tuple[Tensor, ...] | None = None


@dataclass
class QuestionAnsweringModelOutput:
    """start_logits, end_logits (B, T)."""

    loss: Tensor | None
    start_logits: Tensor
    end_logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
