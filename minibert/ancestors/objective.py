"""The base of the objectives with one loss over examples drawn from a stream of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from minibert.pretraining.gpt_objective import describe_stream, token_stream
from minibert.pretraining.objective import Objective
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number


class StreamObjective(Objective):
    """train, held_out: texts, read as one stream of tokens each, with a separator before each text.
    A subclass defines `name`, `batch`, `held_out_batches`, `losses` and `first_examples`."""

    def __init__(self, tokenizer: Tokenizer, train: Sequence[str], held_out: Sequence[str],
                 batch_size: int, seed: int = 0):
        self.tokenizer = tokenizer
        self.batch_size, self.seed = whole_number("batch_size", batch_size, at_least=1), seed
        self.train_ids = token_stream(tokenizer, train)
        self.held_out_ids = token_stream(tokenizer, held_out)

    def counts(self, batch) -> dict[str, int]:
        """Count the examples."""
        return {"examples": len(batch.input_ids)}

    def describe(self) -> list[str]:
        """List facts about the training and held-out data, one a line."""
        return [describe_stream(self.tokenizer, "training", self.train_ids),
                describe_stream(self.tokenizer, "held out", self.held_out_ids)]
