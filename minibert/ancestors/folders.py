"""From a folder to the older model that it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from minibert.ancestors.elmo import ELMo
from minibert.ancestors.glove import GloVe
from minibert.ancestors.lstm import LSTMLanguageModel
from minibert.ancestors.model import AncestorModel
from minibert.ancestors.ngram import NGramModel
from minibert.ancestors.word2vec import CBOW, SkipGram
from minibert.atomic_files import read_json
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.characters import load_tokenizer

MODELS: tuple[type[AncestorModel], ...] = (NGramModel, CBOW, SkipGram, GloVe, LSTMLanguageModel,
                                           ELMo)


def ancestor_class(values: Mapping) -> type[AncestorModel] | None:
    """The class whose config.json has the contents `values`; None: no older model."""
    return next((model_class for model_class in MODELS
                 if model_class.config_class.model_type == values.get("model_type")), None)


def load_ancestor(folder: Path) -> tuple[AncestorModel, Tokenizer] | None:
    """(model in eval mode, tokenizer) of a model's folder; None where its config.json is that of
    another kind of model. Errors: InputError for damaged files."""
    model_class = ancestor_class(read_json(folder / "config.json"))
    if model_class is None:
        return None
    model = model_class.from_pretrained(folder)
    return model, load_tokenizer(folder, model.config.vocab_size)
