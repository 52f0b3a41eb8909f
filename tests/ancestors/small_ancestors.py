"""A small text, its tokenizer, and one model of each class, untrained."""

import numpy as np

from minibert.ancestors.elmo import ELMo, ELMoConfig
from minibert.ancestors.glove import GloVe, GloVeConfig
from minibert.ancestors.lstm import LSTMConfig, LSTMLanguageModel
from minibert.ancestors.ngram import NGramConfig, NGramModel
from minibert.ancestors.word2vec import CBOW, CBOWConfig, SkipGram, SkipGramConfig
from minibert.pretraining.gpt_objective import token_stream
from minibert.tokenizers.wordpiece import BertTokenizer

WORDS = ("cat", "dog", "eats", "fish", "meat", "sees", "the", ".")
TOKENIZER = BertTokenizer.from_words(WORDS)
V = TOKENIZER.vocab_size


def texts(count: int = 40, seed: int = 0) -> list[str]:
    """The cat eats fish, the dog meat; either sees the other."""
    rng, found = np.random.default_rng(seed), []
    for animal, other in (("cat", "dog") if rng.random() < 0.5 else ("dog", "cat")
                          for _ in range(count)):
        food = "fish" if animal == "cat" else "meat"
        sentences = [f"the {animal} eats {food} .", f"the {animal} sees the {other} ."]
        found.append(" ".join(rng.permutation(sentences)))
    return found


def small_models() -> list:
    ids = token_stream(TOKENIZER, texts())
    models = [NGramModel.fit(NGramConfig(V, 3), ids), CBOW(CBOWConfig(V, 6, 2, 3), 1),
              SkipGram(SkipGramConfig(V, 6, 2, 3), 1), GloVe(GloVeConfig(V, 6, 3), 1),
              LSTMLanguageModel(LSTMConfig(V, 6, 2), 1), ELMo(ELMoConfig(V, 6, 2), 1)]
    models[-1].count_unigram(ids)
    for model in models[1:3]:
        model.count_noise(ids)
        weight = model.output_embeddings.weight  # zeros until it is trained
        weight.data = np.random.default_rng(2).normal(size=weight.shape).astype(np.float32)
    return models
