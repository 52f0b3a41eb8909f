"""The oracle: exact probabilities for text of a hidden Markov model, which no model can beat.

The best possible prediction of a word is a sum over hidden states, computed by the forward-backward
algorithm (Rabiner 1989, "A Tutorial on Hidden Markov Models and Selected Applications in Speech
Recognition", section III):

    forward    f_t(s) = p(state s at t, the tokens before t)
    backward   b_t(s) = p(the tokens after t | state s at t)
    p(word w at t | all other tokens) is proportional to  sum_s f_t(s) b_t(s) p(w | s)

A masked language model reads corrupted words (pretraining/masked_lm.py). Each ordinary token was
*chosen* with MASK_PROBABILITY, and a chosen token was replaced by [MASK], replaced by a random
ordinary word, or kept. A scored position is known to be chosen; at every other position the
emission is that of both steps together, since the model cannot tell whether it was chosen.

A pair [CLS] A [SEP] B [SEP] has probability one half of "B continues A" and one half of "B is from
another document". Both are one chain whose transition from the last word of A to the first word of
B is the mixture of the two, so that the uncertainty about the pair enters every masked prediction
with its right weight; the two terms of that transition are the next-sentence posterior.

Both chains are sparse matrices p(next state | state): of the stream over S states and the
separator, of pairs over (sentence of the segment, state). Messages are float64 arrays (states, B),
normalised at every step.
"""

import numpy as np

from minibert.autograd.functional import IGNORE_INDEX
from minibert.errors import InputError
from minibert.pretraining.masked_lm import (KEPT, MASK_PROBABILITY, REPLACED_BY_MASK,
                                           REPLACED_BY_RANDOM)
from minibert.toy_world.hidden_markov_model import HiddenMarkovModel

ROWS_AT_A_TIME = 64  # keeps the messages of one block in cache


