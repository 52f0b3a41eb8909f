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
    logits' gradient overwrites them); nsp_loss, nsp_logits (B, 2) (None without labels).
    """

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
class QuestionAnsweringModelOutput:
    """start_logits, end_logits (B, T)."""

    loss: Tensor | None
    start_logits: Tensor
    end_logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
