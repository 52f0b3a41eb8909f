"""BERT: reads a text with both sides of every word in view (Devlin et al. 2018).

It is trained to fill gaps (masked LM) and to tell whether a second sentence follows the first (next
sentence prediction: label 0 means that it does, as in the original).
"""

from __future__ import annotations

import numpy as np

from minibert.autograd import functional as F
from minibert.autograd.tensor import Tensor
from minibert.models.config import BertConfig
from minibert.models.heads import MaskedLMHead, Pooler
from minibert.models.losses import token_loss
from minibert.models.outputs import (BaseModelOutputWithPooling, BertForPreTrainingOutput,
                                     LossAndLogits)
from minibert.models.pretrained_model import PretrainedModel, attended, checked_ids, collected
from minibert.nn.block import TransformerStack
from minibert.nn.embeddings import BertEmbeddings
from minibert.nn.layers import Linear

Rng = np.random.Generator


class BertPretrainedModel(PretrainedModel):
    """What BERT's classes share."""

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
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config.vocab_size, config.hidden_size,
                                         config.max_position_embeddings, config.type_vocab_size,
                                         config.layer_norm_eps, config.hidden_dropout_prob)
        self.stack = TransformerStack(config.num_hidden_layers, config.hidden_size,
                                      config.num_attention_heads, config.intermediate_size,
                                      config.hidden_act, config.norm_first,
                                      config.hidden_dropout_prob,
                                      config.attention_probs_dropout_prob, config.layer_norm_eps)
        self.pooler = Pooler(config.hidden_size) if add_pooling_layer else None
        if rng is not None:
            self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                token_type_ids: np.ndarray | None = None, position_ids: np.ndarray | None = None,
                inputs_embeds: Tensor | None = None, output_hidden_states: bool = False,
                output_attentions: bool = False, rng: Rng | None = None
                ) -> BaseModelOutputWithPooling:
        """All (B, T): ids, mask (1 = token, 0 = padding), segments (0 or 1); or inputs_embeds
        (B, T, C) for the ids. In training mode with dropout an `rng` is needed.
        """
        input_ids, inputs_embeds, (B, T) = self._batch_shape(input_ids, inputs_embeds)
        position_ids = self._positions(position_ids, (B, T))
        if token_type_ids is None:
            token_type_ids = np.zeros((1, T), np.int64)
        else:
            token_type_ids = checked_ids("token_type_ids", token_type_ids,
                                         self.config.type_vocab_size, (B, T))
        hidden_states = [] if output_hidden_states else None
        attentions = [] if output_attentions else None
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds, rng)
        x = self.stack(x, attended(attention_mask, (B, T)), rng=rng, hidden_states=hidden_states,
                       attentions=attentions)  # (B, T, C)
        pooled = None if self.pooler is None else self.pooler(x)
        return BaseModelOutputWithPooling(x, pooled, collected(hidden_states),
                                          collected(attentions))


