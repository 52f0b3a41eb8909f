"""GPT's objective: the next token of a stream of texts (Radford et al. 2018, equation 1)."""

import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.errors import InputError
from minibert.models.gpt import GPT2LMHeadModel
from minibert.pretraining.descriptions import describe_stream
from minibert.pretraining.objective import LossesAndMetrics, shard_rows
from minibert.pretraining.seeds import Purpose, generator
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number

HELD_OUT_BATCH = 64  # fixed, so that runs with different batch sizes evaluate the same windows
# A line with the line break before it. Indented and empty lines stay with the line above, since
# GPT-2's pre-tokenizer joins their white space (see tokenizers/byte_level_pre_tokenizer.py).
_LINES = re.compile(r"(?s).+?(?=\n\S|\Z)")


@dataclass(frozen=True)
class NextTokenBatch:
    """Windows and their next tokens: targets[:, t] is the token after input_ids[:, t], IGNORE_INDEX
    beyond the end of the text. Errors: ValueError where the targets are not the inputs shifted by
    one (not shifted, shifted twice, shifted back)."""

    input_ids: np.ndarray  # (B, T)
    targets: np.ndarray  # (B, T)

    def __post_init__(self):
        following, targets = self.input_ids[:, 1:], self.targets[:, :-1]
        if self.input_ids.shape != self.targets.shape or not np.array_equal(
                following[targets != IGNORE_INDEX], targets[targets != IGNORE_INDEX]):
            raise ValueError("NextTokenBatch: targets must be the inputs shifted by one: "
                             "targets[:, t] == input_ids[:, t + 1]")

    def shard(self, k: int, n: int) -> "NextTokenBatch":
        """Returns the rows of worker k of n."""
        rows = shard_rows(len(self.input_ids), k, n)
        return NextTokenBatch(self.input_ids[rows], self.targets[rows])


