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
from minibert.pretraining.objective import (HELD_OUT_BATCH, Epochs, LossesAndMetrics, Objective,
                                            RowBatch)
from minibert.pretraining.seeds import Purpose, generator
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number

# A line with the line break before it. Indented and empty lines stay with the line above, since
# GPT-2's pre-tokenizer joins their white space (see tokenizers/byte_level_pre_tokenizer.py).
_LINES = re.compile(r"(?s).+?(?=\n\S|\Z)")


@dataclass(frozen=True)
class NextTokenBatch(RowBatch):
    """Windows and their next tokens: targets[:, t] is the token after input_ids[:, t], IGNORE_INDEX
    beyond the end of the text. Errors: ValueError where the targets are not the inputs shifted by
    one (not shifted, shifted twice, shifted back)."""

    targets: np.ndarray  # (B, T)

    def __post_init__(self):
        following, targets = self.input_ids[:, 1:], self.targets[:, :-1]
        if self.input_ids.shape != self.targets.shape or not np.array_equal(
                following[targets != IGNORE_INDEX], targets[targets != IGNORE_INDEX]):
            raise ValueError("NextTokenBatch: targets must be the inputs shifted by one: "
                             "targets[:, t] == input_ids[:, t + 1]")


class StreamObjective(Objective):
    """Base of the objectives on streams of tokens. train, held_out: texts, read as one stream each,
    with a separator before each text."""

    def __init__(self, tokenizer: Tokenizer, train: Sequence[str], held_out: Sequence[str],
                 batch_size: int, seed: int = 0):
        self.tokenizer = tokenizer
        self.batch_size, self.seed = whole_number("batch_size", batch_size, at_least=1), seed
        self.train_ids = token_stream(tokenizer, train)
        self.held_out_ids = token_stream(tokenizer, held_out)

    def counts(self, batch) -> dict[str, int]:
        return {"examples": len(batch.input_ids)}

    def describe(self) -> list[str]:
        return [describe_stream(self.tokenizer, "training", self.train_ids),
                describe_stream(self.tokenizer, "held out", self.held_out_ids)]


class NextTokenObjective(StreamObjective):
    """Next-token prediction on windows of a text; a batch is a pure function of (seed, number).

    The first token of a text is predicted from the separator before it. A window is any `context`
    consecutive tokens of the stream: it may span a separator, and its tokens then attend to the end
    of the text before.

    Each epoch cuts the training stream into consecutive windows from a random offset on and
    shuffles them: every token is a target once, but for at most 2 `context` - 1 tokens at the two
    ends of the stream together. (Windows at independent random positions would leave out 1/e of
    all tokens.) The windows of the held-out stream score every token once. Errors:
    InputError for a text shorter than one window, or without a token to predict.
    """

    name = "gpt"

    def __init__(self, tokenizer: Tokenizer, train: Sequence[str], held_out: Sequence[str],
                 context: int, batch_size: int, seed: int = 0):
        super().__init__(tokenizer, train, held_out, batch_size, seed)
        self.context = whole_number("context", context, at_least=1)
        self.n_held_out_characters = sum(map(len, held_out)) + len(held_out) - 1  # with separators
        if len(self.train_ids) <= context:
            raise InputError(f"the training text has {len(self.train_ids)} tokens, too short for "
                             f"one window of {context} and the token after it; give a longer text "
                             "or a shorter context")
        if len(self.held_out_ids) < 2:
            raise InputError("the held-out text has no token to predict; give a longer text")
        # One window fewer than fit: the rest is the range of the random offset.
        self.n_per_epoch = max((len(self.train_ids) - 1) // context - 1, 1)
        self.epochs = Epochs(self._first_positions)

    def batch(self, number: int) -> NextTokenBatch:
        """Cut out training batch `number`, counted from 0 over all steps: (B, T = context)."""
        first = np.concatenate(self.epochs.examples(number * self.batch_size, self.batch_size))
        ids = self.train_ids[first[:, None] + np.arange(self.context + 1)]  # (B, T + 1)
        ids = ids.astype(np.int64)
        return NextTokenBatch(ids[:, :-1], ids[:, 1:])

    def _first_positions(self, epoch: int) -> np.ndarray:
        """The first position of each window of an epoch, in training order."""
        rng = generator(self.seed, Purpose.WINDOWS, epoch)
        left_out = len(self.train_ids) - 1 - self.n_per_epoch * self.context
        offset = rng.integers(0, left_out + 1)
        return offset + self.context * rng.permutation(self.n_per_epoch)

    def held_out_batches(self) -> Iterator[NextTokenBatch]:
        """Yield consecutive windows of the held-out stream; every token but the first separator is
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
        return {"tokens": int((batch.targets != IGNORE_INDEX).sum())}

    def losses(self, model: GPT2LMHeadModel, batch: NextTokenBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        return {"tokens": model.next_token_loss(batch.input_ids, batch.targets, rng=rng)}, {}

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float]) -> dict[str, float]:
        """Divide sums over batches: loss (nats per token) and bits_per_character."""
        bits = loss_sums["tokens"] / math.log(2)
        return super().summary(loss_sums, counts, metric_sums) | {
            "bits_per_character": bits / self.n_held_out_characters}

    def first_examples(self, n: int = 3) -> list[str]:
        """Show the first n training windows as text, each with its last target."""
        batch = self.batch(0)
        examples = []
        for row in range(min(n, self.batch_size)):
            last = self.tokenizer.convert_ids_to_tokens(batch.targets[row, -1])
            examples.append(f"{self.tokenizer.decode(batch.input_ids[row])!r}\n"
                            f"  next, after the last token: {last!r}")
        return examples

    def describe(self) -> list[str]:
        tokens_per_character = len(self.held_out_ids) / self.n_held_out_characters
        return [*super().describe(),
                f"{tokens_per_character:.3f} tokens for each of the "
                f"{self.n_held_out_characters:,} held-out characters"]


def token_stream(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """Encode all texts as one read-only array of ids, (N,) int32, with a separator before each.
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


def describe_stream(tokenizer: Tokenizer, name: str, ids: np.ndarray) -> str:
    """List the length of a stream of ids and its share of unknown tokens, in one line."""
    # GPT-2's tokenizer encodes every byte; its unk_token is the separator.
    unknown = {tokenizer.unk_token_id} - {tokenizer.sep_token_id}
    share = np.isin(ids, list(unknown)).mean()
    return f"{name}: {len(ids):,} tokens, {share:.2%} of them unknown"
