"""Fresh stories for the tasks of the toy world, and the meaning of their hidden states.

The labels of these tasks are functions of the hidden states behind a text (its topic, its
character, the place of a word in its sentence). So the best possible prediction is exact: the story
oracle's posterior of the states. It stays exact where stories are left out because of their words
(those of the pre-training text); a task that leaves out stories because of their states considers
it in its best prediction.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.story_oracle import StoryOracle

DRAWN_AT_ONCE = 500


class Story(NamedTuple):
    """Sentences, and for each of them the states behind its words."""

    sentences: list[str]
    states: list[np.ndarray]

    @property
    def text(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)


class Best(NamedTuple):
    """The best possible predictions from the texts, in the task's form, and their mean score."""

    predictions: list
    expected: float


class ToyStories:
    """Draws stories of `world` that are in none of the `excluded` documents (of sentences), and
    gives the meaning of their states: numbers of `topics` and `characters`, names of places."""

    def __init__(self, world: ToyWorld, excluded: Sequence[Sequence[str]] = ()):
        self.world, self.oracle = world, StoryOracle(world)
        self.topics = list(dict.fromkeys(topic for topic, _, _ in world.states))
        self.characters = list(dict.fromkeys(character for _, character, _ in world.states))
        self.topic = np.array([self.topics.index(state[0]) for state in world.states])  # (S,)
        self.character = np.array([self.characters.index(state[1]) for state in world.states])
        self.place = np.array([state[2] for state in world.states])
        self._excluded = excluded

    def draw(self, sentences: int, rng: np.random.Generator, following: int = 0
             ) -> Iterator[Story]:
        """Stories of so many sentences and `following` more, without end.

        The sentences before the following ones are in no excluded document, unless there is only
        one (these are short and often are)."""
        excluded = _runs(self._excluded, sentences) if sentences > 1 else set()
        while True:
            lengths = [sentences + following] * DRAWN_AT_ONCE
            for story in map(Story, *self.world.stories(lengths, rng)):
                if " ".join(story.sentences[:sentences]) not in excluded:
                    yield story

    def words_at(self, place: str) -> set[str]:
        """The words that may stand at a place in the sentence (toy_world.grammar)."""
        spelled = self.world.emission[self.place == place].sum(axis=0)
        return {self.world.words[column] for column in np.flatnonzero(spelled)}

    def topic_of(self, states: np.ndarray) -> int:
        """The topic of a sentence, from any of its states."""
        return int(self.topic[states[-1]])

    def character_of(self, states: np.ndarray) -> int:
        """The character of a sentence, also where it does not name any."""
        return int(self.character[states[-1]])


def _runs(documents: Sequence[Sequence[str]], sentences: int) -> set[str]:
    """The texts of all runs of so many sentences in one document."""
    return {" ".join(document[start:start + sentences]) for document in documents
            for start in range(len(document) - sentences + 1)}


def split_story(text: str) -> list[str]:
    """A text of the toy world in its sentences, each of which ends in a full stop of its own."""
    return [f"{sentence} ." for sentence in text.removesuffix(" .").split(" . ")]


def summed(p: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """p (..., n) added up over the members of each group: (..., groups)."""
    return p @ np.eye(groups)[group]
