"""RoBERTa and DistilBERT. The classes are BERT's; the config says what differs.

RoBERTa (Liu et al. 2019, section 4) has other data, positions and heads: positions count from
pad_token_id + 1, along the tokens that are no padding; there is one segment; a text is classified
through a hidden layer. DistilBERT (Sanh et al. 2019, section 3) has half of BERT's layers, neither
segments nor a pooler; its heads for a text have a hidden layer; no dropout follows attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar

from minibert.errors import InputError
from minibert.models.bert import BertModel
from minibert.models.bert_tasks import (BertForMaskedLM, BertForMultipleChoice,
                                        BertForQuestionAnswering, BertForSequenceClassification,
                                        BertForTokenClassification)
from minibert.models.config import BertConfig, ModelConfig
from minibert.models.config_fields import (CONTEXT, DROPOUT, HEADS, INITIALIZER_RANGE, LAYERS,
                                           WIDTH, activation, fraction, row, size, spread, token_id)
from minibert.nn.block import BlockConfig
from minibert.validate import checked, flag

# ---- RoBERTa -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RobertaConfig(BertConfig):
    """Hugging Face's RobertaConfig. Of `max_position_embeddings` the first pad_token_id + 1 are no
    positions of tokens. Errors: InputError where no position is left."""

    vocab_size: int = checked(size, 50265)
    pad_token_id: int = checked(row, 1)
    bos_token_id: int | None = checked(token_id, 0, optional=True)
    eos_token_id: int | None = checked(token_id, 2, optional=True)

    family: ClassVar = "roberta"
    classifier_act: ClassVar = "tanh"
    mlm_act: ClassVar = "gelu"  # whatever hidden_act is

    def __post_init__(self):
        super().__post_init__()
        if self.context_length < 1:
            raise InputError(f"RobertaConfig: max_position_embeddings = "
                             f"{self.max_position_embeddings} leaves no position after "
                             f"pad_token_id = {self.pad_token_id}: positions count from there")

    @property
    def first_position(self) -> int:
        """The row of the position embeddings for the first token."""
        return self.pad_token_id + 1


class RobertaModel(BertModel):
    """The bare model: see BertModel."""

    __slots__ = ()
    config_class = RobertaConfig


class RobertaForMaskedLM(BertForMaskedLM):
    """RoBERTa with the masked LM head: see BertForMaskedLM."""

    __slots__ = ()
    config_class = RobertaConfig


class RobertaForSequenceClassification(BertForSequenceClassification):
    """The class of a text or pair, or a number: see BertForSequenceClassification."""

    __slots__ = ()
    config_class = RobertaConfig


class RobertaForTokenClassification(BertForTokenClassification):
    """A tag for every token: see BertForTokenClassification."""

    __slots__ = ()
    config_class = RobertaConfig


class RobertaForMultipleChoice(BertForMultipleChoice):
    """The best of several endings: see BertForMultipleChoice."""

    __slots__ = ()
    config_class = RobertaConfig


class RobertaForQuestionAnswering(BertForQuestionAnswering):
    """The span that answers a question: see BertForQuestionAnswering."""

    __slots__ = ()
    config_class = RobertaConfig


# ---- DistilBERT ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class DistilBertConfig(ModelConfig):
    """Hugging Face's DistilBertConfig."""

    vocab_size: int = checked(size, 30522)
    max_position_embeddings: int = checked(size, 512, option=CONTEXT)
    n_layers: int = checked(size, 6, option=LAYERS)
    n_heads: int = checked(size, 12, option=HEADS)
    dim: int = checked(size, 768, option=WIDTH)
    hidden_dim: int = checked(size, 3072)
    dropout: float = checked(fraction, 0.1, option=DROPOUT)
    attention_dropout: float = checked(fraction, 0.1, option=DROPOUT)
    activation: str = checked(activation, "gelu")
    initializer_range: float = checked(spread, 0.02, option=INITIALIZER_RANGE)
    qa_dropout: float = checked(fraction, 0.1)
    seq_classif_dropout: float = checked(fraction, 0.2)
    pad_token_id: int | None = checked(token_id, 0, optional=True)
    tie_word_embeddings: bool = checked(flag, True)

    family: ClassVar = "distilbert"
    type_vocab_size: ClassVar = 0
    layer_norm_eps: ClassVar = 1e-12
    has_pooler: ClassVar = False
    classifier_act: ClassVar = "relu"
    classifier_dropout: ClassVar = None  # of a tag: `dropout`
    position_initializer_range: ClassVar = None

    # BERT's names for the same values.
    hidden_size = property(attrgetter("dim"))
    num_hidden_layers = property(attrgetter("n_layers"))
    num_attention_heads = property(attrgetter("n_heads"))
    intermediate_size = property(attrgetter("hidden_dim"))
    hidden_dropout_prob = property(attrgetter("dropout"))
    mlm_act = property(attrgetter("activation"))
    head_dropout = property(attrgetter("seq_classif_dropout"))

    @property
    def block_config(self) -> BlockConfig:
        """The config of each block."""
        return BlockConfig(hidden_size=self.dim, num_heads=self.n_heads,
                           intermediate_size=self.hidden_dim, activation=self.activation,
                           dropout=self.dropout, attention_dropout=self.attention_dropout,
                           attention_output_dropout=False, layer_norm_eps=self.layer_norm_eps)


class DistilBertModel(BertModel):
    """The bare model: see BertModel. There is no pooler_output."""

    __slots__ = ()
    config_class = DistilBertConfig


class DistilBertForMaskedLM(BertForMaskedLM):
    """DistilBERT with the masked LM head: see BertForMaskedLM."""

    __slots__ = ()
    config_class = DistilBertConfig


class DistilBertForSequenceClassification(BertForSequenceClassification):
    """The class of a text or pair, or a number: see BertForSequenceClassification."""

    __slots__ = ()
    config_class = DistilBertConfig


class DistilBertForTokenClassification(BertForTokenClassification):
    """A tag for every token: see BertForTokenClassification."""

    __slots__ = ()
    config_class = DistilBertConfig


class DistilBertForMultipleChoice(BertForMultipleChoice):
    """The best of several endings: see BertForMultipleChoice."""

    __slots__ = ()
    config_class = DistilBertConfig


class DistilBertForQuestionAnswering(BertForQuestionAnswering):
    """The span that answers a question: see BertForQuestionAnswering."""

    __slots__ = ()
    config_class = DistilBertConfig