class BertForPreTraining(BertPretrainedModel):
    """Both tasks at once, as BERT was trained."""

    __slots__ = ("bert", "mlm_head", "nsp_head")

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__()
        self.config = config
        self.bert = BertModel(config, None)
        self.mlm_head = masked_lm_head(self.bert)
        self.nsp_head = Linear(config.hidden_size, 2)
        if rng is not None:
            self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                token_type_ids: np.ndarray | None = None, position_ids: np.ndarray | None = None,
                inputs_embeds: Tensor | None = None, labels: np.ndarray | None = None,
                next_sentence_label: np.ndarray | None = None, output_hidden_states: bool = False,
                output_attentions: bool = False, rng: Rng | None = None
                ) -> BertForPreTrainingOutput:
        """`labels` (B, T) are the words at the gaps and -100 elsewhere, `next_sentence_label` (B,)
        is 0 where the second sentence follows the first; the loss is the sum of what is given."""
        outputs = self.bert(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds,
                            output_hidden_states, output_attentions, rng)
        word_logits = self.mlm_head(outputs.last_hidden_state)
        pair_logits = self.nsp_head(outputs.pooler_output)
        losses = []
        if labels is not None:
            losses.append(token_loss(word_logits, labels))
        if next_sentence_label is not None:
            losses.append(next_sentence_loss(pair_logits, next_sentence_label))
        loss = sum(losses[1:], losses[0]) if losses else None
        return BertForPreTrainingOutput(loss, word_logits, pair_logits, outputs.hidden_states,
                                        outputs.attentions)

    def pretraining_losses(self, input_ids: np.ndarray, attention_mask: np.ndarray | None,
                           token_type_ids: np.ndarray | None, masked_positions: np.ndarray,
                           masked_labels: np.ndarray, next_sentence_label: np.ndarray | None,
                           rng: Rng | None = None
                           ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """What training computes: the big product with the vocabulary at the scored tokens only.

        `masked_positions` (M,) count through the batch, row * T + column; `masked_labels` (M,) are
        the words there. -> (sum of the masked-LM losses, their logits (M, V), sum of the
        next-sentence losses, their logits (B, 2)). The word logits are None when gradients are
        recorded, since their gradient overwrites them; the last two are None without labels.
        """
        with self.scope():
            outputs = self.bert(input_ids, attention_mask, token_type_ids, rng=rng)
            x = self._at(outputs.last_hidden_state, masked_positions, masked_labels)  # (M, C)
            word_loss, word_logits = self._masked_lm_loss(x, masked_labels)
            if next_sentence_label is None:
                return word_loss, word_logits, None, None
            pair_logits = self.nsp_head(outputs.pooler_output)  # (B, 2)
            pair_loss = next_sentence_loss(pair_logits, next_sentence_label, "sum")
            return word_loss, word_logits, pair_loss, pair_logits

    def _at(self, x: Tensor, masked_positions: np.ndarray, masked_labels: np.ndarray) -> Tensor:
        """The vectors (M, C) of x (B, T, C) at the positions."""
        B, T, C = x.shape
        positions = np.asarray(masked_positions, np.int64)
        if positions.size:  # a batch may have no gap at all
            checked_ids("masked_positions", positions, B * T, (positions.size,))
            checked_ids("masked_labels", masked_labels, self.config.vocab_size, positions.shape)
        return x.reshape(B * T, C)[positions]

    def _masked_lm_loss(self, x: Tensor, labels: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """The sum of the losses at x (M, C), and the logits (M, V) if they are not used up."""
        head = self.mlm_head
        with head.scope():
            x = head.transform(x)
            if x.requires_grad:
                return F.linear_cross_entropy(x, head.decoder, head.bias, labels,
                                              reduction="sum"), None
            logits = F.linear(x, head.decoder, head.bias)  # (M, V)
            return F.cross_entropy(logits, labels, reduction="sum"), logits


class BertWithHead(BertPretrainedModel):
    """BERT and one head on it. A subclass says what the head predicts and what that costs."""

    __slots__ = ("bert",)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                token_type_ids: np.ndarray | None = None, position_ids: np.ndarray | None = None,
                inputs_embeds: Tensor | None = None, labels: np.ndarray | None = None,
                output_hidden_states: bool = False, output_attentions: bool = False,
                rng: Rng | None = None) -> LossAndLogits:
        """The inputs of BertModel, and `labels` as the class describes them."""
        outputs = self.bert(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds,
                            output_hidden_states, output_attentions, rng)
        logits = self.predict(outputs, rng)
        loss = None if labels is None else self.loss(logits, labels)
        return LossAndLogits(loss, logits, outputs.hidden_states, outputs.attentions)

    def predict(self, outputs: BaseModelOutputWithPooling, rng: Rng | None) -> Tensor:
        """The logits, from what the encoder gives; `rng` is for dropout."""
        raise NotImplementedError

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        """The mean loss of the logits."""
        raise NotImplementedError


class BertForMaskedLM(BertWithHead):
    """Fills gaps; it has no pooler. `labels` (B, T): the words at the gaps, -100 elsewhere. logits
    (B, T, V)."""

    __slots__ = ("mlm_head",)

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__()
        self.config = config
        self.bert = BertModel(config, None, add_pooling_layer=False)
        self.mlm_head = masked_lm_head(self.bert)
        if rng is not None:
            self.initialize(rng)

    def predict(self, outputs: BaseModelOutputWithPooling, rng: Rng | None) -> Tensor:
        return self.mlm_head(outputs.last_hidden_state)

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        return token_loss(logits, labels)


class BertForNextSentencePrediction(BertWithHead):
    """Tells whether the second sentence follows the first (`labels` (B,): 0) or not (1). logits
    (B, 2)."""

    __slots__ = ("nsp_head",)

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__()
        self.config = config
        self.bert = BertModel(config, None)
        self.nsp_head = Linear(config.hidden_size, 2)
        if rng is not None:
            self.initialize(rng)

    def predict(self, outputs: BaseModelOutputWithPooling, rng: Rng | None) -> Tensor:
        return self.nsp_head(outputs.pooler_output)

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        return next_sentence_loss(logits, labels)


def masked_lm_head(bert: BertModel) -> MaskedLMHead:
    """The head for `bert`, tied to its word embeddings if the config says so."""
    config = bert.config
    words = bert.embeddings.word_embeddings.weight if config.tie_word_embeddings else None
    return MaskedLMHead(config.hidden_size, config.vocab_size, config.hidden_act,
                        config.layer_norm_eps, words)


def next_sentence_loss(logits: Tensor, labels: np.ndarray, reduction: str = "mean") -> Tensor:
    """logits (B, 2), labels (B,), one for every pair: none is ignored."""
    labels = checked_ids("next-sentence labels", labels, 2, (len(logits),))
    return F.cross_entropy(logits, labels, reduction=reduction)
