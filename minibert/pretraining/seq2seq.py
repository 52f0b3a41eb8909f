"""Shared by the objectives of an encoder-decoder: batches of texts with targets, and their loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.models.bart import BartForConditionalGeneration
from minibert.pretraining.objective import LossesAndMetrics, shard_rows
from minibert.tokenizers.base import Tokenizer


@dataclass(frozen=True)
class Seq2SeqBatch:
    """B texts for the encoder, and the targets of the decoder: -100 at padding."""

    input_ids: np.ndarray  # (B, S)
    attention_mask: np.ndarray  # (B, S), True at tokens, False at padding
    targets: np.ndarray  # (B, T)

    def shard(self, k: int, n: int) -> "Seq2SeqBatch":
        """Returns the rows of worker k of n."""
        rows = shard_rows(len(self.input_ids), k, n)
        return Seq2SeqBatch(self.input_ids[rows], self.attention_mask[rows], self.targets[rows])


def as_rows(rows: Sequence[np.ndarray], padding: int) -> np.ndarray:
    """Rows of different lengths as one array (B, T), padded on the right."""
    array = np.full((len(rows), max(map(len, rows))), padding)
    for row, ids in zip(array, rows):
        row[:len(ids)] = ids
    return array


class Seq2SeqObjective:
    """The base of both objectives: a subclass has `tokenizer`, `batch` and `held_out_batches`."""

    metric_for_best_model, greater_is_better = "loss", False
    tokenizer: Tokenizer

    def counts(self, batch: Seq2SeqBatch) -> dict[str, int]:
        """Returns the divisor of the loss: the tokens of the targets."""
        return {"tokens": int((batch.targets != IGNORE_INDEX).sum())}

    def losses(self, model: BartForConditionalGeneration, batch: Seq2SeqBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """Returns the loss sum, and no metrics."""
        loss = model.target_loss(batch.input_ids, batch.attention_mask, batch.targets, rng=rng)
        return {"tokens": loss}, {}

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float]) -> dict[str, float]:
        """Returns loss: nats per token of the targets, sentinels and end tokens included."""
        return {"loss": loss_sums["tokens"] / max(counts["tokens"], 1)}

    def first_examples(self, n: int = 3) -> list[str]:
        """Returns the first n training examples as readable text."""
        batch = self.batch(0)
        rows = zip(batch.input_ids, batch.attention_mask, batch.targets)
        to_tokens = self.tokenizer.convert_ids_to_tokens
        return [" ".join(to_tokens(ids[mask].tolist())) + "\n  to predict: "
                + " ".join(to_tokens(target[target != IGNORE_INDEX].tolist()))
                for ids, mask, target in list(rows)[:n]]
