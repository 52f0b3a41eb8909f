"""BERT with one head: a pre-training task alone, or one of the four families of tasks.

The families are those of Devlin et al. 2019, figure 4: the class of a text or of a pair, the best
of several endings, the span of a text that answers a question, a tag for every token.
"""

from __future__ import annotations

import numpy as np

from minibert.autograd.hooks import hook_point
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.models.bert import BertModel, BertPretrainedModel
from minibert.models.config import BertConfig
from minibert.models.heads import ClassificationHead, MaskedLMHead
from minibert.models.losses import classification_loss, sequence_loss, span_loss, token_loss
from minibert.models.outputs import (BaseModelOutputWithPooling, LossAndLogits,
                                     QuestionAnsweringModelOutput)
from minibert.nn.layers import Dropout, Linear

Rng = np.random.Generator


class BertWithHead(BertPretrainedModel):
    """BERT and one head. A subclass defines the head's logits and their loss."""

    __slots__ = ("bert",)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                token_type_ids: np.ndarray | None = None, position_ids: np.ndarray | None = None,
                inputs_embeds: Tensor | None = None, labels: np.ndarray | None = None,
                output_hidden_states: bool = False, output_attentions: bool = False,
                rng: Rng | None = None) -> LossAndLogits:
        """The inputs of BertModel, and `labels` as the class describes them."""
        outputs = self.bert(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds,
                            output_hidden_states, output_attentions, rng)
        logits = hook_point("hook_logits", self.predict(outputs, rng))
        loss = None if labels is None else self.loss(logits, labels)
        return LossAndLogits(loss, logits, outputs.hidden_states, outputs.attentions)

    def predict(self, outputs: BaseModelOutputWithPooling, rng: Rng | None) -> Tensor:
        """The logits, from the encoder's outputs; `rng` is for dropout."""
        raise NotImplementedError

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        """The mean loss of the logits."""
        raise NotImplementedError


class BertForMaskedLM(BertWithHead):
    """BERT with the masked LM head, without a pooler. `labels` (B, T): the words at the masked
    positions, -100 elsewhere. logits (B, T, V)."""

    __slots__ = ("mlm_head",)

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__(config)
        self.bert = BertModel(config, None, add_pooling_layer=False)
        self.mlm_head = MaskedLMHead(config, self.bert.embeddings.word_embeddings.weight)
        self.initialize(rng)

    def predict(self, outputs: BaseModelOutputWithPooling, rng: Rng | None) -> Tensor:
        return self.mlm_head(outputs.last_hidden_state)

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        return token_loss(logits, labels)


class BertForNextSentencePrediction(BertWithHead):
    """BERT with the next-sentence head. `labels` (B,): 0 where the second sentence follows the
    first, else 1. logits (B, 2)."""

    __slots__ = ("nsp_head",)

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__(config)
        self.bert = BertModel(config, None)
        self.nsp_head = Linear(config.hidden_size, 2)
        self.initialize(rng)

    def predict(self, outputs: BaseModelOutputWithPooling, rng: Rng | None) -> Tensor:
        return self.nsp_head(outputs.pooler_output)

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        return classification_loss(logits, labels)


class BertWithClassifier(BertWithHead):
    """BERT, dropout and one linear layer with `scores` outputs for a text or, without the pooler,
    for each token. A `hidden_layer` (see ClassificationHead) replaces the pooler."""

    __slots__ = ("dropout", "classifier")

    def __init__(self, config: BertConfig, rng: Rng | int | None, scores: int,
                 add_pooling_layer: bool = True, hidden_layer: bool = False):
        super().__init__(config)
        self.bert = BertModel(config, None, add_pooling_layer and not hidden_layer)
        p = config.classifier_dropout
        self.dropout = Dropout(config.hidden_dropout_prob if p is None else p)
        self.classifier = ClassificationHead(config, scores) if hidden_layer \
            else Linear(config.hidden_size, scores)
        self.initialize(rng)

    def predict(self, outputs: BaseModelOutputWithPooling, rng: Rng | None) -> Tensor:
        if isinstance(self.classifier, ClassificationHead):
            return self.classifier(outputs.last_hidden_state, rng)
        pooled = outputs.pooler_output  # (B, C), or None
        states = outputs.last_hidden_state if pooled is None else pooled  # (B, T, C) or (B, C)
        return self.classifier(self.dropout(states, rng))


class BertForSequenceClassification(BertWithClassifier):
    """The class of a text or of a pair of texts, or a number if `num_labels` is 1. `labels`: (B,)
    classes; (B,) numbers for one label; (B, K) of 0.0 and 1.0 for several classes at once (see
    losses.problem_type). logits (B, K)."""

    __slots__ = ()
    has_labels = True

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__(config, rng, config.num_labels,
                         hidden_layer=config.classifier_act is not None)

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        return sequence_loss(self.config, logits, labels)


