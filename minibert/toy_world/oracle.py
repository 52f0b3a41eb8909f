"""The toy world's answer key: the exact probabilities that no model can beat.

The world is a hidden Markov model (world.py), so the best possible prediction of a word is a sum
over hidden states, and the forward-backward algorithm computes it (Rabiner 1989, "A Tutorial on
Hidden Markov Models and Selected Applications in Speech Recognition", section III):

    forward    f_t(s) = p(state s at t, what is seen before t)
    backward   b_t(s) = p(what is seen after t | state s at t)
    p(word w at t | all the rest) is proportional to  sum_s f_t(s) b_t(s) p(w | s)

What a masked language model sees are corrupted words. Each ordinary token was *chosen* with
probability 0.15, and a chosen token was then shown as [MASK] (0.8), as a random ordinary word (0.1)
or as it is (0.1). At a position that is scored the oracle is told that it was chosen; at all the
others it only knows the two steps together, as the model does.

A pair [CLS] A [SEP] B [SEP] is one half "B continues A", one half "B is from elsewhere". Both are
one chain whose step from the last word of A to the first word of B is the mixture of the two, so
that the doubt about the pair enters every masked prediction with its right weight, and the two
terms of that step are the next-sentence posterior.

Messages are arrays of (states, batch), float64, renormalised at every step.
"""

import numpy as np

from minibert.errors import InputError
from minibert.toy_world.hidden_markov_model import World

CHOSEN = 0.15
SHOWN_AS_MASK, SHOWN_AS_RANDOM, SHOWN_AS_IS = 0.8, 0.1, 0.1
ROWS_AT_A_TIME = 64  # keeps the messages of one block in cache


