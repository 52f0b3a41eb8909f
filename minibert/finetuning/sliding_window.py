"""From the outputs of overlapping windows to one prediction for a long text.

A token in the overlap is in two windows; the prediction for it comes from the one in which it has
more context (Google's run_squad.py). Windows are cut as by the tokenizer's call with
`return_overflowing_tokens` and `stride` (Hugging Face's name for the overlap).

Letters: T tokens of a window, K classes.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from minibert.errors import InputError
from minibert.finetuning.examples import Answer
from minibert.tokenizers.truncation import cut_windows


def max_context_windows(windows: Sequence[tuple[int, int]], total: int) -> np.ndarray:
    """The number of the window in which each token of a text has the most context: (total,).

    `windows` are (first token, one after the last). The context is min(tokens to the left, tokens
    to the right) + 0.01 * length of the window, as in run_squad.py: between windows that show
    equally much of both sides the longer one is taken, then the first. Errors: a token in no
    window.
    """
    most, best = np.full(total, -1.0), np.zeros(total, np.int64)
    for number, (start, end) in enumerate(windows):
        place = np.arange(start, end)
        context = np.minimum(place - start, end - 1 - place) + 0.01 * (end - start)
        better = context > most[start:end]
        most[start:end][better] = context[better]
        best[start:end][better] = number
    if (most < 0).any():
        raise InputError(f"token {np.argmin(most)} of {total} is in no window: the windows "
                         f"{list(windows)!r:.60} have a gap")
    return best


def windows_in_context(total: int, length: int, overlap: int) -> list[tuple[int, int, np.ndarray]]:
    """Windows of `length` tokens over a text of `total` tokens: (first token, one after the last,
    (T,) whether each token has its most context in this window)."""
    windows = [(part.start, part.stop) for part, _ in cut_windows(
        range(total), None, length, "only_first", overlap, True)]
    best = max_context_windows(windows, total)
    return [(start, end, best[start:end] == k) for k, (start, end) in enumerate(windows)]


# ---- one class for a text in several windows ---------------------------------------------------


def average_windows(probabilities: np.ndarray, owners: np.ndarray, texts: int) -> np.ndarray:
    """The mean over the windows of each text: (windows, K) -> (texts, K). `owners` (windows,) are
    the numbers of their texts: the tokenizer's overflow_to_sample_mapping."""
    owners, sums = np.asarray(owners), np.zeros((texts, probabilities.shape[1]))
    np.add.at(sums, owners, probabilities)
    return sums / np.bincount(owners, minlength=texts)[:, None]


def vote_windows(probabilities: np.ndarray, owners: np.ndarray, texts: int) -> np.ndarray:
    """The share of the votes of each class, (windows, K) -> (texts, K): every window votes for its
    most probable class. The mean is one more vote, split among the classes, so that of two classes
    with equally many votes the one with the higher mean wins."""
    owners, votes = np.asarray(owners), average_windows(probabilities, owners, texts)
    np.add.at(votes, (owners, probabilities.argmax(axis=1)), 1)
    return votes / (1 + np.bincount(owners, minlength=texts)[:, None])


# ---- the best span for a question --------------------------------------------------------------


class Span(NamedTuple):
    """Tokens `start` to `end`, inclusive, of a window, with start score + end score."""

    score: float
    window: int
    start: int
    end: int


def best_spans(start_scores: Sequence[np.ndarray], end_scores: Sequence[np.ndarray],
               in_passage: Sequence[np.ndarray], is_best: Sequence[np.ndarray],
               longest: int = 30, n_best: int = 20) -> list[Span]:
    """The `n_best` valid spans of all windows by start score + end score, the best first.

    All arrays are (T,), one for each window: the scores; whether a token is of the passage (and not
    of the question, special or padding); whether this is the token's best window. A span is valid
    if it starts no later than it ends, has at most `longest` tokens, lies in the passage, and if
    this is the best window of its first token (as in run_squad.py: so no span is counted twice, and
    none that crosses from one window's tokens to the next is lost). Of equal ones the first, then
    the shorter. A passage without tokens has none.
    """
    found = []
    for window, (starts, ends) in enumerate(zip(start_scores, end_scores)):
        inside = np.asarray(in_passage[window], bool)
        places = np.arange(len(starts))
        last = places[:, None] + np.arange(min(longest, len(starts)))  # (T, longest): ends to try
        within = last < len(starts)
        last = np.minimum(last, len(starts) - 1)
        scores = starts[:, None] + ends[last]
        valid = (inside & is_best[window])[:, None] & within & inside[last]
        scores = np.where(valid, scores, -np.inf).reshape(-1)
        best = np.argsort(-scores, kind="stable")[:min(n_best, np.count_nonzero(valid))]
        found += [Span(float(scores[k]), window, int(k // last.shape[1]), int(last.flat[k]))
                  for k in best]
    return sorted(found, key=attrgetter("score"), reverse=True)[:n_best]  # stable


def null_difference(spans: Sequence[Span], start_scores: Sequence[np.ndarray],
                    end_scores: Sequence[np.ndarray]) -> float:
    """The score of no answer minus that of the best span: no answer is predicted where it is above
    a threshold (SQuAD 2.0; answer_metrics.best_null_threshold finds one).

    No answer is the span of [CLS], token 0; the lowest such score of all windows counts, since one
    window with an answer is enough. Infinite where there is no span.
    """
    null = min([float(starts[0] + ends[0]) for starts, ends in zip(start_scores, end_scores)])
    return null - spans[0].score if spans else float("inf")


def extract_answer(passage: str, offsets: Sequence[tuple[int, int]]) -> Answer:
    """Cut the answer out of a passage, from the first token to the last; `offsets` are the (start,
    end) of the tokens of a span. Blanks at its ends are left off (a token of GPT-2 may begin with
    one)."""
    start, end = offsets[0][0], offsets[-1][1]
    text = passage[start:end]
    start += len(text) - len(text.lstrip())
    return Answer(text.strip(), start)
