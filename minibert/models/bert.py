"""BERT: attention to both sides of every token (Devlin et al. 2019), and its pre-training.

It is pre-trained to predict masked words (masked LM) and whether a second sentence follows the
first (next-sentence prediction: label 0 means that it does, as in the original). Its other heads
are in bert_tasks.py.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.hooks import hook_point
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.models.config import BertConfig
from minibert.models.heads import MaskedLMHead, Pooler
from minibert.models.losses import classification_loss, token_loss
from minibert.models.outputs import (BaseModelOutputWithPooling, BertForPreTrainingOutput,
                                     PreTrainingLosses)
from minibert.models.pretrained_model import PretrainedModel, as_tuple, make_padding_mask
from minibert.nn.block import AttentionInputs, TransformerStack
from minibert.nn.embeddings import Embeddings
from minibert.nn.layers import Linear
from minibert.validate import checked_ids

Rng = np.random.Generator


def token_positions(input_ids: np.ndarray, pad_token_id: int) -> np.ndarray:
    """RoBERTa's position ids (B, T): tokens count from pad_token_id + 1; padding does not count,
    and has pad_token_id (fairseq's make_positions)."""
    is_token = np.asarray(input_ids) != pad_token_id
    return np.cumsum(is_token, axis=1) * is_token + pad_token_id


class BertPretrainedModel(PretrainedModel):
    """The base of BERT's classes: how their weights are drawn."""

    __slots__ = ()
    config_class = BertConfig

    def draw(self, name: str, shape: tuple[int, ...], rng: Rng) -> np.ndarray:
        """Normal with standard deviation `initializer_range`, redrawn beyond two of them: the
        truncated normal of Google's modeling.py. (Hugging Face draws without truncation.) The
        positions may have a range of their own: see the config."""
        values = rng.standard_normal(shape, np.float32)
        while (far := np.abs(values) > 2).any():
            values[far] = rng.standard_normal(int(far.sum()), np.float32)
        spread, own = self.config.initializer_range, self.config.position_initializer_range
        if own is not None and name.endswith("position_embeddings.weight"):
            spread = own
        return values * np.float32(spread)


class BertModel(BertPretrainedModel):
    """The bare model: embeddings, blocks, and a pooler for the first token."""

    __slots__ = ("embeddings", "stack", "pooler")

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0,
                 add_pooling_layer: bool = True):
        """`rng` None leaves the weights at zero, to be loaded."""
        super().__init__(config)
        self.embeddings = Embeddings(
            config.vocab_size, config.hidden_size, config.max_position_embeddings,
            config.hidden_dropout_prob, config.type_vocab_size, config.layer_norm_eps,
            padding_idx=config.pad_token_id,
            position_padding_idx=config.pad_token_id if config.first_position else None)
        self.stack = TransformerStack(config.num_hidden_layers, config.block_config)
        has_pooler = add_pooling_layer and config.has_pooler
        self.pooler = Pooler(config.hidden_size) if has_pooler else None
        self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                token_type_ids: np.ndarray | None = None, position_ids: np.ndarray | None = None,
                inputs_embeds: Tensor | None = None, output_hidden_states: bool = False,
                output_attentions: bool = False, rng: Rng | None = None
                ) -> BaseModelOutputWithPooling:
        """All (B, T): ids, mask (1 = token, 0 = padding), segments (0 or 1), positions; or
        inputs_embeds (B, T, C) for the ids -> last_hidden_state (B, T, C), pooler_output (B, C). In
        training mode with dropout an `rng` is needed. Errors: InputError for shapes that differ,
        and for ids and segments that the model does not have.
        """
        input_ids, inputs_embeds, (B, T) = self._batch_shape(input_ids, inputs_embeds)
        if token_type_ids is None:
            token_type_ids = np.zeros((1, T), np.int64)
        elif not self.config.type_vocab_size:
            raise InputError(f"{type(self).__name__}: a model of type {self.config.model_type} has "
                             "no segments: leave token_type_ids out")
        else:
            token_type_ids = checked_ids("token_type_ids", token_type_ids,
                                         self.config.type_vocab_size, (B, T))
        if position_ids is None and input_ids is not None and self.config.first_position:
            position_ids = token_positions(input_ids, self.config.pad_token_id)
            self._check_length(int(position_ids.max()) + 1 - self.config.first_position)
        inputs = AttentionInputs(attn_mask=make_padding_mask(attention_mask, (B, T)),
                                 position_ids=self._positions(position_ids, (B, T)), rng=rng,
                                 attentions=[] if output_attentions else None)
        hidden_states = [] if output_hidden_states else None
        x = self.embeddings(input_ids, inputs, inputs_embeds, token_type_ids)  # (B, T, C)
        x = self.stack(x, inputs, hidden_states)
        pooled = None if self.pooler is None else self.pooler(x)  # (B, C)
        return BaseModelOutputWithPooling(x, pooled, as_tuple(hidden_states),
                                          as_tuple(inputs.attentions))