class NextTokenObjective:
    """Next-token prediction on windows of a text; a batch is a pure function of (seed, number).

    train, held_out: texts. A separator stands before each text, so that its first token is
    predicted as well. A window is any `context` consecutive tokens of the stream: it may span a
    separator, and its tokens then attend to the end of the text before.

    Each epoch cuts the training stream into consecutive windows from a random offset on and
    shuffles them: every token is a target once, but for at most 2 `context` - 1 tokens at the two
    ends of the stream together. (Windows at independent random positions would leave out 1/e of
    all tokens.) The windows of the held-out stream score every token once. Errors:
    InputError for a text shorter than one window, or without a token to predict.
    """

    name = "gpt"
    metric_for_best_model, greater_is_better = "loss", False

    def __init__(self, tokenizer: Tokenizer, train: Sequence[str], held_out: Sequence[str],
                 context: int, batch_size: int, seed: int = 0):
        self.tokenizer = tokenizer
        self.context = whole_number("context", context, at_least=1)
        self.batch_size, self.seed = whole_number("batch_size", batch_size, at_least=1), seed
        self.train_ids = token_stream(tokenizer, train)
        self.held_out_ids = token_stream(tokenizer, held_out)
        self.n_held_out_characters = n_characters(held_out)
        if len(self.train_ids) <= context:
            raise InputError(f"the training text has {len(self.train_ids)} tokens, too short for "
                             f"one window of {context} and the token after it; give a longer text "
                             "or a shorter context")
        if len(self.held_out_ids) < 2:
            raise InputError("the held-out text has no token to predict; give a longer text")
        # One window fewer than fit: the rest is the range of the random offset.
        self.n_per_epoch = max((len(self.train_ids) - 1) // context - 1, 1)
        self._latest_epoch: tuple[int, np.ndarray | None] = (-1, None)

    def batch(self, number: int) -> NextTokenBatch:
        """Returns training batch `number`, counted over micro-batches: (B, T = context)."""
        windows = np.arange(number * self.batch_size, (number + 1) * self.batch_size)
        epoch, index = np.divmod(windows, self.n_per_epoch)
        first = np.concatenate([self._epoch(e)[index[epoch == e]] for e in np.unique(epoch)])
        ids = self.train_ids[first[:, None] + np.arange(self.context + 1)]  # (B, T + 1)
        ids = ids.astype(np.int64)
        return NextTokenBatch(ids[:, :-1], ids[:, 1:])

    def _epoch(self, epoch: int) -> np.ndarray:
        """The first position of each window of an epoch, in training order."""
        known, starts = self._latest_epoch
        if epoch != known:
            rng = generator(self.seed, Purpose.WINDOWS, int(epoch))
            left_out = len(self.train_ids) - 1 - self.n_per_epoch * self.context
            offset = rng.integers(0, left_out + 1)
            starts = offset + self.context * rng.permutation(self.n_per_epoch)
            self._latest_epoch = (epoch, starts)
        return starts

    def held_out_batches(self) -> Iterator[NextTokenBatch]:
        """Yields consecutive windows of the held-out stream; every token but the first separator is
        a target once."""
        n_targets = len(self.held_out_ids) - 1
        n_windows = -(-n_targets // self.context)
        stream = np.full(n_windows * self.context + 1, self.tokenizer.sep_token_id, dtype=np.int64)
        stream[:n_targets + 1] = self.held_out_ids
        targets = stream[1:].copy()
        targets[n_targets:] = IGNORE_INDEX  # beyond the text, in the last window
        inputs = stream[:-1].reshape(n_windows, self.context)
        targets = targets.reshape(n_windows, self.context)
        for start in range(0, n_windows, HELD_OUT_BATCH):
            rows = slice(start, start + HELD_OUT_BATCH)
            yield NextTokenBatch(inputs[rows], targets[rows])

    def counts(self, batch: NextTokenBatch) -> dict[str, int]:
        """Returns the divisor of the loss: the number of targets."""
        return {"tokens": int((batch.targets != IGNORE_INDEX).sum())}

    def losses(self, model: GPT2LMHeadModel, batch: NextTokenBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """Returns the loss sum, and no metrics."""
        return {"tokens": model.next_token_loss(batch.input_ids, batch.targets, rng=rng)}, {}

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float]) -> dict[str, float]:
        """Returns loss (nats per token) and bits_per_character, from sums over batches."""
        bits = loss_sums["tokens"] / math.log(2)
        return {"loss": loss_sums["tokens"] / max(counts["tokens"], 1),
                "bits_per_character": bits / self.n_held_out_characters}

    def first_examples(self, n: int = 3) -> list[str]:
        """Returns the first n training windows as text, each with its last target."""
        batch = self.batch(0)
        examples = []
        for row in range(min(n, self.batch_size)):
            last = self.tokenizer.convert_ids_to_tokens(batch.targets[row, -1])
            examples.append(f"{self.tokenizer.decode(batch.input_ids[row])!r}\n"
                            f"  next, after the last token: {last!r}")
        return examples

    def describe(self) -> list[str]:
        """Returns facts about the training and held-out data, one a line."""
        tokens_per_character = len(self.held_out_ids) / self.n_held_out_characters
        return [describe_stream(self.tokenizer, "training", self.train_ids),
                describe_stream(self.tokenizer, "held out", self.held_out_ids),
                f"{tokens_per_character:.3f} tokens for each of the "
                f"{self.n_held_out_characters:,} held-out characters"]


def token_stream(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """Encodes all texts as one read-only array of ids, (N,) int32, with a separator before each.
    Errors: InputError for a single string."""
    if isinstance(texts, str):
        raise InputError(f"token_stream: got the string {texts!r:.40}: expected a list of texts")
    ids = array("i")  # 4 bytes a token, filled line by line: a list of ints would take 36
    for text in texts:
        ids.append(tokenizer.sep_token_id)
        for line in _LINES.finditer(text):
            ids.extend(tokenizer.encode(line.group(), add_special_tokens=False))
    stream = np.asarray(ids)  # the same memory
    stream.setflags(write=False)
    return stream


def n_characters(texts: Sequence[str]) -> int:
    """Counts the characters of the texts, and one for each separator between two texts."""
    return sum(map(len, texts)) + max(len(texts) - 1, 0)
