"""The registry of architectures: for each model_type its config, and its classes by purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minibert.errors import InputError
from minibert.models.bart import BartForConditionalGeneration, BartModel
from minibert.models.bert import BertForPreTraining, BertModel
from minibert.models.bert_tasks import (BertForMaskedLM, BertForMultipleChoice,
                                        BertForNextSentencePrediction, BertForQuestionAnswering,
                                        BertForSequenceClassification, BertForTokenClassification)
from minibert.models.bert_variants import (DistilBertConfig, DistilBertForMaskedLM,
                                           DistilBertForMultipleChoice,
                                           DistilBertForQuestionAnswering,
                                           DistilBertForSequenceClassification,
                                           DistilBertForTokenClassification, DistilBertModel,
                                           RobertaConfig, RobertaForMaskedLM,
                                           RobertaForMultipleChoice, RobertaForQuestionAnswering,
                                           RobertaForSequenceClassification,
                                           RobertaForTokenClassification, RobertaModel)
from minibert.models.config import BartConfig, BertConfig, GPT2Config, ModelConfig
from minibert.models.gpt import GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model
from minibert.models.pretrained_model import PretrainedModel


@dataclass(frozen=True)
class Architecture:
    """A family of models: its name on the command line, its config, its classes."""

    name: str  # as in `pretrain bert`
    config_class: type[ModelConfig]
    bare: type[PretrainedModel]
    pretraining: type[PretrainedModel]
    other_pretraining: tuple[type[PretrainedModel], ...]  # with a part of its heads
    heads: Mapping[str, type[PretrainedModel]]  # by the task of fine-tuning
    left_to_right: bool = False  # a token sees only those before it


def _heads(text: type[PretrainedModel], choice: type[PretrainedModel], tag: type[PretrainedModel],
           answer: type[PretrainedModel]) -> dict[str, type[PretrainedModel]]:
    return {"classify": text, "pair": text, "choice": choice, "tag": tag, "answer": answer}


BERT = Architecture("bert", BertConfig, BertModel, BertForPreTraining,
                    (BertForMaskedLM, BertForNextSentencePrediction),
                    _heads(BertForSequenceClassification, BertForMultipleChoice,
                           BertForTokenClassification, BertForQuestionAnswering))
GPT = Architecture("gpt", GPT2Config, GPT2Model, GPT2LMHeadModel, (),
                   dict.fromkeys(("classify", "pair"), GPT2ForSequenceClassification),
                   left_to_right=True)
BART = Architecture("bart", BartConfig, BartModel, BartForConditionalGeneration, (), {})
ROBERTA = Architecture("roberta", RobertaConfig, RobertaModel, RobertaForMaskedLM, (),
                       _heads(RobertaForSequenceClassification, RobertaForMultipleChoice,
                              RobertaForTokenClassification, RobertaForQuestionAnswering))
DISTILBERT = Architecture("distilbert", DistilBertConfig, DistilBertModel, DistilBertForMaskedLM,
                          (), _heads(DistilBertForSequenceClassification,
                                     DistilBertForMultipleChoice,
                                     DistilBertForTokenClassification,
                                     DistilBertForQuestionAnswering))
PRETRAINED_HERE = (BERT, GPT, BART)  # by the command pretrain
ARCHITECTURES = (*PRETRAINED_HERE, ROBERTA, DISTILBERT)  # those whose folders are read


def architecture_of(values: Mapping) -> Architecture:
    """The architecture of a config.json: by its model_type, whose first word is Hugging Face's
    (bert_norm_first is a BERT); in a file of the first years, which has none, by the class that
    wrote it, or by the name of the field for the width. Errors: InputError for any other."""
    model_type = values.get("model_type")
    if model_type is None:
        return _older(values)
    for architecture in ARCHITECTURES:
        if str(model_type).split("_")[0] == architecture.config_class.family:
            return architecture
    known = ", ".join([one.config_class.family for one in ARCHITECTURES])
    raise InputError(f"a model of type {model_type!r:.60}: only {known} are known here")


def _older(values: Mapping) -> Architecture:
    name = class_name(values) or ""
    for architecture in ARCHITECTURES:
        if name in [one.__name__ for one in classes_of(architecture)]:
            return architecture
    for architecture, width in ((GPT, "n_embd"), (BERT, "hidden_size"), (BART, "d_model")):
        if width in values:
            return architecture
    raise InputError("neither model_type nor architectures says of which kind the model is")


def classes_of(architecture: Architecture) -> tuple[type[PretrainedModel], ...]:
    """All classes of an architecture, each once."""
    return tuple(dict.fromkeys([architecture.pretraining, *architecture.other_pretraining,
                                architecture.bare, *architecture.heads.values()]))


def class_name(values: Mapping) -> str | None:
    """The class that wrote a config.json; None where it does not say."""
    names = values.get("architectures")
    if isinstance(names, list) and names and isinstance(names[0], str):
        return names[0]
    return None
