"""Shared by the objectives of an encoder-decoder: batches of texts with targets, and their loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.models.bart import BartForConditionalGeneration
from minibert.pretraining.objective import LossesAndMetrics, Objective, RowBatch
from minibert.tokenizers.base import Tokenizer


@dataclass(frozen=True)
class Seq2SeqBatch(RowBatch):
    """B texts (B, S) for the encoder, and the targets of the decoder: -100 at padding."""

    attention_mask: np.ndarray  # (B, S), True at tokens, False at padding
    targets: np.ndarray  # (B, T)


def as_rows(rows: Sequence[Sequence[int]], padding: int) -> np.ndarray:
    """Pad rows of different lengths on the right; -> (B, T)."""
    array = np.full((len(rows), max(map(len, rows))), padding)
    for row, ids in zip(array, rows):
        row[:len(ids)] = ids
    return array


class Seq2SeqObjective(Objective):
    """Base of the objectives of an encoder-decoder; its loss is in nats per token of the targets,
    sentinels and end tokens included."""

    tokenizer: Tokenizer

    def counts(self, batch: Seq2SeqBatch) -> dict[str, int]:
        return {"tokens": int((batch.targets != IGNORE_INDEX).sum())}

    def losses(self, model: BartForConditionalGeneration, batch: Seq2SeqBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        loss = model.target_loss(batch.input_ids, batch.attention_mask, batch.targets, rng=rng)
        return {"tokens": loss}, {}

    def first_examples(self, n: int = 3) -> list[str]:
        batch = self.batch(0)
        rows = zip(batch.input_ids, batch.attention_mask, batch.targets)
        to_tokens = self.tokenizer.convert_ids_to_tokens
        return [" ".join(to_tokens(ids[mask].tolist())) + "\n  to predict: "
                + " ".join(to_tokens(target[target != IGNORE_INDEX].tolist()))
                for ids, mask, target in list(rows)[:n]]
