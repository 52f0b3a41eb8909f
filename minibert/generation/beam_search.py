"""Beam search: the `num_beams` likeliest texts, extended side by side.

At each step the best `num_beams` of all continuations of all beams are kept; those among the best
that reach an end token are finished. The score of a text is its log-probability divided by its
length to the power of `length_penalty`, as in Hugging Face (Wu et al. 2016, section 7, equation 14,
has another form of the length). The search stops as Hugging Face's does.
"""

from __future__ import annotations

from operator import itemgetter

import numpy as np

from minibert.generation.config import GenerationConfig
from minibert.generation.decoding import GrowingTexts
from minibert.generation.sampling import (log_probabilities, only_token, with_repetition_penalty,
                                          without_tokens)


class FinishedTexts:
    """The best `most` finished texts of one prompt, the best one first."""

    def __init__(self, most: int):
        self.most = most
        self.texts: list[tuple[float, np.ndarray]] = []  # (score, new tokens)
        self.closed = False

    def add(self, score: float, tokens: np.ndarray) -> None:
        """Keep a finished text, if it is among the best and the search is not over."""
        if not self.closed:
            self.texts.append((score, tokens))
            self.texts.sort(key=itemgetter(0), reverse=True)  # of equal ones the first stays before
            del self.texts[self.most:]

    def close_if_done(self, best_log_p: float, length: int, longest: int,
                      config: GenerationConfig) -> None:
        """End the search if `most` are found and `early_stopping` is True, or the best running
        beam, with log-probability `best_log_p`, cannot get a better score than the worst of them:
        at its present length (False), or at the length that is best for it ("never")."""
        if len(self.texts) < self.most:
            return
        if config.early_stopping == "never" and config.length_penalty > 0:
            length = longest
        hopeless = best_log_p / length**config.length_penalty <= self.texts[-1][0]
        self.closed |= config.early_stopping is True or hopeless


def beam_search(texts: GrowingTexts, config: GenerationConfig, new_tokens: int,
                ends: np.ndarray) -> list[FinishedTexts]:
    """The best continuations of each prompt. The rows of `texts` are the beams, `num_beams`
    neighbours for one prompt; `ends` are the tokens that end a text."""
    K, prompt = config.num_beams, texts.ids.shape[1]
    finished = [FinishedTexts(K) for _ in range(len(texts.ids) // K)]
    log_p = np.full((len(finished), K), -np.inf)
    log_p[:, 0] = 0  # all beams begin alike: only the first one counts
    for step in range(1, new_tokens + 1):
        # As in Hugging Face, the repetition penalty applies to log-probabilities, which are not
        # normalized again.
        next_log_p = log_probabilities(texts.next_logits())  # (B K, V)
        next_log_p = with_repetition_penalty(next_log_p, texts.ids, config.repetition_penalty,
                                             texts.mask)
        next_log_p = without_tokens(next_log_p, config.suppress_tokens)
        forced = config.forced_token(texts.ids.shape[1], step == new_tokens)
        next_log_p = only_token(next_log_p, forced)
        total = log_p[:, :, None] + next_log_p.reshape(*log_p.shape, -1)
        V = total.shape[2]
        rows, tokens = np.empty((2, len(finished), K), np.int64)
        for b, found in enumerate(finished):
            # at most len(ends) of a beam's candidates end a text, so at least K of these do not
            beams, new = np.divmod(_largest(total[b].reshape(-1), (1 + len(ends)) * K), V)
            values = total[b, beams, new]
            ended = np.isin(new, ends) | (step == new_tokens)
            for i in np.flatnonzero(ended[:K] & (values[:K] > -np.inf)):
                text = texts.ids[b * K + beams[i], prompt:]
                found.add(values[i] / step**config.length_penalty, np.append(text, new[i]))
            going_on = np.argsort(ended, kind="stable")[:K]
            log_p[b] = np.where(ended, -np.inf, values)[going_on]
            rows[b], tokens[b] = b * K + beams[going_on], new[going_on]
            found.close_if_done(log_p[b].max(), step, new_tokens, config)
        if all([found.closed for found in finished]):
            break
        texts.reorder(rows.reshape(-1))
        texts.append(tokens.reshape(-1))
    return finished


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """(N,) -> (count,): the indices of the largest values in descending order; of equal values the
    first comes first."""
    count = min(count, len(values))
    candidates = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return candidates[np.argsort(-values[candidates], kind="stable")[:count]]
