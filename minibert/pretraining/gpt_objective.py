"""GPT's objective: the next token of a running text (Radford et al. 2018, equation 1)."""

import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minibert.errors import InputError
from minibert.models.gpt import GPT2LMHeadModel
from minibert.pretraining.objective import LossesAndMetrics, shard_rows
from minibert.pretraining.seeds import Purpose, generator
from minibert.tokenizers.base import Tokenizer

IGNORED = -100
HELD_OUT_BATCH = 64  # not the training batch, so that this does not change what is measured
# Lines, each with the line break before it; an indented or an empty one stays with the line above:
# of white space GPT-2's words leave out the last sign only (see text/byte_words.py).
_LINES = re.compile(r"(?s).+?(?=\n\S|\Z)")


@dataclass(frozen=True)
class NextTokenBatch:
    """input_ids and targets (B, T): targets[:, t] is the token that follows input_ids[:, t].

    -100 stands where a window is longer than the text. Targets that are not the inputs one place on
    (not shifted, shifted twice, shifted back) are a ValueError.
    """

    input_ids: np.ndarray
    targets: np.ndarray

    def shard(self, k: int, n: int) -> "NextTokenBatch":
        """Rows of worker k of n: every row is in one share, sizes differ by at most one."""
        rows = shard_rows(len(self.input_ids), k, n)
        return NextTokenBatch(self.input_ids[rows], self.targets[rows])

    def __post_init__(self):
        following, targets = self.input_ids[:, 1:], self.targets[:, :-1]
        if self.input_ids.shape != self.targets.shape or not np.array_equal(
                following[targets != IGNORED], targets[targets != IGNORED]):
            raise ValueError("NextTokenBatch: targets must be the inputs shifted by one: "
                             "targets[:, t] == input_ids[:, t + 1]")