class Oracle:
    """Exact probabilities for token ids of text that `world` generated: distributions over the
    vocabulary, and the log-probabilities (in nats) of given tokens, which are gathered from them.

    world: a HiddenMarkovModel with S states. tokenizer: each word of the world is one token of its
    vocabulary (V). Pairs have `world.sentences_per_segment` whole sentences in A and as many in B,
    chosen independently of their words: a choice such as "as many as fit" would carry information
    about them. Errors: InputError where the tokenizer splits a word, and in all methods where the
    ids are no text of this world.
    """

    def __init__(self, world: HiddenMarkovModel, tokenizer):
        self.world, self.sentences = world, world.sentences_per_segment
        self.cls_id, self.sep_id = tokenizer.cls_token_id, tokenizer.sep_token_id
        self.mask_id = tokenizer.mask_token_id
        ids = []
        for word in world.words:
            if tokenizer.tokenize(word) != [word]:
                raise InputError(
                    f"oracle: the tokenizer splits {word!r} into {tokenizer.tokenize(word)}: every "
                    "word must be one piece; train the tokenizer on this world's text")
            ids.append(tokenizer.convert_tokens_to_ids(word))
        S, V, K = world.num_states, tokenizer.vocab_size, world.sentences_per_segment
        special = np.isin(np.arange(V), tokenizer.all_special_ids)
        self.n_ordinary = int(V - special.sum())
        # p(id | state) of clean text; the last row is the separator between two documents
        self.emission = np.zeros((S + 1, V))
        self.emission[:S, ids] = world.emission
        self.emission[S, self.sep_id] = 1.0
        # p(corrupted id | state) at a position that may have been chosen or not, for K sentences
        unchanged = 1 - MASK_PROBABILITY + MASK_PROBABILITY * KEPT
        corrupted = self.emission[:S] * unchanged
        corrupted += MASK_PROBABILITY * REPLACED_BY_RANDOM / self.n_ordinary
        corrupted[:, special] = 0.0
        corrupted[:, self.mask_id] = MASK_PROBABILITY * REPLACED_BY_MASK
        self.corrupted_emission = np.tile(corrupted, (K, 1))  # (K S, V)
        from scipy import sparse  # here: importing it takes longer than minibert

        self.emission_transposed = sparse.csr_matrix(self.emission.T)  # (V, S + 1)
        between, opening, end = world.between_states, world.opening_states, world.document_end
        ended = np.isin(np.arange(S), world.ends).astype(np.float64)[:, None]  # (S, 1)
        self.stream = sparse.bmat([[world.inner + (1 - end) * between, end * ended],
                                   [opening[None], None]], format="csr")  # (S + 1, S + 1)
        next_sentence, last_to_first = np.eye(K, k=1), np.eye(K, k=1 - K)
        self.within = sparse.csr_matrix(sparse.kron(np.eye(K), world.inner)
                                        + sparse.kron(next_sentence, between))  # (K S, K S)
        self.across = sparse.csr_matrix(sparse.kron(last_to_first, 0.5 * between
                                                    + 0.5 * sparse.csr_matrix(ended * opening)))

    # ---- the endless stream of documents ----

    def next_token(self, input_ids: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute log p(targets[:, t] | input_ids[:, :t + 1]), (B, T), for windows that start
        anywhere in the stream. input_ids, targets: (B, T); 0 where the target is -100."""
        is_target = targets != IGNORE_INDEX
        p = _gather(self._next_token(input_ids), np.where(is_target, targets, 0))
        return np.log(_possible(np.where(is_target, p, 1.0)))

    def next_token_distribution(self, input_ids: np.ndarray) -> np.ndarray:
        """Compute p(next token | input_ids[:, :t + 1]), (B, T, V); see next_token."""
        p = self._next_token(input_ids)
        _possible(p.sum(axis=-1))
        return p

    def leave_one_out(self, input_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute log p(input_ids[:, t]) given the tokens before t, and given all other tokens of
        its window: two (B, T) arrays. The second sums to the pseudo-log-likelihood of Salazar et
        al. 2020. input_ids (B, T): clean windows that start anywhere in the stream."""
        left, both = self.gap_distributions(input_ids)
        return (np.log(_possible(_gather(left, input_ids))),
                np.log(_possible(_gather(both, input_ids))))

    def gap_distributions(self, input_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute p(token at t | the tokens before t) and p(token at t | all other tokens of its
        window): two (B, T, V) arrays that do not depend on the token at t itself; input_ids as in
        leave_one_out."""
        left, both = (np.zeros((*input_ids.shape, self.emission.shape[1])) for _ in range(2))
        for rows in _blocks(len(input_ids)):
            for t, (forward, backward) in enumerate(zip(*self._stream_messages(input_ids[rows]))):
                left[rows, t] = (self.emission_transposed @ forward).T
                both[rows, t] = (self.emission_transposed @ _normalised(forward * backward)).T
        _possible(left.sum(axis=-1))
        _possible(both.sum(axis=-1))
        return left, both

    def state_posteriors(self, input_ids: np.ndarray, groups: np.ndarray
                         ) -> tuple[np.ndarray, np.ndarray]:
        """Compute p(the state of token t is in a group | the tokens up to t, t included) and
        p(... | all tokens of the window): two (B, T, G) arrays, rows of zeros at separators.
        groups (S, G): 1 where a state belongs to a group (ToyWorld.topic_groups)."""
        groups = np.vstack([groups, np.zeros((1, groups.shape[1]))])  # the separator's state
        left, both = (np.zeros((*input_ids.shape, groups.shape[1])) for _ in range(2))
        for rows in _blocks(len(input_ids)):
            for t, (forward, backward) in enumerate(zip(*self._stream_messages(input_ids[rows]))):
                here = _normalised(forward * self.emission[:, input_ids[rows, t]])
                there = _normalised(here * backward)
                _possible(there.sum(axis=0))
                left[rows, t], both[rows, t] = here.T @ groups, there.T @ groups
        return left, both

    def _next_token(self, input_ids: np.ndarray) -> np.ndarray:
        """(B, T, V); rows of zeros where the tokens so far are no text of this world."""
        p = np.zeros((*input_ids.shape, self.emission.shape[1]))
        for rows in _blocks(len(input_ids)):
            forward = self._stream_start(input_ids[rows])
            for t in range(input_ids.shape[1]):
                forward = self._stream_forward(forward, input_ids[rows, t])
                p[rows, t] = (self.emission_transposed @ forward).T  # (V, S + 1) @ (S + 1, B)
        return p

    def _stream_messages(self, ids: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """f_t and b_t of a block of windows, T arrays (S + 1, B) each."""
        forward, backward = [self._stream_start(ids)], []
        for t in range(ids.shape[1] - 1):
            forward.append(self._stream_forward(forward[-1], ids[:, t]))
        after = np.ones_like(forward[0])
        for t in reversed(range(ids.shape[1])):
            backward.append(after)
            after = _normalised(self.stream @ (self.emission[:, ids[:, t]] * after))
        return forward, backward[::-1]

    def _stream_start(self, ids: np.ndarray) -> np.ndarray:
        return np.repeat(self.world.stationary[:, None], len(ids), axis=1)  # (S + 1, B)

    def _stream_forward(self, forward: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Condition on the tokens at this position, then one transition: (S + 1, B), columns sum
        to 1."""
        return self.stream.T @ _normalised(forward * self.emission[:, ids])

    # ---- pairs of segments: masked words, and whether B continues A ----

    def pairs(self, input_ids: np.ndarray, token_type_ids: np.ndarray, attention_mask: np.ndarray,
              positions: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute log p(labels | corrupted ids), (M,), at the scored positions, and log p(label of
        the pair | corrupted ids), (B, 2); column 0 is "B continues A", as in BERT.

        input_ids, token_type_ids, attention_mask: (B, T), [CLS] A [SEP] B [SEP] with padding on the
        right. positions (M,): scored positions as flat indices into B*T. labels (M,): their words.
        """
        p, next_sentence = self.pair_distributions(input_ids, token_type_ids, attention_mask,
                                                   positions)
        return np.log(_possible(_gather(p, np.asarray(labels, np.int64)))), next_sentence

    def pair_distributions(self, input_ids: np.ndarray, token_type_ids: np.ndarray,
                           attention_mask: np.ndarray, positions: np.ndarray
                           ) -> tuple[np.ndarray, np.ndarray]:
        """Compute p(word at each scored position | corrupted ids), (M, V), and log p(label of the
        pair | corrupted ids), (B, 2); see pairs. Of a position that shows [MASK] it is p(word |
        all other positions)."""
        T, positions = input_ids.shape[1], np.asarray(positions, np.int64)
        p = np.zeros((len(positions), self.emission.shape[1]))
        next_sentence = np.zeros((len(input_ids), 2))
        for rows in _blocks(len(input_ids)):
            here = np.flatnonzero((positions >= rows.start * T) & (positions < rows.stop * T))
            pairs = _AlignedPairs(self, input_ids[rows], token_type_ids[rows], attention_mask[rows])
            row, column = pairs.row_and_column(positions[here] - rows.start * T, T)
            prior, next_sentence[rows] = self._pair_block(pairs, row, column)
            p[here] = self._given_shown(prior, pairs.ids[row, column])
        return p, next_sentence

    def _given_shown(self, prior: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Bayes' rule with the corruption of a chosen token: p(word | all positions), (M, V).
        prior (M, V): p(word | other positions), not normalised; shown (M,): the ids here."""
        each = np.arange(len(shown))
        joint = prior * (REPLACED_BY_RANDOM / self.n_ordinary)
        joint[each, shown] += prior[each, shown] * KEPT
        joint = np.where((shown == self.mask_id)[:, None], prior * REPLACED_BY_MASK, joint)
        return joint / joint.sum(axis=1, keepdims=True)

    def _pair_block(self, pairs: "_AlignedPairs", row: np.ndarray, column: np.ndarray
                    ) -> tuple[np.ndarray, np.ndarray]:
        """-> prior (M, V) over the words at (row, column), given all other positions; and the
        next-sentence log-probabilities (B, 2)."""
        world, S, (B, columns) = self.world, self.world.num_states, pairs.ids.shape
        scored = [np.flatnonzero(column == c) for c in range(columns)]  # which of the M, by column
        scored_forward = np.zeros((self.sentences * S, len(row)))
        before = np.zeros((self.sentences * S, B))
        for c in range(columns):
            forward = (self.across if c == pairs.boundary else self.within).T @ before
            first = np.flatnonzero(pairs.first_column == c)
            forward[:, first] = 0.0
            forward[world.starts[:, None], first] = world.opening[:, None]
            scored_forward[:, scored[c]] = forward[:, row[scored[c]]]
            before = _normalised(forward * self.corrupted_emission[:, pairs.ids[:, c]])
            if c == pairs.boundary - 1:
                last_of_a = before[world.ends - S]  # (E, B), of the last sentence
        prior = np.zeros((len(row), self.emission.shape[1]))
        after = np.zeros_like(before)
        for c in reversed(range(columns)):
            if c == pairs.boundary - 1:
                first_of_b = after[world.starts]  # (N, B), of the first sentence
            backward = (self.across if c == pairs.boundary - 1 else self.within) @ after
            last = np.flatnonzero(pairs.last_column == c)
            backward[:, last] = 0.0
            backward[world.ends[:, None] - S, last] = 1.0
            weight = scored_forward[:, scored[c]] * backward[:, row[scored[c]]]
            of_state = weight.reshape(self.sentences, S, -1).sum(axis=0)  # (S, m)
            prior[scored[c]] = of_state.T @ self.emission[:-1]  # (m, V)
            after = _normalised(backward * self.corrupted_emission[:, pairs.ids[:, c]])
        continues = (last_of_a * (world.between @ first_of_b)).sum(axis=0)
        elsewhere = last_of_a.sum(axis=0) * (world.opening @ first_of_b)
        both = np.stack([continues, elsewhere], axis=1)
        _possible(both.sum(axis=1))
        return prior, np.log(np.maximum(both / both.sum(axis=1, keepdims=True), 1e-300))


class _AlignedPairs:
    """The words of a block of pairs in columns, A aligned right and B left, so that the step from A
    to B is at the same column in all rows.

    ids (B, columns), [MASK] (equally likely in every state) where there is no word; boundary: the
    column of B's first word; first_column, last_column (B,): of A's first and B's last word."""

    def __init__(self, oracle: Oracle, input_ids: np.ndarray, token_type_ids: np.ndarray,
                 attention_mask: np.ndarray):
        real = np.asarray(attention_mask) == 1
        second = real & (np.asarray(token_type_ids) == 1)
        self.length_a = (real & ~second).sum(axis=1) - 2  # without [CLS] and [SEP]
        self.length_b = second.sum(axis=1) - 1
        each = np.arange(len(input_ids))
        separators = (input_ids[each, self.length_a + 1],
                      input_ids[each, self.length_a + self.length_b + 2])
        if (min(self.length_a.min(), self.length_b.min()) < 1
                or (input_ids[:, 0] != oracle.cls_id).any()
                or any((ids != oracle.sep_id).any() for ids in separators)):
            raise InputError("oracle: these ids are no pairs: expected [CLS] A [SEP] B [SEP], "
                             "padding on the right")
        self.boundary = self.length_a.max()
        self.first_column = self.boundary - self.length_a
        self.last_column = self.boundary + self.length_b - 1
        column = np.arange(self.boundary + self.length_b.max())
        in_b = column >= self.boundary
        # The index into input_ids that a column shows; B's words are one [SEP] further right
        index = column - self.first_column[:, None] + 1 + in_b
        is_word = (column >= self.first_column[:, None]) & (column <= self.last_column[:, None])
        shown = input_ids[each[:, None], np.where(is_word, index, 0)]
        self.ids = np.where(is_word, shown, oracle.mask_id)
        if (oracle.corrupted_emission[0, self.ids] == 0.0).any():
            raise InputError("oracle: special tokens inside the segments: expected pairs of "
                             "ordinary words and [MASK]")

    def row_and_column(self, positions: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat positions in this block's (B, width) -> row and column here."""
        row, index = np.divmod(positions, width)
        second = index > self.length_a[row] + 1
        return row, index - 1 - second + self.first_column[row]


def _blocks(count: int) -> list[slice]:
    return [slice(at, min(at + ROWS_AT_A_TIME, count)) for at in range(0, count, ROWS_AT_A_TIME)]


def _normalised(message: np.ndarray) -> np.ndarray:
    """Divide every column by its sum over the states; a column of zeros stays one."""
    total = message.sum(axis=0)
    return message / np.where(total > 0.0, total, 1.0)


def _gather(p: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """p (..., V), ids (...) -> the probability of each id, (...)."""
    return np.take_along_axis(p, ids[..., None], axis=-1)[..., 0]


def _possible(p: np.ndarray) -> np.ndarray:
    """p itself. Errors: InputError, one of them is 0."""
    if not (p > 0.0).all():  # NaN: 0 / 0
        raise InputError("oracle: this text has probability 0 in the toy world: give the world's "
                         "own documents, for pairs in whole sentences")
    return p
