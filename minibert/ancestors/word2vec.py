"""word2vec: a word is a vector, trained to predict the words around it.

Two matrices, one vector of each word when it is read, v, and one when it is predicted, u. With h
the mean of the vectors v of the words that are read, w the word to predict and K words drawn from
the noise distribution q, the loss is (Mikolov et al. 2013b, "Distributed Representations of Words
and Phrases and their Compositionality", equation 4, negative sampling)

    -log sigmoid(u_w . h) - sum_k log sigmoid(-u_k . h)        q(w) proportional to count(w)^0.75

CBOW reads the words on both sides of a gap and predicts the word in it; skip-gram reads one word
and predicts one of those around it (Mikolov et al. 2013a, "Efficient Estimation of Word
Representations in Vector Space", section 3): the same model with one word to read.

The minimum of the loss is at u_w . h = log p(w | h) - log(K q(w)) (Levy & Goldberg 2014, "Neural
Word Embedding as Implicit Matrix Factorization", section 3.1), so p(w | h) is proportional to
q(w) exp(u_w . h): CBOW's distribution of a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minibert.ancestors.model import AncestorConfig, AncestorModel, Rng
from minibert.autograd import functional as F
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.generation.sampling import log_probabilities
from minibert.models.losses import multi_label_loss
from minibert.nn.layers import Embedding
from minibert.validate import checked_ids

NOISE_POWER = 0.75


@dataclass(frozen=True)
class CBOWConfig(AncestorConfig):
    """hidden_size: C. window: the number of words on each side. negatives: K."""

    hidden_size: int = 64
    window: int = 5
    negatives: int = 5

    model_type: ClassVar[str] = "cbow"


@dataclass(frozen=True)
class SkipGramConfig(CBOWConfig):
    """As CBOWConfig; a window of 1 to `window` words is drawn for each word."""

    model_type: ClassVar[str] = "skipgram"


class Word2Vec(AncestorModel):
    """The base of both: two matrices (V, C), and the noise distribution q (V,), from counts."""

    __slots__ = ("input_embeddings", "output_embeddings", "noise")

    def __init__(self, config: CBOWConfig, rng: Rng | int | None = 0):
        super().__init__(config)
        self.input_embeddings = Embedding(config.vocab_size, config.hidden_size)  # v
        self.output_embeddings = Embedding(config.vocab_size, config.hidden_size)  # u, zeros
        self.noise = np.full(config.vocab_size, 1 / config.vocab_size)
        if rng is not None:
            shape, limit = self.input_embeddings.weight.shape, 0.5 / config.hidden_size
            draws = np.random.default_rng(rng).uniform(-limit, limit, shape)
            self.input_embeddings.weight.data = draws.astype(np.float32)

    def count_noise(self, ids: np.ndarray) -> None:
        """Set q from the token ids (N,) of the training text."""
        counts = np.bincount(ids, minlength=self.config.vocab_size) ** NOISE_POWER
        self.noise = counts / counts.sum()

    def hidden(self, input_ids: np.ndarray) -> Tensor:
        """The mean of the vectors of the words that are read: (B, words) -> (B, C)."""
        return self.input_embeddings(input_ids).mean(axis=1)

    def negative_sampling_loss(self, input_ids: np.ndarray, targets: np.ndarray,
                               negatives: np.ndarray) -> Tensor:
        """Equation 4, summed over the batch: (B, words), (B,), (B, K)."""
        B, predicted = len(targets), np.column_stack([targets, negatives])  # (B, 1 + K)
        h = self.hidden(input_ids).reshape(B, -1, 1)  # (B, C, 1)
        scores = (self.output_embeddings(predicted) @ h).reshape(predicted.shape)  # u . h
        is_target = np.zeros(predicted.shape)
        is_target[:, 0] = 1.0
        return multi_label_loss(scores, is_target, reduction="sum")

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: of a word the same array in every sentence."""
        return self.input_embeddings.weight.data[self.checked(input_ids)]

    def stored_arrays(self) -> dict[str, np.ndarray]:
        """Both matrices, and the noise."""
        return self.state_dict() | {"noise": self.noise}

    @classmethod
    def from_arrays(cls, config: CBOWConfig, arrays: Mapping[str, np.ndarray]) -> Word2Vec:
        """See AncestorModel. Errors: also noise that is no distribution."""
        noise = arrays.get("noise")
        if noise is None or noise.shape != (config.vocab_size,) or noise.min() < 0 \
                or abs(noise.sum() - 1) > 1e-6:
            raise InputError(f"noise: expected {config.vocab_size} probabilities")
        matrices = {name: array for name, array in arrays.items() if name != "noise"}
        model = super().from_arrays(config, matrices)
        model.noise = noise
        return model


class CBOW(Word2Vec):
    """A bag of the words around a gap, without their order."""

    __slots__ = ()
    config_class = CBOWConfig
    unanswered = {"next_word": "reads both sides of a gap"}

    def gap(self, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """See AncestorModel. A window that the row cuts off has fewer words. Errors: InputError
        for a row of one token."""
        ids, window = self.checked(input_ids), self.config.window
        B, T = ids.shape
        if T < 2:
            raise InputError("CBOW: a row of one token has no words around its gap")
        positions = checked_ids("positions", positions, T, (B,))
        distance = np.abs(np.arange(T) - positions[:, None])  # (B, T)
        near = (distance > 0) & (distance <= window)
        v = self.input_embeddings.weight.data[ids]  # (B, T, C)
        h = (near[:, :, None] * v).sum(axis=1) / near.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):  # a word that never occurs has probability 0
            return log_probabilities(h @ self.output_embeddings.weight.data.T + np.log(self.noise))


class SkipGram(Word2Vec):
    """The words around a word."""

    __slots__ = ()
    config_class = SkipGramConfig
    unanswered = {"next_word": "predicts a word somewhere around, not the next one",
                  "gap": "predicts the words around from a word, not a word from those around"}
