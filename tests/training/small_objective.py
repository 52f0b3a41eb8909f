"""A next-token objective over random numbers, small enough for a test to train on in a moment."""

from dataclasses import dataclass

import numpy as np

from minibert.models.config import GPT2Config
from minibert.models.gpt import GPT2LMHeadModel

VOCAB, TOKENS = 11, 7


@dataclass(frozen=True)
class SmallBatch:
    input_ids: np.ndarray  # (B, T)
    targets: np.ndarray  # (B, T), -100 where nothing is asked


class SmallObjective:
    """Counting up, with slips; every row asks for another number of its targets."""

    name = "gpt"
    metric_for_best_model, greater_is_better = "loss", False

    def __init__(self, batch_size: int = 3, seed: int = 0):
        self.batch_size, self.seed = batch_size, seed

    def batch(self, step: int) -> SmallBatch:
        return self.rows(np.random.default_rng([self.seed, 5, step]), self.batch_size)

    def rows(self, rng: np.random.Generator, count: int) -> SmallBatch:
        ids = (rng.integers(VOCAB, size=(count, 1)) + np.arange(TOKENS + 1)) % VOCAB
        slips = rng.random(ids.shape) < 0.1
        ids[slips] = rng.integers(VOCAB, size=slips.sum())
        targets = np.where(np.arange(TOKENS) < rng.integers(1, TOKENS + 1, size=(count, 1)),
                           ids[:, 1:], -100)
        return SmallBatch(ids[:, :-1], targets)

    def held_out_batches(self):
        rng = np.random.default_rng([self.seed, 6])
        return [self.rows(rng, 4), self.rows(rng, 2)]

    def counts(self, batch: SmallBatch) -> dict[str, int]:
        return {"tokens": int((batch.targets != -100).sum())}

    def losses(self, model, batch: SmallBatch, rng):
        return {"tokens": model.next_token_loss(batch.input_ids, batch.targets, rng=rng)}, {}

    def summary(self, loss_sums, counts, metric_sums) -> dict[str, float]:
        return {"loss": loss_sums["tokens"] / counts["tokens"]}


def small_model(dropout: float = 0.1, seed: int = 3) -> GPT2LMHeadModel:
    config = GPT2Config(vocab_size=VOCAB, n_positions=TOKENS, n_embd=12, n_layer=2, n_head=3,
                        resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout)
    return GPT2LMHeadModel(config, rng=seed)
