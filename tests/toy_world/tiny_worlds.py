"""Tiny random worlds, small enough to enumerate, and a minimal tokenizer for the oracle."""

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from minibert.toy_world.hidden_markov_model import HiddenMarkovModel


class WordTokenizer:
    """One id per word, the special tokens among the words: no code can rely on their place."""

    def __init__(self, words, unused=()):
        self.vocab = ["[PAD]", "[UNK]", *words[:1], "[SEP]", "[MASK]", *words[1:], "[CLS]", *unused]
        self.pad_token_id, self.unk_token_id, self.sep_token_id = 0, 1, 3 if words else 2
        self.mask_token_id, self.cls_token_id = 4, self.vocab.index("[CLS]")
        self.all_special_ids = [0, 1, 3, 4, self.cls_token_id]
        self.vocab_size = len(self.vocab)
        self.ordinary_ids = [i for i in range(self.vocab_size) if i not in self.all_special_ids]

    def tokenize(self, text):
        return text.split()

    def convert_tokens_to_ids(self, token):
        return self.vocab.index(token)

    def encode_words(self, text):
        return [self.vocab.index(word) for word in text.split()]


def random_world(
    seed: int, states: int = 4, words: int = 3, ends: int = 1, document_end: float = 0.3
) -> HiddenMarkovModel:
    """The last `ends` states end a sentence; 0 and 1 may open one; 1 never follows itself."""
    rng = np.random.default_rng(seed)
    emission = rng.dirichlet(np.full(words, 0.6), states)
    inner = rng.dirichlet(np.full(states, 0.7), states)
    inner[1, 1] = 0.0
    inner[:, -ends:] += 0.1  # every sentence comes to an end
    inner /= inner.sum(axis=1, keepdims=True)
    inner[-ends:] = 0.0
    between = rng.dirichlet(np.full(2, 0.7), ends)
    names = [f"w{number}" for number in range(words)]
    last = list(range(states - ends, states))
    return HiddenMarkovModel(names, emission, sparse.csr_matrix(inner), [0, 1], last, between,
                             document_end)


@st.composite
def worlds(draw):
    return random_world(
        seed=draw(st.integers(0, 10_000)),
        states=draw(st.integers(3, 4)),
        words=draw(st.integers(2, 3)),
        ends=draw(st.integers(1, 2)),
        document_end=draw(st.sampled_from([0.15, 0.5])),
    )


def stream_matrix(world: HiddenMarkovModel) -> np.ndarray:
    """The endless stream as one dense chain, (S + 1, S + 1), the separator last."""
    S, q = world.num_states, world.document_end
    moves = np.zeros((S + 1, S + 1))
    for here in range(S):
        for there in range(S):
            moves[here, there] = world.inner[here, there]
    for row, here in enumerate(world.ends):
        moves[here, S] = q
        for column, there in enumerate(world.starts):
            moves[here, there] += (1 - q) * world.between[row, column]
    for column, there in enumerate(world.starts):
        moves[S, there] = world.opening[column]
    return moves
