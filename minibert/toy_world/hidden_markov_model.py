"""A world that writes: a hidden Markov model over words, with sentences and documents.

A hidden state says where a sentence stands and what it is about; each state emits one word. Inside
a sentence the state moves by `inner`; from the state of a sentence's last word, `between` leads to
the first state of the next sentence, and what the two share (the topic, the character) is what
makes neighbouring sentences belong together. A document ends after each sentence with the same
probability, so a document's length tells nothing about its words.

Two stationary distributions follow, and both are solved for, not simulated:

- `opening`: the state of a sentence's first word. Documents begin with it too, so that every run of
  sentences inside a document has this same prior, wherever it was cut out.
- `stationary`: the state at a random place of the endless stream "[SEP] document [SEP] document",
  with the separator as one more state (the last). A window that starts anywhere has this prior.
"""

import numpy as np
from scipy import sparse


class World:
    """words (W strings); emission (S, W); inner (S, S) sparse, rows of the end states empty;
    starts, ends: state numbers; between (len(ends), len(starts)); document_end: the probability
    that a sentence is its document's last."""

    def __init__(
        self,
        words: list[str],
        emission: np.ndarray,
        inner: sparse.spmatrix,
        starts: np.ndarray,
        ends: np.ndarray,
        between: np.ndarray,
        document_end: float,
    ):
        self.words = list(words)
        self.emission = np.asarray(emission, dtype=np.float64)
        self.inner = _canonical(inner)
        self.starts = np.asarray(starts)
        self.ends = np.asarray(ends)
        self.between = np.asarray(between, dtype=np.float64)
        self.document_end = float(document_end)
        self._check()
        self.opening, self.stationary = self._stationary_distributions()

    @property
    def num_states(self) -> int:
        return len(self.emission)

    def _check(self) -> None:
        leaving = np.asarray(self.inner.sum(axis=1)).ravel()
        leaving[self.ends] += 1.0
        if len(set(self.words)) != len(self.words):
            raise ValueError("World: a word occurs twice in the list of words")
        if not 0.0 < self.document_end < 1.0:
            raise ValueError(f"World: document_end is {self.document_end}, not between 0 and 1")
        sums = {
            "emission": self.emission.sum(axis=1),
            "inner": leaving,
            "between": self.between.sum(axis=1),
        }
        for name, rows in sums.items():
            if not np.allclose(rows, 1.0, atol=1e-12):
                raise ValueError(
                    f"World: the rows of {name} must sum to 1 (end states leave by between only)"
                )

    def _stationary_distributions(self) -> tuple[np.ndarray, np.ndarray]:
        """-> opening (len(starts),), stationary (S + 1,)."""
        from scipy.sparse.linalg import splu  # here, for it loads much that few commands need

        S, N = self.num_states, len(self.starts)
        # Expected visits within one sentence, v = start + v @ inner, solved for every start: (S, N)
        from_start = np.zeros((S, N))
        from_start[self.starts, np.arange(N)] = 1.0
        visits = splu(sparse.csc_matrix(sparse.identity(S) - self.inner.T)).solve(from_start)
        next_start = visits[self.ends].T @ self.between  # (N, N), from first state to first state
        # opening @ next_start = opening, and its entries sum to 1: one equation replaced by the sum
        equations = next_start.T - np.eye(N)
        equations[-1] = 1.0
        opening = np.linalg.solve(equations, np.eye(N)[-1])
        opening = np.maximum(opening, 0.0) / np.maximum(opening, 0.0).sum()
        # Per sentence: the expected visits of every state, and document_end separators
        stream = np.append(visits @ opening, self.document_end)
        return opening, stream / stream.sum()

    def longest_sentence(self) -> int:
        """The largest number of words a sentence can have, the last (".") included; 0: no bound."""
        reached = np.isin(np.arange(self.num_states), self.starts).astype(np.float64)
        for length in range(1, self.num_states + 1):
            reached = (self.inner.T @ reached > 0).astype(np.float64)
            if not reached.any():
                return length
        return 0

    def documents(self, count: int, rng: np.random.Generator) -> list[list[str]]:
        """`count` documents, each a list of sentences: words with single blanks between them."""
        return self.stories(rng.geometric(self.document_end, count), rng)[0]

    def stories(self, lengths: np.ndarray, rng: np.random.Generator
                ) -> tuple[list[list[str]], list[list[np.ndarray]]]:
        """For each story i, `lengths[i]` sentences that follow one another in a document; and, in
        the same form, the hidden states behind their words."""
        left = np.array(lengths)  # sentences still to write
        end_row = np.full(self.num_states, -1)
        end_row[self.ends] = np.arange(len(self.ends))
        draw_word, draw_inner = _row_sampler(self.emission), _row_sampler(self.inner)
        draw_between = _row_sampler(self.between)
        state = self.starts[rng.choice(len(self.starts), len(left), p=self.opening)]
        writing = np.arange(len(left))  # the unfinished stories; a round writes a word of each
        rounds = []
        while len(writing):
            rounds.append((writing, draw_word(state, rng), state))
            ended = end_row[state] >= 0
            left[writing[ended]] -= 1
            following = np.empty_like(state)
            following[~ended] = draw_inner(state[~ended], rng)
            following[ended] = self.starts[draw_between(end_row[state[ended]], rng)]
            alive = left[writing] > 0
            state, writing = following[alive], writing[alive]
        story, word, state = (np.concatenate(column) for column in zip(*rounds))
        order = np.argsort(story, kind="stable")  # each story's words together, as written
        story, word, state = story[order], word[order], state[order]
        sentences, states = ([[] for _ in lengths] for _ in range(2))
        start = 0
        for end in np.flatnonzero(end_row[state] >= 0) + 1:
            sentences[story[start]].append(" ".join([self.words[w] for w in word[start:end]]))
            states[story[start]].append(state[start:end])
            start = end
        return sentences, states


def _row_sampler(matrix):
    """-> draw(rows, rng): a random column for each given row of a stochastic matrix."""
    matrix = _canonical(matrix)
    row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    before = np.concatenate([[0.0], np.cumsum(matrix.data)])
    within = before[1:] - before[matrix.indptr[row_of]]  # running sum inside each row, in (0, 1]
    ladder = row_of + within  # increasing over all the rows
    last = matrix.indptr[1:] - 1

    def draw(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        found = np.searchsorted(ladder, rows + rng.random(len(rows)), side="right")
        return matrix.indices[np.clip(found, matrix.indptr[rows], last[rows])]

    return draw


def _canonical(matrix) -> sparse.csr_matrix:
    """A copy with the columns of each row in rising order, none twice and no stored zeros. SciPy
    leaves the order open (1.13.0 does not sort), but draws and sums go by it."""
    matrix = sparse.csr_matrix(matrix, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
