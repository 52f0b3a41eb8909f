"""What whole, clean stories tell about the hidden states behind them, exactly.

A story is a run of sentences as they stand in one document of a World; where each sentence ends is
known, and its words are read as they are. That is enough to answer, as well as anyone can, what a
story is about: tasks whose labels depend on the hidden states have their best possible score here.

The forward-backward algorithm (Rabiner 1989, section III) goes from sentence to sentence:

    f_1 = opening              f_k+1 = (f_k L_k) between      f_k(s): p(first state s of sentence k,
    b_K = 1                    b_k-1 = between (L_k b_k)                the sentences before it)
                                                              b_k(e): p(the sentences after it |
    L_k[s, e] = p(the words of sentence k, its last state e             last state e of sentence k)
                  | its first state s)

L_k itself is never written down: `forward` and `backward` carry a row or a column of it through the
words. Letters: B stories or sentences, K sentences in a story, L words in a sentence, S states, N
starts, E ends.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from minibert.errors import InputError
from minibert.toy_world.hidden_markov_model import World
from minibert.toy_world.oracle import ROWS_AT_A_TIME

Stories = Sequence[Sequence[str]]


class StoryOracle:
    """Exact probabilities for the stories that `world` tells."""

    def __init__(self, world: World):
        self.world = world
        self.column = {word: column for column, word in enumerate(world.words)}
        self.inner_transposed = world.inner.T.tocsr()

    # ---- stories: all with the same number of sentences ----

    def next_first_states(self, stories: Stories) -> np.ndarray:
        """(B, N): p(the first state of the sentence that comes next | the story)."""
        first, last = self._forward_messages(stories)
        return last[:, -1] @ self.world.between

    def last_states(self, stories: Stories) -> np.ndarray:
        """(B, K, E): p(the last state of each sentence | the whole story)."""
        _, last = self._forward_messages(stories)
        return _normalised(last * self._backward_messages(stories))

    def word_states(self, stories: Stories, groups: np.ndarray) -> list[np.ndarray]:
        """For each story (words, G): p(the state behind each word is of a group | the whole story);
        groups (S, G), 1 where a state belongs to one."""
        first, _ = self._forward_messages(stories)
        after = self._backward_messages(stories)
        found = [[] for _ in stories]
        for k, sentences in enumerate(zip(*stories)):
            posteriors = self._word_states(first[:, k], sentences, after[:, k], groups)
            for row, posterior in enumerate(posteriors):
                found[row].append(posterior)
        return [np.concatenate(posteriors) for posteriors in found]

    def _forward_messages(self, stories: Stories) -> tuple[np.ndarray, np.ndarray]:
        """(B, K, N): p(first state of sentence k | those before it), and (B, K, E): p(last state of
        sentence k | it and those before it)."""
        if len({len(story) for story in stories}) != 1:
            raise InputError("the story oracle reads stories of one length, one sentence or more: "
                             f"got {sorted({len(story) for story in stories})} sentences")
        first = np.tile(self.world.opening, (len(stories), 1))
        firsts, lasts = [], []
        for sentences in zip(*stories):
            firsts.append(first)
            lasts.append(_normalised(self.forward(first, sentences)))
            first = lasts[-1] @ self.world.between
        return np.stack(firsts, axis=1), np.stack(lasts, axis=1)

    def _backward_messages(self, stories: Stories) -> np.ndarray:
        """(B, K, E), proportional to p(the sentences after k | last state of k)."""
        after = [np.ones((len(stories), len(self.world.ends)))]
        for sentences in list(zip(*stories))[:0:-1]:
            here = self.backward(sentences, after[-1])
            after.append(_normalised(here @ self.world.between.T))
        return np.stack(after[::-1], axis=1)

    # ---- sentences ----

    def forward(self, first: np.ndarray, sentences: Sequence[str]) -> np.ndarray:
        """first (B, N), for each sentence the weights of its first states -> (B, E): the same
        carried to its last states, times the probability of all its words. Errors: words or
        sentences that the world cannot write."""
        last = np.empty((len(sentences), len(self.world.ends)))
        for rows, words in self._groups(sentences):
            message = np.zeros((self.world.num_states, len(rows)))
            message[self.world.starts] = first[rows].T
            for place, emission in enumerate(words):
                message = message if place == 0 else self.inner_transposed @ message
                message = message * emission
            last[rows] = message[self.world.ends].T
        if not (last.sum(axis=1) > 0.0).all():
            wrong = sentences[int(np.argmin(last.sum(axis=1)))]
            raise InputError(f"the world cannot write this sentence here: {wrong!r:.80}")
        return last

    def backward(self, sentences: Sequence[str], last: np.ndarray) -> np.ndarray:
        """last (B, E), for each sentence a value of its last states -> (B, N): its expectation,
        times the probability of all its words, from each first state on."""
        first = np.empty((len(sentences), len(self.world.starts)))
        for rows, words in self._groups(sentences):
            message = self._ending(last[rows])
            for emission in words[:0:-1]:
                message = self.world.inner @ (message * emission)
            first[rows] = (message * words[0])[self.world.starts].T
        return first

    def _word_states(self, first: np.ndarray, sentences: Sequence[str], last: np.ndarray,
                     groups: np.ndarray) -> list[np.ndarray]:
        """(L, G) for each sentence, from the weights of its first states and the values of its last
        ones."""
        found = [None] * len(sentences)
        for rows, words in self._groups(sentences):
            after = [self._ending(last[rows])]
            for emission in words[:0:-1]:
                after.append(self.world.inner @ (after[-1] * emission))
            message = np.zeros((self.world.num_states, len(rows)))
            message[self.world.starts] = first[rows].T
            posterior = []
            for place, emission in enumerate(words):
                message = message if place == 0 else self.inner_transposed @ message
                message = message * emission
                both = message * after[-1 - place]
                posterior.append((groups.T @ both / both.sum(axis=0)).T)  # (b, G)
            for row, of_row in zip(rows, np.stack(posterior, axis=1)):
                found[row] = of_row
        return found

    def _ending(self, last: np.ndarray) -> np.ndarray:
        """(B, E) -> (S, B), zero where a sentence cannot end."""
        message = np.zeros((self.world.num_states, len(last)))
        message[self.world.ends] = last.T
        return message

    def _groups(self, sentences: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(row numbers (b,), p(word | state) (L, S, b)) for sentences of equal length at a time."""
        ids = [[self._id(word) for word in sentence.split(" ")] for sentence in sentences]
        lengths = np.array([len(row) for row in ids])
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            for start in range(0, len(rows), ROWS_AT_A_TIME):
                some = rows[start:start + ROWS_AT_A_TIME]
                columns = np.array([ids[row] for row in some]).T  # (L, b)
                yield some, self.world.emission[:, columns].transpose(1, 0, 2)

    def _id(self, word: str) -> int:
        if word not in self.column:
            raise InputError(f"the world has no word {word!r:.40}")
        return self.column[word]


def _normalised(values: np.ndarray) -> np.ndarray:
    """Divided by the sum over the last axis."""
    return values / values.sum(axis=-1, keepdims=True)