class BertForPreTraining(BertPretrainedModel):
    """BERT with both pre-training heads."""

    __slots__ = ("bert", "mlm_head", "nsp_head")

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__(config)
        self.bert = BertModel(config, None)
        self.mlm_head = MaskedLMHead(config, self.bert.embeddings.word_embeddings.weight)
        self.nsp_head = Linear(config.hidden_size, 2)
        self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                token_type_ids: np.ndarray | None = None, position_ids: np.ndarray | None = None,
                inputs_embeds: Tensor | None = None, labels: np.ndarray | None = None,
                next_sentence_label: np.ndarray | None = None, output_hidden_states: bool = False,
                output_attentions: bool = False, rng: Rng | None = None
                ) -> BertForPreTrainingOutput:
        """`labels` (B, T) are the words at the masked positions and -100 elsewhere,
        `next_sentence_label` (B,) is 0 where the second sentence follows the first; the loss is the
        sum of the means of what is given. A training step calls pretraining_losses instead."""
        outputs = self.bert(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds,
                            output_hidden_states, output_attentions, rng)
        mlm_logits = self.mlm_head(outputs.last_hidden_state)  # (B, T, V)
        mlm_logits = hook_point("hook_logits", mlm_logits)
        nsp_logits = hook_point("nsp_head.hook_logits", self.nsp_head(outputs.pooler_output))
        losses = []
        if labels is not None:
            losses.append(token_loss(mlm_logits, labels))
        if next_sentence_label is not None:
            losses.append(classification_loss(nsp_logits, next_sentence_label,
                                              name="next_sentence_label"))
        loss = sum(losses[1:], losses[0]) if losses else None
        return BertForPreTrainingOutput(loss, mlm_logits, nsp_logits, outputs.hidden_states,
                                        outputs.attentions)

    def pretraining_losses(self, input_ids: np.ndarray, attention_mask: np.ndarray | None,
                           token_type_ids: np.ndarray | None, masked_positions: np.ndarray,
                           masked_labels: np.ndarray, next_sentence_label: np.ndarray | None,
                           rng: Rng | None = None) -> PreTrainingLosses:
        """The forward of a training step: the product with the vocabulary at the masked positions
        only. It returns sums; divided by their counts they have the values and gradients of
        `forward`'s means.

        `masked_positions` (M,) count through the batch, row * T + column; `masked_labels` (M,) are
        the words there.
        """
        with self.scope():
            outputs = self.bert(input_ids, attention_mask, token_type_ids, rng=rng)
            B, T, C = outputs.last_hidden_state.shape
            positions = np.asarray(masked_positions, np.int64)
            if positions.size:  # a batch may have none at all
                checked_ids("masked_positions", positions, B * T, (positions.size,))
                checked_ids("masked_labels", masked_labels, self.config.vocab_size, positions.shape)
            x = outputs.last_hidden_state.reshape(B * T, C)[positions]  # (M, C)
            head, mlm_logits = self.mlm_head, None
            with head.scope():
                x = head.transform(x)
                if x.requires_grad:  # in training there are no logits: see PreTrainingLosses
                    mlm_loss = F.linear_cross_entropy(x, head.decoder, head.bias, masked_labels,
                                                      reduction="sum")
                else:
                    mlm_logits = F.linear(x, head.decoder, head.bias)  # (M, V)
                    mlm_loss = F.cross_entropy(mlm_logits, masked_labels, reduction="sum")
            if next_sentence_label is None:
                return PreTrainingLosses(mlm_loss, mlm_logits)
            nsp_logits = self.nsp_head(outputs.pooler_output)  # (B, 2)
            nsp_loss = classification_loss(nsp_logits, next_sentence_label, None, "sum",
                                           "next_sentence_label")
            return PreTrainingLosses(mlm_loss, mlm_logits, nsp_loss, nsp_logits)
