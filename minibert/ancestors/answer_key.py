"""The distance of a model's predictions to the exact ones, on held-out text of the toy world.

Both distances are means of log p_oracle(w) - log p_model(w) over the same tokens w for every model:
a Kullback-Leibler divergence in expectation, zero for the oracle and never less.

- The next word: consecutive windows of the held-out stream, scored from the first token on; the
  oracle reads the left side, from the window's beginning.
- A gap: runs of whole sentences, "[SEP] 2n sentences [SEP]" with n = `sentences_per_segment` of the
  world (a pair as BERT reads it), one word of each missing; the oracle reads all other words. The
  separators add nothing but that sentences begin and end there: a document's first sentence
  is drawn as any other, and its length does not depend on its words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.errors import InputError
from minibert.pretraining.gpt_objective import NextTokenObjective
from minibert.toy_world.hidden_markov_model import HiddenMarkovModel
from minibert.toy_world.oracle import Oracle

ROWS_AT_A_TIME = 64


class Gaps(NamedTuple):
    """Rows of one length, the position of the gap in each, and the oracle's log p of its word."""

    input_ids: np.ndarray  # (B, T), the word in the gap included
    positions: np.ndarray  # (B,)
    log_p: np.ndarray  # (B,)

    @property
    def words(self) -> np.ndarray:
        """The words in the gaps, (B,)."""
        return self.input_ids[np.arange(len(self.positions)), self.positions]


class AnswerKey:
    """Held-out text with the oracle's answers. texts: documents, as lists of sentences.

    Errors: InputError where no document has a whole run, and those of Oracle.
    """

    def __init__(self, world: HiddenMarkovModel, tokenizer, documents: Sequence[Sequence[str]],
                 context: int, seed: int = 0):
        self.oracle, self.sentences = Oracle(world, tokenizer), world.sentences_per_segment
        texts = [" ".join(document) for document in documents]
        # The objective cuts the stream; nothing is trained on it.
        windows = NextTokenObjective(tokenizer, texts, texts, context, 1)
        self.windows = list(windows.held_out_batches())
        self.window_log_p = [self.oracle.next_token(batch.input_ids, batch.targets)
                             for batch in self.windows]
        rng, self.gaps = np.random.default_rng(seed), []
        for _, rows in by_length(runs(tokenizer, documents, 2 * world.sentences_per_segment)):
            positions = rng.integers(1, rows.shape[1] - 1, len(rows))
            _, both = self.oracle.leave_one_out(rows)
            self.gaps.append(Gaps(rows, positions, both[np.arange(len(rows)), positions]))

    def next_word_distance(self, model) -> float:
        """Nats of a token above the oracle. model: see ancestors/model.py."""
        total = count = 0
        for batch, best in zip(self.windows, self.window_log_p):
            scored = batch.targets != IGNORE_INDEX
            words = np.where(scored, batch.targets, 0)[..., None]
            log_p = np.take_along_axis(model.next_word(batch.input_ids), words, axis=-1)[..., 0]
            total += (best - log_p)[scored].sum()
            count += scored.sum()
        return float(total / count)

    def gap_distance(self, model) -> float:
        """Nats of a gap above the oracle. model: see ancestors/model.py."""
        total = count = 0
        for gaps in self.gaps:
            log_p = model.gap(gaps.input_ids, gaps.positions)  # (B, V)
            total += (gaps.log_p - log_p[np.arange(len(log_p)), gaps.words]).sum()
            count += len(log_p)
        return float(total / count)


def runs(tokenizer, documents: Sequence[Sequence[str]], sentences: int) -> list[list[int]]:
    """The ids of "[SEP] so many sentences [SEP]": the consecutive runs of each document, what is
    left at its end dropped. Errors: InputError where there is none."""
    separator, found = [tokenizer.sep_token_id], []
    for document in documents:
        for start in range(0, len(document) - sentences + 1, sentences):
            text = " ".join(document[start:start + sentences])
            ids = tokenizer.encode(text, add_special_tokens=False)
            found.append(separator + ids + separator)
    if not found:
        raise InputError(f"no held-out document has {sentences} sentences: give more documents")
    return found


def by_length(rows: Sequence[Sequence[int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the rows of each length, at most ROWS_AT_A_TIME at a time: their numbers (B,), and
    the rows (B, T)."""
    lengths = np.array([len(row) for row in rows])
    for length in np.unique(lengths):
        numbers = np.flatnonzero(lengths == length)
        for start in range(0, len(numbers), ROWS_AT_A_TIME):
            some = numbers[start:start + ROWS_AT_A_TIME]
            yield some, np.array([rows[i] for i in some], np.int64)
