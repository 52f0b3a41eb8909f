"""A toy world that is small enough to enumerate: two topics, two or three characters, words that
many states share, and all probabilities drawn at random."""

import numpy as np
from scipy import sparse

from minibert.toy_world.hidden_markov_model import HiddenMarkovModel

TOPICS, CHARACTERS = ("t0", "t1"), ("c0", "c1", "c2")
# Place -> (its words, what may follow), as in toy_world.grammar
GRAMMAR = {
    "the": (("the",), ("noun",)),
    "noun": (CHARACTERS, ("determiner 0", "habit", ".")),
    "pronoun": (("she", "he"), ("determiner 0", ".")),
    "habit": (("hums", "naps"), (".",)),
    "determiner 0": (("the", "her"), ("object 0",)),
    "object 0": (("boat", "note", "bass", "cup"), (".",)),
    ".": ((".",), ()),
}
STARTS = ("the", "pronoun")


class TinyToyWorld(HiddenMarkovModel):
    """`states` as in ToyWorld. A noun is its character's own name; all other words are drawn."""

    sentences_per_segment = 2

    def __init__(self, seed: int, characters: int = 2):
        rng = np.random.default_rng(seed)
        self.states = [(topic, character, place) for topic in TOPICS
                       for character in CHARACTERS[:characters] for place in GRAMMAR]
        words = sorted({word for words, _ in GRAMMAR.values() for word in words})
        emission = np.zeros((len(self.states), len(words)))
        inner = np.zeros((len(self.states),) * 2)
        for row, (topic, character, place) in enumerate(self.states):
            spelled, following = GRAMMAR[place]
            if place == "noun":
                spelled = (character,)
            columns = [words.index(word) for word in spelled]
            emission[row, columns] = rng.dirichlet(np.full(len(columns), 0.7))
            there = [self.states.index((topic, character, name)) for name in following]
            if there:
                inner[row, there] = rng.dirichlet(np.full(len(there), 2.0))
        starts = [row for row, state in enumerate(self.states) if state[2] in STARTS]
        ends = [row for row, state in enumerate(self.states) if state[2] == "."]
        between = rng.dirichlet(np.full(len(starts), 0.5), len(ends))
        super().__init__(words, emission, sparse.csr_matrix(inner), starts, ends, between, 0.2)


def paths(world: HiddenMarkovModel, sentences: list[str]) -> list[tuple[list[list[int]], float]]:
    """(the states behind the words of each sentence, p(states and words)) of one story: every path
    of hidden states that may have told it, one state after the other."""
    found = [([], 1.0)]
    for sentence in sentences:
        words = [world.words.index(word) for word in sentence.split(" ")]
        longer = []
        for story, p in found:
            for column, start in enumerate(world.starts):
                into = world.opening[column]
                if story:
                    end = list(world.ends).index(story[-1][-1])
                    into = world.between[end, column]
                longer += [([*story, path], p * into * q) for path, q in
                           _paths_from(world, int(start), words)]
        found = longer
    return found


def _paths_from(world: HiddenMarkovModel, state: int, words: list[int]
                ) -> list[tuple[list[int], float]]:
    here = world.emission[state, words[0]]
    if here == 0.0:
        return []
    if len(words) == 1:
        return [([state], here)] if state in world.ends else []
    row = world.inner[[state]].toarray()[0]
    return [([state, *path], here * row[there] * p) for there in np.flatnonzero(row)
            for path, p in _paths_from(world, int(there), words[1:])]
