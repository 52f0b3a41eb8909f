"""Exact posteriors of the hidden states behind whole, clean stories.

A story is a run of consecutive sentences of one document; sentence boundaries are known and no word
is corrupted. The posteriors give the best possible score of every task whose labels are functions
of the hidden states. They are computed by the forward-backward algorithm (Rabiner 1989, section
III): p(state at t | the story) is proportional to f_t(s) b_t(s), with

    f_t(s) = p(state s at t, the words up to t)        b_t(s) = p(the words after t | state s at t)

Letters: B stories or sentences, K sentences in a story, T words in a story, S states, N start
states, E end states, G groups of states, W words of the world.
"""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from minibert.errors import InputError
from minibert.toy_world.hidden_markov_model import HiddenMarkovModel

STORIES_AT_A_TIME = 16  # keeps the messages of a block in cache

Stories = Sequence[Sequence[str]]


class StoryOracle:
    """Exact posteriors for stories of `world`, a HiddenMarkovModel.

    A sentence is a string of words joined by single spaces. Errors: InputError for unknown words
    and for sentences of probability 0.
    """

    def __init__(self, world: HiddenMarkovModel):
        self.world = world
        self.column = {word: column for column, word in enumerate(world.words)}
        self.chain = world.inner + world.between_states  # (S, S): a document without an end
        is_end = np.isin(np.arange(world.num_states), world.ends)[:, None]  # (S, 1)
        # p(word | state) inside of a sentence, at its end, and behind the story: (S, 2 W + 1)
        self.evidence = np.hstack([world.emission * ~is_end, world.emission * is_end,
                                   np.ones((world.num_states, 1))])

    def next_first_states(self, stories: Stories) -> np.ndarray:
        """Compute p(first state of the sentence after the story | the story), (B, N). Errors: also
        stories with different numbers of sentences."""
        return self.last_states(stories)[:, -1] @ self.world.between

    def last_states(self, stories: Stories) -> np.ndarray:
        """Compute p(last state of each sentence | the whole story), (B, K, E). Errors: also stories
        with different numbers of sentences, or none."""
        if len({len(story) for story in stories}) != 1:
            raise InputError(f"story oracle: stories of {sorted({len(s) for s in stories})} "
                             "sentences: expected stories of one length, one sentence or more")
        found = []
        for block in _blocks(stories):
            of_ends = np.stack([p[self.world.ends] for p in self._posteriors(block)])  # (T, E, b)
            found += [of_ends[np.flatnonzero(_is_last(story)), :, row]
                      for row, story in enumerate(block)]
        return np.stack(found)

    def word_states(self, stories: Stories, groups: np.ndarray) -> list[np.ndarray]:
        """Compute for each story p(the state of each word is in a group | the whole story), (T, G).
        groups (S, G): 1 where a state belongs to a group; np.eye(S) gives every state's."""
        found = []
        for block in _blocks(stories):
            of_groups = np.stack([groups.T @ p for p in self._posteriors(block)])  # (T, G, b)
            found += [of_groups[:len(_is_last(story)), :, row] for row, story in enumerate(block)]
        return found

    def likelihood(self, sentences: Sequence[str]) -> np.ndarray:
        """Compute p(sentence | its first state), (B, N)."""
        found = []
        for block in _blocks([[sentence] for sentence in sentences]):
            first, *others = self._evidence(block)
            after = np.ones_like(first)
            for here in others[::-1]:
                after = self.chain @ (here * after)
            found.append((first * after)[self.world.starts].T)
        return np.concatenate(found)

    def _posteriors(self, stories: Stories) -> list[np.ndarray]:
        """p(state at t | the story), T arrays (S, B). Both messages are divided by p(word t | the
        words before t), and so their product sums to 1."""
        evidence, forward, scales = self._evidence(stories), [], []
        message, transposed = self.world.opening_states[:, None], self.chain.T
        for t, here in enumerate(evidence):
            message = message * here
            scales.append(message.sum(axis=0))  # (B,)
            if not scales[-1].all():
                story = stories[int(np.argmin(scales[-1]))]
                wrong = story[sum(_is_last(story)[:t])]
                raise InputError(f"story oracle: {wrong!r:.80} has probability 0 here: give "
                                 "sentences of the world's own documents")
            forward.append(message / scales[-1])
            message = transposed @ forward[-1]
        posteriors, backward = [], np.ones_like(message)
        for here, before, scale in zip(evidence[::-1], forward[::-1], scales[::-1]):
            posteriors.append(before * backward)
            backward = self.chain @ (here * backward / scale)
        return posteriors[::-1]

    def _evidence(self, stories: Stories) -> list[np.ndarray]:
        """p(word t | state), T arrays (S, B): 0 for end states inside of a sentence and all others
        at its end; 1 behind the last word of a shorter story."""
        rows = []
        for story in stories:
            words = " ".join(story).split(" ")
            if not self.column.keys() >= set(words):
                unknown = next(word for word in words if word not in self.column)
                raise InputError(f"story oracle: the world has no word {unknown!r:.40}")
            rows.append([self.column[word] + last * len(self.column)
                         for word, last in zip(words, _is_last(story))])
        return [self.evidence[:, columns] for columns in zip_longest(*rows, fillvalue=-1)]


def _blocks(stories: Stories) -> list[Stories]:
    return [stories[at:at + STORIES_AT_A_TIME] for at in range(0, len(stories), STORIES_AT_A_TIME)]


def _is_last(story: Sequence[str]) -> list[bool]:
    """Mark the last word of each sentence among the words of a story, (T,)."""
    return [last for sentence in story for last in [False] * sentence.count(" ") + [True]]
