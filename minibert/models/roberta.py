"""RoBERTa: BERT's model with other data, positions and heads (Liu et al. 2019, section 4).

The classes are BERT's; the config says what differs. Positions count from pad_token_id + 1, along
the tokens that are no padding; there is one segment; a text is classified through a hidden layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from minibert.errors import InputError
from minibert.models.bert import BertModel
from minibert.models.bert_tasks import (BertForMaskedLM, BertForMultipleChoice,
                                        BertForQuestionAnswering, BertForSequenceClassification,
                                        BertForTokenClassification)
from minibert.models.config import BertConfig
from minibert.models.config_fields import row, size, token_id
from minibert.validate import checked


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
