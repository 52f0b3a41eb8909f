"""The objective of word2vec: words of a text, the words around them, and words of noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minibert.ancestors.objective import StreamObjective
from minibert.ancestors.word2vec import CBOW, Word2Vec
from minibert.errors import InputError
from minibert.pretraining.objective import LossesAndMetrics, RowBatch
from minibert.pretraining.seeds import Purpose, generator

HELD_OUT_BATCHES, HELD_OUT_BATCH = 16, 1024


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
        """Returns training batch `number`, counted over micro-batches."""
        return self._draw(self.train_ids, self.batch_size,
                          generator(self.seed, Purpose.WINDOWS, number))

    def held_out_batches(self) -> Iterator[Word2VecBatch]:
        """Yields the same draws from the held-out text every time."""
        for k in range(HELD_OUT_BATCHES):
            rng = generator(self.seed, Purpose.HELD_OUT_MASKS, k)
            yield self._draw(self.held_out_ids, HELD_OUT_BATCH, rng)

    def _draw(self, ids: np.ndarray, B: int, rng: np.random.Generator) -> Word2VecBatch:
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

    def losses(self, model: Word2Vec, batch: Word2VecBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """Returns the loss sum, and no metrics."""
        return {"examples": model.negative_sampling_loss(batch.input_ids, batch.targets,
                                                         batch.negatives)}, {}

    def first_examples(self, n: int = 3) -> list[str]:
        """Returns the first n training examples as readable text."""
        batch, words = self.batch(0), self.tokenizer.convert_ids_to_tokens
        return [f"{' '.join(words(read))} -> {words(int(target))}, not {' '.join(words(noise))}"
                for read, target, noise in zip(batch.input_ids[:n], batch.targets[:n],
                                               batch.negatives[:n])]
