"""The sense of an ambiguous word, from its vector.

Which bank it is, the river's or the town's, is hidden in the world's state. Two classifiers of the
vectors, with labelled occurrences of each sense, decide others, as many of each sense:

- nearest: the nearer average of NEAREST occurrences of each sense (Euclidean distance);
- linear: the nearer average of LINEAR occurrences, by the distance in which the vectors of one
  sense vary alike in all directions, (x - m)' S^-1 (x - m) with S their pooled covariance (Fisher's
  linear discriminant). It finds the sense also where the vectors vary more in other directions.

A static vector is the same array in every sentence: both averages are equal, and half of the
decisions are right, which is the prior.

Two bounds are exact: the most probable sense given the words up to the occurrence, and given all
words of the text. Since the senses are balanced here, a posterior is divided by the world's prior
of the sense.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minibert.ancestors.answer_key import by_length
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.oracle import Oracle
from minibert.validate import whole_number

NEAREST, LINEAR, DECIDED = 20, 200, 200  # occurrences of each sense of each word
RIDGE = 1e-3  # of the mean variance, added to each
STORIES_AT_A_TIME = 500


class Occurrence(NamedTuple):
    """A word in a text "[SEP] sentences [SEP]", and the topic that it belongs to here."""

    input_ids: tuple[int, ...]
    position: int
    word: str
    topic: int


class WordSenses:
    """Occurrences of the words that have two senses, with the exact bounds.

    nearest, linear, decided: occurrences of each sense of each word; `nearest` are the first of
    `linear`. Errors: InputError for numbers below 1.
    """

    def __init__(self, world: ToyWorld, tokenizer, nearest: int = NEAREST, linear: int = LINEAR,
                 decided: int = DECIDED, seed: int = 0):
        whole_number("decided", decided, 1)
        self.nearest = whole_number("nearest", nearest, 1, whole_number("linear", linear, 1))
        self.oracle, self.groups = Oracle(world, tokenizer), world.topic_groups()
        by_word = world.emission.T @ (world.stationary[:-1, None] * self.groups)  # (W, topics)
        self.priors = {word: p / p.sum() for word, p in zip(world.words, by_word)
                       if (p > 0).sum() == 2}
        self.labelled = self._draw(world, tokenizer, linear, np.random.default_rng([seed, 0]))
        self.decided = self._draw(world, tokenizer, decided, np.random.default_rng([seed, 1]))

    @property
    def words(self) -> list[str]:
        """The words with two senses."""
        return list(self.priors)

    def _draw(self, world: ToyWorld, tokenizer, count: int, rng: np.random.Generator
              ) -> list[Occurrence]:
        topic_of = self.groups.argmax(axis=1)  # (S,)
        found = {(word, topic): [] for word, p in self.priors.items()
                 for topic in np.flatnonzero(p)}
        lengths = np.full(STORIES_AT_A_TIME, 2 * world.sentences_per_segment)
        while min(map(len, found.values())) < count:
            for sentences, states in zip(*world.stories(lengths, rng)):
                words, topics = " ".join(sentences).split(" "), topic_of[np.concatenate(states)]
                ids = tokenizer.convert_tokens_to_ids(words)
                ids = (tokenizer.sep_token_id, *ids, tokenizer.sep_token_id)
                for position, (word, topic) in enumerate(zip(words, topics), 1):
                    if word in self.priors and len(found[word, topic]) < count:
                        found[word, topic].append(Occurrence(ids, position, word, int(topic)))
        return [occurrence for some in found.values() for occurrence in some]

    def by_sense(self, model, occurrences: list[Occurrence]) -> np.ndarray:
        """The vectors of occurrences, (words, 2 senses, occurrences of each, C)."""
        vectors = occurrence_vectors(model, occurrences).astype(np.float64)
        return vectors.reshape(len(self.priors), 2, -1, vectors.shape[1])

    def accuracy(self, model) -> tuple[float, float]:
        """The shares of right decisions, nearest and linear, from model.vectors (see
        ancestors/model.py)."""
        right = np.zeros(2)
        for known, decided in zip(self.by_sense(model, self.labelled),
                                  self.by_sense(model, self.decided)):  # (2, n, C) of a word
            truth, C = np.repeat([0, 1], decided.shape[1]), decided.shape[2]
            for kind, averages, S in ((0, known[:, :self.nearest].mean(axis=1), None),
                                      (1, known.mean(axis=1), pooled_covariance(known))):
                distances = [squared_distances(decided.reshape(-1, C), average, S)
                             for average in averages]
                right[kind] += (np.argmin(distances, axis=0) == truth).sum()
        nearest, linear = right / len(self.decided)
        return float(nearest), float(linear)

    def is_static(self, model) -> bool:
        """Whether the vectors of each word are equal to the bit in all its occurrences."""
        vectors = self.by_sense(model, self.decided)
        return bool((vectors == vectors[:, :1, :1]).all())

    def bounds(self) -> tuple[float, float]:
        """The share of right decisions of the exact posteriors: from the left side and the word
        itself, and from both sides."""
        right = np.zeros(2)
        for rows, ids in by_length([occurrence.input_ids for occurrence in self.decided]):
            for side, posterior in enumerate(self.oracle.state_posteriors(ids, self.groups)):
                for row, occurrence in enumerate([self.decided[i] for i in rows]):
                    prior = self.priors[occurrence.word]
                    p = np.divide(posterior[row, occurrence.position], prior,
                                  out=np.zeros_like(prior), where=prior > 0)
                    right[side] += p.argmax() == occurrence.topic
        left, both = right / len(self.decided)
        return float(left), float(both)


def pooled_covariance(of_sense: list[np.ndarray]) -> np.ndarray:
    """S (C, C): the mean of the covariances of each (n, C), with RIDGE on its diagonal."""
    centred = np.concatenate([some - some.mean(axis=0) for some in of_sense])
    S = centred.T @ centred / len(centred)
    return S + (RIDGE * np.trace(S) / len(S) + np.finfo(float).tiny) * np.eye(len(S))


def squared_distances(x: np.ndarray, average: np.ndarray, S: np.ndarray | None) -> np.ndarray:
    """x (N, C), average (C,) -> (N,): (x - m)' S^-1 (x - m); S None: Euclidean."""
    difference = x - average
    scaled = difference if S is None else np.linalg.solve(S, difference.T).T
    return (difference * scaled).sum(axis=1)


def occurrence_vectors(model, occurrences: list[Occurrence]) -> np.ndarray:
    """The vector of the word in each occurrence, (N, C)."""
    found: list[np.ndarray] = [None] * len(occurrences)
    for rows, ids in by_length([occurrence.input_ids for occurrence in occurrences]):
        vectors = model.vectors(ids)  # (B, T, C)
        for b, i in enumerate(rows):
            found[i] = vectors[b, occurrences[i].position]
    return np.stack(found)
