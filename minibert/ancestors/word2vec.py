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

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minibert.ancestors.model import AncestorConfig, AncestorModel, Rng
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.generation.sampling import log_probabilities
from minibert.models.losses import multi_label_loss
from minibert.nn.layers import Embedding
from minibert.pretraining.gpt_objective import StreamObjective
from minibert.pretraining.objective import LossesAndMetrics, RowBatch
from minibert.pretraining.seeds import Purpose, generator
from minibert.validate import checked_ids

NOISE_POWER = 0.75
HELD_OUT_BATCHES, HELD_OUT_BATCH = 16, 1024


@dataclass(frozen=True)
class CBOWConfig(AncestorConfig):
    """hidden_size: C. window: the number of words on each side. negatives: K."""

    hidden_size: int = 64
    window: int = 5
    negatives: int = 5

    model_type = "cbow"


@dataclass(frozen=True)
class SkipGramConfig(CBOWConfig):
    """As CBOWConfig; a window of 1 to `window` words is drawn for each word."""

    model_type = "skipgram"


class Word2Vec(AncestorModel):
    """The base of both: two matrices (V, C), and the noise distribution q (V,), from counts."""

    __slots__ = ("input_embeddings", "output_embeddings", "noise")
    distributions = {"noise": True}

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

    def negative_sampling_loss(self, input_ids: np.ndarray, targets: np.ndarray,
                               negatives: np.ndarray) -> Tensor:
        """Equation 4, summed over the batch: (B, words), (B,), (B, K)."""
        B, predicted = len(targets), np.column_stack([targets, negatives])  # (B, 1 + K)
        h = self.input_embeddings(input_ids).mean(axis=1).reshape(B, -1, 1)  # (B, C, 1)
        scores = (self.output_embeddings(predicted) @ h).reshape(predicted.shape)  # u . h
        is_target = np.zeros(predicted.shape)
        is_target[:, 0] = 1.0
        return multi_label_loss(scores, is_target, reduction="sum")

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: of a word the same array in every sentence."""
        return self.input_embeddings.weight.data[self.checked(input_ids)]


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


@dataclass(frozen=True)
class Word2VecBatch(RowBatch):
    """The words that are read, (B, 2 window) for CBOW, (B, 1) for skip-gram; the word to predict,
    the words of noise."""

    targets: np.ndarray  # (B,)
    negatives: np.ndarray  # (B, K)


class Word2VecObjective(StreamObjective):
    """Negative sampling for `model`, whose noise is counted here; a batch is a pure function of
    (seed, number).

    Words are drawn from the whole stream (see StreamObjective); frequent ones are not thinned out.
    Errors: InputError where a stream is not longer than a window.
    """

    def __init__(self, model: Word2Vec, tokenizer, train: list[str], held_out: list[str],
                 batch_size: int, seed: int = 0):
        super().__init__(tokenizer, train, held_out, batch_size, seed)
        self.name, self.is_cbow = model.config.model_type, isinstance(model, CBOW)
        self.window, self.negatives = model.config.window, model.config.negatives
        for name, ids in (("training", self.train_ids), ("held-out", self.held_out_ids)):
            if len(ids) <= 2 * self.window:
                raise InputError(f"word2vec: the {name} text has {len(ids)} tokens, no window of "
                                 f"{self.window} words on each side of one fits: give a longer "
                                 "text or a smaller window")
        model.count_noise(self.train_ids)
        self.cumulative = np.cumsum(model.noise)

    def batch(self, number: int) -> Word2VecBatch:
        """Returns training batch `number`, counted from 0 over all steps."""
        return self._draw(self.train_ids, self.batch_size,
                          generator(self.seed, Purpose.WINDOWS, number))

    def held_out_batches(self) -> Iterator[Word2VecBatch]:
        """Yields the same draws from the held-out text every time."""
        for k in range(HELD_OUT_BATCHES):
            rng = generator(self.seed, Purpose.HELD_OUT_MASKS, k)
            yield self._draw(self.held_out_ids, HELD_OUT_BATCH, rng)

    def _draw(self, ids: np.ndarray, B: int, rng: Rng) -> Word2VecBatch:
        centre = rng.integers(self.window, len(ids) - self.window, B)
        if self.is_cbow:
            offsets = [d for d in range(-self.window, self.window + 1) if d]
            read, targets = ids[centre[:, None] + np.array(offsets)], ids[centre]
        else:
            reach = rng.integers(1, self.window + 1, B)
            distance = rng.integers(1, reach + 1) * rng.choice([-1, 1], B)
            read, targets = ids[centre[:, None]], ids[centre + distance]
        draws = rng.random((B, self.negatives)) * self.cumulative[-1]
        negatives = np.searchsorted(self.cumulative, draws, side="right")
        return Word2VecBatch(read, targets, negatives)

    def losses(self, model: Word2Vec, batch: Word2VecBatch, rng: Rng | None = None
               ) -> LossesAndMetrics:
        """Returns the loss sum, and no metrics."""
        return {"examples": model.negative_sampling_loss(batch.input_ids, batch.targets,
                                                         batch.negatives)}, {}