class Oracle:
    """Exact log-probabilities for text that `world` wrote and `tokenizer` made ids of, one a word.

    Pairs are read as `sentences` whole sentences in A and as many in B, chosen without looking at
    the words: a choice that does, such as "as many as fit", would tell something about them."""

    def __init__(self, world: World, tokenizer, sentences: int = 2):
        self.world, self.sentences = world, sentences
        self.cls_id, self.sep_id, self.mask_id = (
            tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id,
        )
        ids = []
        for word in world.words:
            if tokenizer.tokenize(word) != [word]:
                raise InputError(
                    f"the oracle needs every word as one piece, but the tokenizer splits {word!r} "
                    f"into {tokenizer.tokenize(word)}: train the tokenizer on this world's text"
                )
            ids.append(tokenizer.convert_tokens_to_ids(word))
        S, V = world.num_states, tokenizer.vocab_size
        special = np.isin(np.arange(V), tokenizer.all_special_ids)
        self.ordinary = int(V - special.sum())
        # p(id | state) of clean text; the last row is the separator between two documents
        self.clean = np.zeros((S + 1, V))
        self.clean[:S, ids] = world.emission
        self.clean[S, self.sep_id] = 1.0
        # p(id seen | state) where it is not known whether the position was chosen
        self.seen = self.clean[:S] * (1 - CHOSEN + CHOSEN * SHOWN_AS_IS)
        self.seen += CHOSEN * SHOWN_AS_RANDOM / self.ordinary
        self.seen[:, special] = 0.0
        self.seen[:, self.mask_id] = CHOSEN * SHOWN_AS_MASK
        self.inner_transposed = world.inner.T.tocsr()

    # ---- the endless stream of documents: next token, and a single gap ----

    def next_token(self, input_ids: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """log p(targets[:, t] | input_ids[:, :t + 1]), both (B, T), for windows that start anywhere
        in the stream; 0 where the target is -100."""
        log_p = np.zeros(input_ids.shape)
        for rows in _blocks(len(input_ids)):
            forward = self._stream_start(input_ids[rows])
            for t in range(input_ids.shape[1]):
                forward = self._stream_forward(forward, input_ids[rows, t])
                asked = targets[rows, t] != -100
                target = np.where(asked, targets[rows, t], 0)
                p = (forward * self.clean[:, target]).sum(axis=0)
                log_p[rows, t] = _log_possible(np.where(asked, p, 1.0))
        return log_p

    def one_gap(self, input_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two (B, T) of log p(input_ids[:, t]): given all that stands left of t in its window, and
        given both sides."""
        left, both = np.zeros(input_ids.shape), np.zeros(input_ids.shape)
        for rows in _blocks(len(input_ids)):
            ids = input_ids[rows]
            forwards = [self._stream_start(ids)]
            for t in range(ids.shape[1] - 1):
                forwards.append(self._stream_forward(forwards[-1], ids[:, t]))
            backward = np.ones_like(forwards[0])
            for t in reversed(range(ids.shape[1])):
                emission = self.clean[:, ids[:, t]]
                left[rows, t] = _log_possible((forwards[t] * emission).sum(axis=0))
                weight = forwards[t] * backward
                both[rows, t] = _log_possible((weight * emission).sum(axis=0) / weight.sum(axis=0))
                backward = self._stream_backward(emission * backward)
        return left, both

    def _stream_start(self, ids: np.ndarray) -> np.ndarray:
        return np.repeat(self.world.stationary[:, None], len(ids), axis=1)  # (S + 1, B)

    def _stream_forward(self, forward: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Condition on the tokens seen here, then move one on: (S + 1, B), columns sum to 1."""
        world = self.world
        here = _normalised(forward * self.clean[:, ids])
        ended, separator = here[world.ends], here[-1]
        there = np.zeros_like(here)
        there[:-1] = self.inner_transposed @ here[:-1]
        there[world.starts] += (1 - world.document_end) * (world.between.T @ ended)
        there[world.starts] += world.opening[:, None] * separator
        there[-1] = world.document_end * ended.sum(axis=0)
        return there

    def _stream_backward(self, there: np.ndarray) -> np.ndarray:
        """The transpose of a step: values of the next position's states -> of this position's."""
        world = self.world
        first = there[world.starts]
        here = np.zeros_like(there)
        here[:-1] = world.inner @ there[:-1]
        here[world.ends] += (1 - world.document_end) * (world.between @ first)
        here[world.ends] += world.document_end * there[-1]
        here[-1] = world.opening @ first
        return _normalised(here)

    # ---- pairs of segments: masked words, and whether B continues A ----

    def masked_lm(
        self,
        input_ids: np.ndarray,
        token_type_ids: np.ndarray,
        attention_mask: np.ndarray,
        positions: np.ndarray,
        labels: np.ndarray,
    ) -> np.ndarray:
        """(M,) log p(labels | the corrupted input_ids) at the scored positions, which are flat
        indices into B * T."""
        return self.pairs(input_ids, token_type_ids, attention_mask, positions, labels)[0]

    def next_sentence(
        self, input_ids: np.ndarray, token_type_ids: np.ndarray, attention_mask: np.ndarray
    ) -> np.ndarray:
        """(B, 2) log p from the corrupted tokens; column 0 is "B continues A", as in BERT."""
        nothing = np.zeros(0, dtype=np.int64)
        return self.pairs(input_ids, token_type_ids, attention_mask, nothing, nothing)[1]

    def pairs(
        self,
        input_ids: np.ndarray,
        token_type_ids: np.ndarray,
        attention_mask: np.ndarray,
        positions: np.ndarray,
        labels: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Both answers of the two functions above in one pass: (M,) and (B, 2)."""
        T = input_ids.shape[1]
        positions, labels = np.asarray(positions), np.asarray(labels)
        masked, next_sentence = np.zeros(len(positions)), np.zeros((len(input_ids), 2))
        for rows in _blocks(len(input_ids)):
            here = np.flatnonzero((positions >= rows.start * T) & (positions < rows.stop * T))
            layout = _PairLayout(self, input_ids[rows], token_type_ids[rows], attention_mask[rows])
            row, column = layout.columns_of(positions[here] - rows.start * T, T)
            prior, next_sentence[rows] = self._pair_block(layout, row, column)
            masked[here] = self._score(prior, layout.ids[row, column], labels[here])
        return masked, next_sentence

    def _score(self, prior: np.ndarray, shown: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Bayes' rule with the channel of a chosen token. prior (M, V): p(word | other positions);
        shown (M,): the ids that stand at the scored positions."""
        each = np.arange(len(labels))
        joint = prior * (SHOWN_AS_RANDOM / self.ordinary)
        joint[each, shown] += prior[each, shown] * SHOWN_AS_IS
        joint = np.where((shown == self.mask_id)[:, None], prior * SHOWN_AS_MASK, joint)
        return _log_possible(joint[each, labels] / joint.sum(axis=1))

    def _pair_block(
        self, layout: "_PairLayout", row: np.ndarray, column: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """-> prior (M, V) over the words at (row, column), given all other positions; and the
        next-sentence log-probabilities (B, 2)."""
        B, C = layout.ids.shape
        asked = [np.flatnonzero(column == c) for c in range(C)]  # which of the M stand in column c
        scored_forward = np.zeros((self.sentences, self.world.num_states, len(row)))
        before = np.zeros((self.sentences, self.world.num_states, B))
        for c in range(C):
            step = self._cross_forward if c == layout.boundary else self._within_forward
            forward = step(before)
            fresh = np.flatnonzero(layout.first_column == c)
            forward[:, :, fresh] = 0.0
            forward[0, self.world.starts[:, None], fresh] = self.world.opening[:, None]
            scored_forward[:, :, asked[c]] = forward[:, :, row[asked[c]]]
            before = _normalised(forward * self.seen[:, layout.ids[:, c]])
            if c == layout.boundary - 1:
                last_of_a = before[-1, self.world.ends]  # (ends, B)
        prior = np.zeros((len(row), self.clean.shape[1]))
        after = np.zeros_like(before)
        for c in reversed(range(C)):
            if c == layout.boundary - 1:
                first_of_b = after[0, self.world.starts]  # (starts, B)
                backward = self._cross_backward(first_of_b)
            else:
                backward = self._within_backward(after)
            closing = np.flatnonzero(layout.last_column == c)
            backward[:, :, closing] = 0.0
            backward[-1, self.world.ends[:, None], closing] = 1.0
            weight = scored_forward[:, :, asked[c]] * backward[:, :, row[asked[c]]]
            prior[asked[c]] = weight.sum(axis=0).T @ self.clean[:-1]  # (S, m) -> (m, V)
            after = _normalised(backward * self.seen[:, layout.ids[:, c]])
        continues = (last_of_a * (self.world.between @ first_of_b)).sum(axis=0)
        elsewhere = last_of_a.sum(axis=0) * (self.world.opening @ first_of_b)
        both = np.stack([continues, elsewhere], axis=1)
        _log_possible(both.sum(axis=1))
        return prior, np.log(np.maximum(both / both.sum(axis=1, keepdims=True), 1e-300))

    # Messages of pairs are (sentences, S, B); the first axis counts the sentences that have ended
    # in this segment.

    def _within_forward(self, here: np.ndarray) -> np.ndarray:
        there = np.stack([self.inner_transposed @ message for message in here])
        for sentence in range(1, self.sentences):
            ended = here[sentence - 1, self.world.ends]
            there[sentence, self.world.starts] += self.world.between.T @ ended
        return there

    def _within_backward(self, there: np.ndarray) -> np.ndarray:
        here = np.stack([self.world.inner @ message for message in there])
        for sentence in range(1, self.sentences):
            first = there[sentence, self.world.starts]
            here[sentence - 1, self.world.ends] += self.world.between @ first
        return here

    def _cross_forward(self, here: np.ndarray) -> np.ndarray:
        """From the last word of A to the first of B: one half goes on, one half begins anew."""
        ended = here[-1, self.world.ends]  # (ends, B)
        there = np.zeros_like(here)
        there[0, self.world.starts] = 0.5 * (self.world.between.T @ ended)
        there[0, self.world.starts] += 0.5 * self.world.opening[:, None] * ended.sum(axis=0)
        return there

    def _cross_backward(self, first_of_b: np.ndarray) -> np.ndarray:
        world = self.world
        here = np.zeros((self.sentences, world.num_states, first_of_b.shape[1]))
        here[-1, world.ends] = 0.5 * (world.between @ first_of_b)
        here[-1, world.ends] += 0.5 * (world.opening @ first_of_b)
        return here


class _PairLayout:
    """The words of a block of pairs in columns, A pushed right and B left, so that all rows cross
    from A to B at one column.

    ids (B, C), [MASK] (which tells nothing) where there is no word; boundary: the column of B's
    first word; first_column, last_column (B,): where A begins and B ends."""

    def __init__(
        self,
        oracle: Oracle,
        input_ids: np.ndarray,
        token_type_ids: np.ndarray,
        attention_mask: np.ndarray,
    ):
        real = np.asarray(attention_mask) == 1
        second = real & (np.asarray(token_type_ids) == 1)
        self.length_a = (real & ~second).sum(axis=1) - 2  # without [CLS] and [SEP]
        self.length_b = second.sum(axis=1) - 1
        B = len(input_ids)
        each = np.arange(B)
        separators = (
            input_ids[each, self.length_a + 1],
            input_ids[each, self.length_a + self.length_b + 2],
        )
        if (
            min(self.length_a.min(), self.length_b.min()) < 1
            or (input_ids[:, 0] != oracle.cls_id).any()
            or any((ids != oracle.sep_id).any() for ids in separators)
        ):
            raise InputError("the oracle reads pairs: [CLS] A [SEP] B [SEP], padding on the right")
        self.boundary = self.length_a.max()
        self.first_column = self.boundary - self.length_a
        self.last_column = self.boundary + self.length_b - 1
        column = np.arange(self.boundary + self.length_b.max())
        in_b = column >= self.boundary
        # The place in input_ids that a column shows; B's words stand one [SEP] further on
        place = column - self.first_column[:, None] + 1 + in_b
        there = (column >= self.first_column[:, None]) & (column <= self.last_column[:, None])
        shown = input_ids[each[:, None], np.where(there, place, 0)]
        self.ids = np.where(there, shown, oracle.mask_id)
        if (oracle.seen[0, self.ids] == 0.0).any():
            raise InputError("the oracle reads pairs of ordinary words and [MASK], nothing else")

    def columns_of(self, positions: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat positions in this block's (B, width) -> row and column here."""
        row, place = np.divmod(positions, width)
        second = place > self.length_a[row] + 1
        return row, place - 1 - second + self.first_column[row]


def _blocks(count: int) -> list[slice]:
    return [slice(at, min(at + ROWS_AT_A_TIME, count)) for at in range(0, count, ROWS_AT_A_TIME)]


def _normalised(message: np.ndarray) -> np.ndarray:
    """Every batch column divided by its sum over the states; a column of zeros stays one."""
    total = message.sum(axis=tuple(range(message.ndim - 1)))
    return message / np.where(total > 0.0, total, 1.0)


def _log_possible(p: np.ndarray) -> np.ndarray:
    if (p <= 0.0).any() or np.isnan(p).any():
        raise InputError(
            "the toy world cannot write this text: the oracle answers only for the world's own "
            "documents, in pairs of whole sentences"
        )
    return np.log(p)
