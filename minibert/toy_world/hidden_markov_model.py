"""A hidden Markov model that generates sentences and documents.

Each hidden state emits one word (Rabiner 1989, "A Tutorial on Hidden Markov Models", section II).
Inside a sentence the state changes by the transition matrix `inner`; from the state of a sentence's
last word, `between` leads to the first state of the next sentence. A document ends after each
sentence with the same probability, so its length carries no information about its words.

Two distributions are computed by solving their linear equations:

- `opening`: the state of a sentence's first word. Documents begin with it too, so it is the prior
  of every run of sentences inside a document, wherever the run was cut out.
- `stationary`: the state at a random position of the endless stream "[SEP] document [SEP] document
  ...", with the separator as one more state (the last): the prior of a window of that stream.
"""

import numpy as np


class HiddenMarkovModel:
    """A hidden Markov model over W words with S states, of which N start and E end a sentence.

    words: W strings. emission (S, W): p(word | state). inner (S, S), dense or sparse: transition
    probabilities inside a sentence; the rows of end states are zero. starts (N,), ends (E,): state
    numbers. between (E, N): p(first state of the next sentence | last state of this one).
    document_end: p(a sentence is its document's last). Errors: ValueError where rows do not sum
    to 1, words repeat or document_end is not inside (0, 1).
    """

    sentences_per_segment = 2  # of pairs, whatever their words: then the oracle's prior is exact

    def __init__(self, words: list[str], emission: np.ndarray, inner, starts: np.ndarray,
                 ends: np.ndarray, between: np.ndarray, document_end: float):
        self.words = list(words)
        self.emission = np.asarray(emission, dtype=np.float64)
        self.inner = _canonical(inner)
        self.starts = np.asarray(starts)
        self.ends = np.asarray(ends)
        self.between = np.asarray(between, dtype=np.float64)
        self.document_end = float(document_end)
        self._check()
        self.opening, self.stationary = self._stationary_distributions()
        # the same over all S states: between (S, S), opening (S,)
        between_states = np.zeros((self.num_states, self.num_states))
        between_states[self.ends[:, None], self.starts] = self.between
        self.between_states = _canonical(between_states)
        self.opening_states = np.zeros(self.num_states)
        self.opening_states[self.starts] = self.opening

    @property
    def num_states(self) -> int:
        """S, the number of hidden states."""
        return len(self.emission)

    def _check(self) -> None:
        leaving = np.asarray(self.inner.sum(axis=1)).ravel()
        leaving[self.ends] += 1.0
        if len(set(self.words)) != len(self.words):
            raise ValueError("HiddenMarkovModel: a word occurs twice in the list of words")
        if not 0.0 < self.document_end < 1.0:
            raise ValueError(f"HiddenMarkovModel: document_end is {self.document_end}: expected a "
                             "number between 0 and 1")
        for name, rows in (("emission", self.emission.sum(axis=1)), ("inner", leaving),
                           ("between", self.between.sum(axis=1))):
            if not np.allclose(rows, 1.0, atol=1e-12):
                raise ValueError(f"HiddenMarkovModel: the rows of {name} must sum to 1 (those of "
                                 "end states in inner to 0: between leads on from there)")

    def _stationary_distributions(self) -> tuple[np.ndarray, np.ndarray]:
        """-> opening (N,), stationary (S + 1,)."""
        from scipy import sparse  # here: importing it takes longer than minibert
        from scipy.sparse.linalg import splu

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
        """The largest number of words in a sentence, the last (".") included; 0: no bound."""
        reached = np.isin(np.arange(self.num_states), self.starts).astype(np.float64)
        for length in range(1, self.num_states + 1):
            reached = (self.inner.T @ reached > 0).astype(np.float64)
            if not reached.any():
                return length
        return 0

    def documents(self, count: int, rng: np.random.Generator) -> list[list[str]]:
        """Draw `count` documents, each a list of sentences: words joined by single spaces."""
        return self.stories(rng.geometric(self.document_end, count), rng)[0]

    def stories(self, lengths: np.ndarray, rng: np.random.Generator
                ) -> tuple[list[list[str]], list[list[np.ndarray]]]:
        """Draw stories: runs of lengths[i] consecutive sentences of one document; -> the sentences
        of each story and, in the same form, the states (words,) of each sentence.

        All stories grow in parallel, one word of each at a time.
        """
        remaining = np.array(lengths)  # sentences still to draw
        end_row = np.full(self.num_states, -1)
        end_row[self.ends] = np.arange(len(self.ends))
        draw_word, draw_inner = _row_sampler(self.emission), _row_sampler(self.inner)
        draw_between = _row_sampler(self.between)
        state = self.starts[rng.choice(len(self.starts), len(remaining), p=self.opening)]
        unfinished = np.arange(len(remaining))
        drawn = []
        while len(unfinished):
            drawn.append((unfinished, draw_word(state, rng), state))
            ended = end_row[state] >= 0
            remaining[unfinished[ended]] -= 1
            following = np.empty_like(state)
            following[~ended] = draw_inner(state[~ended], rng)
            following[ended] = self.starts[draw_between(end_row[state[ended]], rng)]
            alive = remaining[unfinished] > 0
            state, unfinished = following[alive], unfinished[alive]
        story, word, state = (np.concatenate(column) for column in zip(*drawn))
        order = np.argsort(story, kind="stable")  # each story's words together, in their order
        story, word, state = story[order], word[order], state[order]
        sentences, states = ([[] for _ in lengths] for _ in range(2))
        start = 0
        for end in np.flatnonzero(end_row[state] >= 0) + 1:
            sentences[story[start]].append(" ".join([self.words[w] for w in word[start:end]]))
            states[story[start]].append(state[start:end])
            start = end
        return sentences, states


def _row_sampler(matrix):
    """-> draw(rows, rng): a random column for each given row of a stochastic matrix, by inversion
    of its cumulative distribution."""
    matrix = _canonical(matrix)
    row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    before = np.concatenate([[0.0], np.cumsum(matrix.data)])
    within = before[1:] - before[matrix.indptr[row_of]]  # running sum inside each row, in (0, 1]
    cumulative = row_of + within  # increasing over all the rows
    last = matrix.indptr[1:] - 1

    def draw(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        found = np.searchsorted(cumulative, rows + rng.random(len(rows)), side="right")
        return matrix.indices[np.clip(found, matrix.indptr[rows], last[rows])]

    return draw


def _canonical(matrix):
    """A copy with the columns of each row in rising order, none twice and no stored zeros. SciPy
    leaves the order open (1.13.0 does not sort), but draws and sums depend on it."""
    from scipy import sparse  # here: importing it takes longer than minibert

    matrix = sparse.csr_matrix(matrix, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
