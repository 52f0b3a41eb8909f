"""From a config.json to the class of the older model."""

from __future__ import annotations

from collections.abc import Mapping

from minibert.ancestors.elmo import ELMo
from minibert.ancestors.glove import GloVe
from minibert.ancestors.lstm import LSTMLanguageModel
from minibert.ancestors.model import AncestorModel
from minibert.ancestors.ngram import NGramModel
from minibert.ancestors.word2vec import CBOW, SkipGram

MODELS: tuple[type[AncestorModel], ...] = (NGramModel, CBOW, SkipGram, GloVe, LSTMLanguageModel,
                                           ELMo)


def ancestor_class(values: Mapping) -> type[AncestorModel] | None:
    """The class whose config.json has the contents `values`; None: no older model."""
    return next((model_class for model_class in MODELS
                 if model_class.config_class.model_type == values.get("model_type")), None)
