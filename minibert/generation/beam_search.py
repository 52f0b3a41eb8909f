"""Beam search: not the best next token, but the best few texts so far, side by side.

At each step all continuations of all beams compete; the best `num_beams` go on, and what reaches an
end token among the best is kept as finished. A text's score is its log-probability divided by its
length to the power of `length_penalty` (Wu et al. 2016, section 7, has another form of the length
in its equation 14; Hugging Face's is this one). When to stop follows Hugging Face as well.
"""

from __future__ import annotations

import numpy as np

from minibert.generation.config import GenerationConfig
from minibert.generation.decoding import GrowingTexts
from minibert.generation.sampling import log_probabilities, with_repetition_penalty, without_tokens


class FinishedTexts:
    """The best `most` ends that one prompt has found so far, the best one first."""

    def __init__(self, most: int):
        self.most = most
        self.texts: list[tuple[float, np.ndarray]] = []  # (score, new tokens)
        self.closed = False

    def add(self, score: float, tokens: np.ndarray) -> None:
        if not self.closed:
            self.texts.append((score, tokens))
            self.texts.sort(key=_score, reverse=True)  # of equal ones the first stays before
            del self.texts[self.most:]

    def close_if_done(self, best_log_p: float, length: int, longest: int,
                      config: GenerationConfig) -> None:
        """Stop looking once `most` are found, if `early_stopping`; else once the best running beam,
        with its log-probability, could no longer beat the worst of them: as long as it is now, or
        ("never") at whatever length suits it best."""
        if len(self.texts) < self.most:
            return
        if config.early_stopping == "never" and config.length_penalty > 0:
            length = longest
        hopeless = best_log_p / length**config.length_penalty <= self.texts[-1][0]
        self.closed |= config.early_stopping is True or hopeless


def _score(text: tuple[float, np.ndarray]) -> float:
    return text[0]


def beam_search(texts: GrowingTexts, config: GenerationConfig, new_tokens: int,
                ends: np.ndarray) -> list[FinishedTexts]:
    """The best continuations of each prompt. The rows of `texts` are the beams, `num_beams`
    neighbours for one prompt; `ends` are the tokens that end a text."""
    K, prompt = config.num_beams, texts.ids.shape[1]
    finished = [FinishedTexts(K) for _ in range(len(texts.ids) // K)]
    log_p = np.full((len(finished), K), -np.inf)
    log_p[:, 0] = 0  # all beams begin alike: only the first one counts
    for step in range(1, new_tokens + 1):
        total = log_p[:, :, None] + _next_log_p(texts, config).reshape(*log_p.shape, -1)
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


def _next_log_p(texts: GrowingTexts, config: GenerationConfig) -> np.ndarray:
    """(B K, V). As in Hugging Face, the repetition penalty falls on log-probabilities, which are
    not normalized again."""
    log_p = log_probabilities(texts.next_logits())
    log_p = with_repetition_penalty(log_p, texts.ids, config.repetition_penalty, texts.mask)
    return without_tokens(log_p, config.suppress_tokens)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """(N,) -> (count,): where the largest stand, from the largest down; of equal ones the first
    come first."""
    count = min(count, len(values))
    candidates = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return candidates[np.argsort(-values[candidates], kind="stable")[:count]]
