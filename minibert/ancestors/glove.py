"""GloVe: vectors from the counts of words that occur near each other.

X_ij counts how often word j occurs within `window` words of word i, d words away counted as 1/d.
Two vectors and two biases of each word are fitted to the logarithms (Pennington, Socher & Manning
2014, "GloVe: Global Vectors for Word Representation", equation 8):

    J = sum_ij f(X_ij) (w_i . w~_j + b_i + b~_j - log X_ij)^2

    f(x) = (x / x_max)^(3/4) below x_max, 1 from there on        (equation 9)

The sum runs over the cells with X_ij > 0; a batch draws some of them. A word's vector is w + w~
(section 4.2). The paper's optimizer is AdaGrad; here it is the Trainer's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from minibert.ancestors.model import AncestorConfig, AncestorModel, Rng
from minibert.autograd.tensor import Tensor
from minibert.errors import InputError
from minibert.nn.layers import Embedding
from minibert.pretraining.gpt_objective import StreamObjective
from minibert.pretraining.objective import LossesAndMetrics, RowBatch
from minibert.pretraining.seeds import Purpose, generator

HELD_OUT_BATCH = 4096


@dataclass(frozen=True)
class GloVeConfig(AncestorConfig):
    """hidden_size: C. window: words on each side. x_max: counts from here on weigh the same."""

    hidden_size: int = 64
    window: int = 10
    x_max: float = 100.0

    model_type = "glove"


class GloVe(AncestorModel):
    """w, w~ (V, C) and b, b~ (V, 1)."""

    __slots__ = ("w", "w_context", "b", "b_context")
    config_class = GloVeConfig
    unanswered = {"next_word": "has counts of pairs, no probability of a word",
                  "gap": "has counts of pairs, no probability of a word"}

    def __init__(self, config: GloVeConfig, rng: Rng | int | None = 0):
        super().__init__(config)
        V, C = config.vocab_size, config.hidden_size
        self.w, self.w_context = Embedding(V, C), Embedding(V, C)
        self.b, self.b_context = Embedding(V, 1), Embedding(V, 1)
        if rng is not None:
            rng = np.random.default_rng(rng)
            for part in (self.w, self.w_context, self.b, self.b_context):
                part.weight.data = ((rng.random(part.weight.shape) - 0.5) / C).astype(np.float32)

    def loss(self, cells: np.ndarray, values: np.ndarray) -> Tensor:
        """Equation 8 over the cells (B, 2) with X_ij = values (B,): a scalar."""
        i, j = cells.T
        product = (self.w(i) * self.w_context(j)).sum(axis=1, keepdims=True)  # (B, 1)
        error = product + self.b(i) + self.b_context(j) - np.log(values)[:, None].astype("f4")
        f = np.minimum(values / self.config.x_max, 1.0) ** 0.75
        return (error * error * f[:, None].astype("f4")).sum()

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: of a word the same array in every sentence."""
        return (self.w.weight.data + self.w_context.weight.data)[self.checked(input_ids)]


@dataclass(frozen=True)
class CellBatch(RowBatch):
    """Cells (i, j) of X, (B, 2), with their values."""

    values: np.ndarray  # (B,)


class GloVeObjective(StreamObjective):
    """Weighted least squares over the cells of X; a batch is a pure function of (seed, number).

    The held-out counts are scaled to the size of the training text. Errors: InputError where a
    text is not longer than a window.
    """

    name = "glove"

    def __init__(self, config: GloVeConfig, tokenizer, train: list[str], held_out: list[str],
                 batch_size: int, seed: int = 0):
        super().__init__(tokenizer, train, held_out, batch_size, seed)
        self.train = cooccurrences(self.train_ids, config.vocab_size, config.window)
        held_out = cooccurrences(self.held_out_ids, config.vocab_size, config.window)
        scale = self.train.values.sum() / held_out.values.sum()
        self.held_out = CellBatch(held_out.input_ids, held_out.values * scale)

    def batch(self, number: int) -> CellBatch:
        """Returns training batch `number`, counted from 0 over all steps."""
        rng = generator(self.seed, Purpose.WINDOWS, number)
        rows = rng.integers(0, len(self.train.values), self.batch_size)
        return CellBatch(self.train.input_ids[rows], self.train.values[rows])

    def held_out_batches(self) -> Iterator[CellBatch]:
        """Yields all cells of the held-out text."""
        for start in range(0, len(self.held_out.values), HELD_OUT_BATCH):
            rows = slice(start, start + HELD_OUT_BATCH)
            yield CellBatch(self.held_out.input_ids[rows], self.held_out.values[rows])

    def losses(self, model: GloVe, batch: CellBatch, rng: Rng | None = None) -> LossesAndMetrics:
        """Returns the loss sum, and no metrics."""
        return {"examples": model.loss(batch.input_ids, batch.values)}, {}


def cooccurrences(ids: np.ndarray, vocab_size: int, window: int) -> CellBatch:
    """The cells X_ij > 0 of a text (N,), both directions counted. Errors: InputError for a text
    that is not longer than the window."""
    if len(ids) <= window:
        raise InputError(f"GloVe: the text has {len(ids)} tokens, no more than the window of "
                         f"{window}: give a longer text or a smaller window")
    X = sparse.csr_matrix((vocab_size, vocab_size))
    for d in range(1, window + 1):
        weights = np.full(len(ids) - d, 1 / d)
        X = X + sparse.coo_matrix((weights, (ids[:-d], ids[d:])), shape=X.shape).tocsr()
    X = (X + X.T).tocoo()
    return CellBatch(np.column_stack([X.row, X.col]).astype(np.int64), X.data)
