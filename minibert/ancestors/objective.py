"""The base of the objectives with one loss over examples drawn from a stream of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from minibert.pretraining.descriptions import describe_stream
from minibert.pretraining.gpt_objective import token_stream
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number


class StreamObjective:
    """train, held_out: texts, read as one stream of tokens each, with a separator before each text.
    A subclass defines `name`, `batch`, `held_out_batches`, `losses` and `first_examples`."""

    metric_for_best_model, greater_is_better = "loss", False

    def __init__(self, tokenizer: Tokenizer, train: Sequence[str], held_out: Sequence[str],
                 batch_size: int, seed: int = 0):
        self.tokenizer = tokenizer
        self.batch_size, self.seed = whole_number("batch_size", batch_size, at_least=1), seed
        self.train_ids = token_stream(tokenizer, train)
        self.held_out_ids = token_stream(tokenizer, held_out)

    def counts(self, batch) -> dict[str, int]:
        """Returns the divisor of the loss: the number of examples."""
        return {"examples": len(batch.input_ids)}

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float]) -> dict[str, float]:
        """Returns the loss of an example, from sums over batches."""
        return {"loss": loss_sums["examples"] / max(counts["examples"], 1)}

    def describe(self) -> list[str]:
        """Returns facts about the training and held-out data, one a line."""
        return [describe_stream(self.tokenizer, "training", self.train_ids),
                describe_stream(self.tokenizer, "held out", self.held_out_ids)]