class BertForTokenClassification(BertWithClassifier):
    """A tag for every token. `labels` (B, T) with -100 where none is scored; logits (B, T, K)."""

    __slots__ = ()
    has_labels = True

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__(config, rng, config.num_labels, add_pooling_layer=False)

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        return token_loss(logits, labels)


class BertForMultipleChoice(BertWithClassifier):
    """The best of several endings: each is paired with the passage and gets one score; the loss is
    over the softmax of the scores of one question."""

    __slots__ = ()

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__(config, rng, 1, hidden_layer=not config.has_pooler)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                token_type_ids: np.ndarray | None = None, position_ids: np.ndarray | None = None,
                inputs_embeds: Tensor | None = None, labels: np.ndarray | None = None,
                output_hidden_states: bool = False, output_attentions: bool = False,
                rng: Rng | None = None) -> LossAndLogits:
        """All (B, choices, T), or inputs_embeds (B, choices, T, C); `labels` (B,): the number of
        the right choice. logits (B, choices); the encoder's states are of B * choices texts."""
        given = input_ids if input_ids is not None else inputs_embeds
        choices = None if given is None else _choices(given, 3 if given is input_ids else 4)
        output = super().forward(_flat(input_ids), _flat(attention_mask), _flat(token_type_ids),
                                 _flat(position_ids), _flat(inputs_embeds), None,
                                 output_hidden_states, output_attentions, rng)
        output.logits = output.logits.reshape(-1, choices)  # (B * choices, 1) -> (B, choices)
        if labels is not None:
            output.loss = self.loss(output.logits, labels)
        return output

    def loss(self, logits: Tensor, labels: np.ndarray) -> Tensor:
        return classification_loss(logits, labels)

    @property
    def dummy_inputs(self) -> dict[str, np.ndarray]:
        """One choice of one token."""
        return {"input_ids": np.zeros((1, 1, 1), np.int64)}


class BertForQuestionAnswering(BertPretrainedModel):
    """The span of a passage that answers a question: each token is scored as its start and as its
    end. The passage comes second, after the question."""

    __slots__ = ("bert", "dropout", "qa_outputs")

    def __init__(self, config: BertConfig, rng: Rng | int | None = 0):
        super().__init__(config)
        if config.num_labels != 2:
            raise InputError("BertForQuestionAnswering gives two scores to a token, start and end, "
                             f"but num_labels = {config.num_labels}: set it to 2")
        self.bert = BertModel(config, None, add_pooling_layer=False)
        self.dropout = Dropout(config.qa_dropout)
        self.qa_outputs = Linear(config.hidden_size, 2)
        self.initialize(rng)

    def forward(self, input_ids: np.ndarray | None = None, attention_mask: np.ndarray | None = None,
                token_type_ids: np.ndarray | None = None, position_ids: np.ndarray | None = None,
                inputs_embeds: Tensor | None = None, start_positions: np.ndarray | None = None,
                end_positions: np.ndarray | None = None, output_hidden_states: bool = False,
                output_attentions: bool = False, rng: Rng | None = None
                ) -> QuestionAnsweringModelOutput:
        """`start_positions` and `end_positions` (B,): the first and the last token of the answer;
        those from T on are ignored, since the answer is not in this window."""
        outputs = self.bert(input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds,
                            output_hidden_states, output_attentions, rng)
        states = self.dropout(outputs.last_hidden_state, rng)
        logits = hook_point("hook_logits", self.qa_outputs(states))  # (B, T, 2)
        start_logits, end_logits = logits[..., 0], logits[..., 1]
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(start_logits, end_logits, start_positions, end_positions)
        return QuestionAnsweringModelOutput(loss, start_logits, end_logits, outputs.hidden_states,
                                            outputs.attentions)


def _choices(array: np.ndarray | Tensor, axes: int) -> int:
    """The number of choices of each question: (B, choices, ...)."""
    shape = np.shape(array.data if isinstance(array, Tensor) else array)
    if len(shape) != axes or 0 in shape:
        raise InputError(f"BertForMultipleChoice: got shape {shape}: expected (batch, choices, "
                         "tokens), and the width after them for embeddings")
    return shape[1]


def _flat(array: np.ndarray | Tensor | None) -> np.ndarray | Tensor | None:
    """(B, choices, ...) -> (B * choices, ...): the choices of a question follow one another."""
    if array is None:
        return None
    array = array if isinstance(array, Tensor) else np.asarray(array)
    return array.reshape(-1, *array.shape[2:])