class NextTokenObjective:
    """Windows over the training text, a pure function of (seed, step).

    train, held_out: texts. The stream of ids has a separator before each text, so that a text's
    first token is predicted, too, and the windows over the held-out stream score each token once.

    Each epoch cuts the training stream into windows from a new random place on and shuffles them:
    every token is read once an epoch (but for less than a window at either end). Windows drawn
    one by one at random places would leave out 1/e of the tokens in the first epoch.
    """

    name = "gpt"
    metric_for_best_model, greater_is_better = "loss", False

    def __init__(self, tokenizer: Tokenizer, train: Sequence[str], held_out: Sequence[str],
                 context: int, batch_size: int, seed: int = 0):
        if context < 1:
            raise InputError(f"context {context}: a window needs at least 1 token")
        self.tokenizer = tokenizer
        self.context, self.batch_size, self.seed = context, batch_size, seed
        self.train_ids = token_stream(tokenizer, train)
        self.held_out_ids = token_stream(tokenizer, held_out)
        self.n_held_out_characters = n_characters(held_out)
        if len(self.train_ids) <= context:
            raise InputError(f"the training text has {len(self.train_ids)} tokens, too short for "
                             f"one window of {context} and the token after it; give a longer text "
                             "or a shorter context")
        if len(self.held_out_ids) < 2:
            raise InputError("the held-out text has no token to predict; give a longer text")
        # one window fewer than fit: the room that is left is where the first one may start
        self.n_per_epoch = max((len(self.train_ids) - 1) // context - 1, 1)
        self._latest_epoch: tuple[int, np.ndarray | None] = (-1, None)

    def batch(self, step: int) -> NextTokenBatch:
        """The training batch of a step."""
        windows = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epoch, place = np.divmod(windows, self.n_per_epoch)
        first = np.concatenate([self._epoch(e)[place[epoch == e]] for e in np.unique(epoch)])
        ids = self.train_ids[first[:, None] + np.arange(self.context + 1)]  # (B, T + 1)
        ids = ids.astype(np.int64)
        return NextTokenBatch(ids[:, :-1], ids[:, 1:])

    def _epoch(self, epoch: int) -> np.ndarray:
        """Where the windows of an epoch start, in the order in which they are read."""
        known, starts = self._latest_epoch
        if epoch != known:
            rng = generator(self.seed, Purpose.WINDOWS, int(epoch))
            room = len(self.train_ids) - 1 - self.n_per_epoch * self.context
            first = rng.integers(0, room + 1)
            starts = first + self.context * rng.permutation(self.n_per_epoch)
            self._latest_epoch = (epoch, starts)
        return starts

    def held_out_batches(self) -> Iterator[NextTokenBatch]:
        """The whole held-out stream, window after window; every token but the first is a target."""
        n_targets = len(self.held_out_ids) - 1
        n_windows = -(-n_targets // self.context)
        stream = np.full(n_windows * self.context + 1, self.tokenizer.sep_token_id, dtype=np.int64)
        stream[:n_targets + 1] = self.held_out_ids
        targets = stream[1:].copy()
        targets[n_targets:] = IGNORED  # the filling at the end of the last window
        inputs = stream[:-1].reshape(n_windows, self.context)
        targets = targets.reshape(n_windows, self.context)
        for start in range(0, n_windows, HELD_OUT_BATCH):
            rows = slice(start, start + HELD_OUT_BATCH)
            yield NextTokenBatch(inputs[rows], targets[rows])

    def counts(self, batch: NextTokenBatch) -> dict[str, int]:
        """What the loss is divided by: the tokens that are predicted."""
        return {"tokens": int((batch.targets != IGNORED).sum())}

    def losses(self, model: GPT2LMHeadModel, batch: NextTokenBatch,
               rng: np.random.Generator | None = None) -> LossesAndMetrics:
        """The sum of the loss; there are no metrics besides."""
        return {"tokens": model.next_token_loss(batch.input_ids, batch.targets, rng=rng)}, {}

    def summary(self, loss_sums: dict[str, float], counts: dict[str, int],
                metric_sums: dict[str, float]) -> dict[str, float]:
        """What is reported, from sums over all held-out batches: loss and bits_per_character."""
        bits = loss_sums["tokens"] / math.log(2)
        return {"loss": loss_sums["tokens"] / max(counts["tokens"], 1),
                "bits_per_character": bits / self.n_held_out_characters}

    def first_examples(self, n: int = 3) -> list[str]:
        """The first training windows in words, and what the model learns to say at their end."""
        batch = self.batch(0)
        examples = []
        for row in range(min(n, self.batch_size)):
            last = self.tokenizer.convert_ids_to_tokens(batch.targets[row, -1])
            examples.append(f"{self.tokenizer.decode(batch.input_ids[row])!r}\n"
                            f"  next, after the last token: {last!r}")
        return examples

    def describe(self) -> list[str]:
        """What there is to learn from, one fact a line."""
        # GPT-2's tokenizer knows every byte, and calls its separator the unknown token.
        unknown = {self.tokenizer.unk_token_id} - {self.tokenizer.sep_token_id}
        lines = []
        for name, ids in (("training", self.train_ids), ("held out", self.held_out_ids)):
            share = np.isin(ids, list(unknown)).mean()
            lines.append(f"{name}: {len(ids):,} tokens, {share:.2%} of them unknown")
        lines.append(f"{len(self.held_out_ids) / self.n_held_out_characters:.3f} tokens for each "
                     f"of the {self.n_held_out_characters:,} held-out characters")
        return lines


def token_stream(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """All texts as one array of ids, a separator before each (and so between any two)."""
    ids = array("i")  # 4 bytes each; line by line, so that a text is never a list of Python numbers
    for text in texts:
        ids.append(tokenizer.sep_token_id)
        for line in _LINES.finditer(text):
            ids.extend(tokenizer.encode(line.group(), add_special_tokens=False))
    stream = np.asarray(ids)  # the same memory
    stream.setflags(write=False)
    return stream


def n_characters(texts: Sequence[str]) -> int:
    """Characters that the stream stands for: those of the texts and one for each separator
    between two of them."""
    return sum(map(len, texts)) + max(len(texts) - 1, 0)
