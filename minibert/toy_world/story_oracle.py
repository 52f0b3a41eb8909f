"""Exact posteriors of the hidden states behind whole, clean stories.

A story is a run of consecutive sentences of one document; sentence boundaries are known and no word
is corrupted. The posteriors give the best possible score of every task whose labels are functions
of the hidden states.

The forward-backward algorithm (Rabiner 1989, section III) proceeds sentence by sentence:

    f_1 = opening              f_k+1 = (f_k L_k) between      f_k(s): p(first state s of sentence k,
    b_K = 1                    b_k-1 = between (L_k b_k)                the sentences before it)
                                                              b_k(e): p(the sentences after it |
    L_k[s, e] = p(the words of sentence k, its last state e             last state e of sentence k)
                  | its first state s)

L_k is never stored: `forward` and `backward` multiply by it word by word. Letters: B stories or
sentences, K sentences in a story, L words in a sentence, S states, N start states, E end states,
G groups of states.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from minibert.errors import InputError
from minibert.toy_world.hidden_markov_model import HiddenMarkovModel
from minibert.toy_world.oracle import ROWS_AT_A_TIME

Stories = Sequence[Sequence[str]]


class StoryOracle:
    """Exact posteriors for stories of `world`, a HiddenMarkovModel.

    All stories of a call have the same number K of sentences; a sentence is a string of words
    joined by single spaces. Errors: InputError for unequal or empty stories, for unknown words and
    for sentences of probability 0.
    """

    def __init__(self, world: HiddenMarkovModel):
        self.world = world
        self.column = {word: column for column, word in enumerate(world.words)}
        self.inner_transposed = world.inner.T.tocsr()

    # ---- stories: all with the same number of sentences ----

    def next_first_states(self, stories: Stories) -> np.ndarray:
        """Compute p(first state of the sentence after the story | the story), (B, N)."""
        _, last = self._forward_messages(stories)
        return last[:, -1] @ self.world.between

    def last_states(self, stories: Stories) -> np.ndarray:
        """Compute p(last state of each sentence | the whole story), (B, K, E)."""
        _, last = self._forward_messages(stories)
        return _normalised(last * self._backward_messages(stories))

    def word_states(self, stories: Stories, groups: np.ndarray) -> list[np.ndarray]:
        """Compute for each story p(the state of each word is in a group | the whole story), (words,
        G). groups (S, G): 1 where a state belongs to a group; np.eye(S) gives every state's."""
        first, _ = self._forward_messages(stories)
        after = self._backward_messages(stories)
        found = [[] for _ in stories]
        for k, sentences in enumerate(zip(*stories)):
            posteriors = self._word_states(first[:, k], sentences, after[:, k], groups)
            for row, posterior in enumerate(posteriors):
                found[row].append(posterior)
        return [np.concatenate(posteriors) for posteriors in found]

    def _forward_messages(self, stories: Stories) -> tuple[np.ndarray, np.ndarray]:
        """p(first state of sentence k | the sentences before it), (B, K, N), and p(last state of
        sentence k | sentences 1 to k), (B, K, E)."""
        if len({len(story) for story in stories}) != 1:
            raise InputError(f"story oracle: stories of {sorted({len(s) for s in stories})} "
                             "sentences: expected stories of one length, one sentence or more")
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
        """Multiply weights of the first states by L: first (B, N) -> (B, E), one sentence a row.
        Errors: InputError for words or sentences of probability 0."""
        last = np.empty((len(sentences), len(self.world.ends)))
        for rows, words in self._groups(sentences):
            last[rows] = self._from_first(first[rows], words)[-1][self.world.ends].T
        if not (last.sum(axis=1) > 0.0).all():
            wrong = sentences[int(np.argmin(last.sum(axis=1)))]
            raise InputError(f"story oracle: {wrong!r:.80} has probability 0 here: give sentences "
                             "of the world's own documents")
        return last

    def backward(self, sentences: Sequence[str], last: np.ndarray) -> np.ndarray:
        """Multiply L by values of the last states: last (B, E) -> (B, N), one sentence a row."""
        first = np.empty((len(sentences), len(self.world.starts)))
        for rows, words in self._groups(sentences):
            message = self._from_last(words, last[rows])[0] * words[0]
            first[rows] = message[self.world.starts].T
        return first

    def _word_states(self, first: np.ndarray, sentences: Sequence[str], last: np.ndarray,
                     groups: np.ndarray) -> list[np.ndarray]:
        """(L, G) for each sentence, from weights of its first and values of its last states."""
        found = [None] * len(sentences)
        for rows, words in self._groups(sentences):
            posterior = []
            for before, after in zip(self._from_first(first[rows], words),
                                     self._from_last(words, last[rows])):
                both = before * after
                posterior.append((groups.T @ both / both.sum(axis=0)).T)  # (b, G)
            for row, of_row in zip(rows, np.stack(posterior, axis=1)):
                found[row] = of_row
        return found

    def _from_first(self, first: np.ndarray, words: np.ndarray) -> list[np.ndarray]:
        """For each word p(the words up to it, its state), (S, b), from weights of first states."""
        message = np.zeros((self.world.num_states, len(first)))
        message[self.world.starts] = first.T
        messages = [message * words[0]]
        for emission in words[1:]:
            messages.append((self.inner_transposed @ messages[-1]) * emission)
        return messages

    def _from_last(self, words: np.ndarray, last: np.ndarray) -> list[np.ndarray]:
        """For each word p(the words after it | its state), (S, b), from values of last states."""
        message = np.zeros((self.world.num_states, len(last)))
        message[self.world.ends] = last.T
        messages = [message]
        for emission in words[:0:-1]:
            messages.append(self.world.inner @ (messages[-1] * emission))
        return messages[::-1]

    def _groups(self, sentences: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(row numbers (b,), p(word | state) (L, S, b)) for sentences of equal length at a time."""
        try:
            ids = [[self.column[word] for word in sentence.split(" ")] for sentence in sentences]
        except KeyError as error:
            raise InputError(f"story oracle: the world has no word {error.args[0]!r:.40}") from None
        lengths = np.array([len(row) for row in ids])
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            for start in range(0, len(rows), ROWS_AT_A_TIME):
                some = rows[start:start + ROWS_AT_A_TIME]
                columns = np.array([ids[row] for row in some]).T  # (L, b)
                yield some, self.world.emission[:, columns].transpose(1, 0, 2)


def _normalised(values: np.ndarray) -> np.ndarray:
    """Divided by the sum over the last axis."""
    return values / values.sum(axis=-1, keepdims=True)
