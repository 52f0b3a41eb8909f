"""The toy world: a hidden Markov model over English sentences, built from a grammar.

A hidden state is (topic, character, place in the sentence). Topic and character persist from
sentence to sentence with a high probability, and each has words of its own:

    the old captain slowly rows her boat to the bank .
    she drinks tea by herself .
    near the muddy bridge lies the net .

Dependencies that a model can learn:

- the verb of an action predicts its object and the object its verb; both predict the topic;
- noun, pronoun, adverb, habit, possessive and reflexive depend on the character and agree: the
  twins row their boat by themselves;
- some words have two meanings: a bank is in the river or in town, a bass is caught or played.
"""

from typing import NamedTuple

import numpy as np

from minibert.toy_world.hidden_markov_model import HiddenMarkovModel

# Probabilities after a sentence
TOPIC_STAYS = 0.97
CHARACTER_STAYS = 0.92
DOCUMENT_END = 1 / 12  # so documents have 12 sentences on average


class Topic(NamedTuple):
    """The words of a topic.

    actions: four of (singular verb, plural verb, objects). home: the place named after the topic;
    places: other places; qualities: adjectives of places.
    """

    actions: tuple[tuple[str, str, tuple[str, ...]], ...]
    home: str
    places: tuple[str, ...]
    qualities: tuple[str, ...]

    def words(self) -> set[str]:
        """The verbs, objects, places and qualities."""
        actions = [word for one, many, objects in self.actions for word in (one, many, *objects)]
        return {*actions, self.home, *self.places, *self.qualities}


class Character(NamedTuple):
    """The words of a character: a noun phrase, an adverb of manner, a habit (verb and objects)."""

    pronoun: str
    noun: str
    quality: str
    manner: str
    habit: str
    habit_objects: tuple[str, ...]


TOPICS = {
    "river": Topic(
        (("rows", "row", ("boat", "raft")), ("catches", "catch", ("bass", "trout")),
         ("feeds", "feed", ("crane", "duck")), ("mends", "mend", ("net", "sail"))),
        "river", ("bank", "bridge", "mill", "spring"), ("muddy", "shallow", "mossy")),
    "town": Topic(
        (("counts", "count", ("coin", "bill")), ("signs", "sign", ("letter", "note")),
         ("opens", "open", ("safe", "drawer")), ("sells", "sell", ("stamp", "ticket"))),
        "town", ("bank", "market", "counter", "square"), ("busy", "rich", "crowded")),
    "music": Topic(
        (("plays", "play", ("bass", "piano")), ("sings", "sing", ("song", "note")),
         ("tunes", "tune", ("guitar", "violin")), ("hears", "hear", ("choir", "drum"))),
        "theatre", ("stage", "hall", "bar", "tower"), ("loud", "bright", "grand")),
    "kitchen": Topic(
        (("bakes", "bake", ("cake", "loaf")), ("washes", "wash", ("pitcher", "pan")),
         ("cuts", "cut", ("pie", "lemon")), ("stirs", "stir", ("soup", "sauce"))),
        "kitchen", ("stove", "table", "bar", "counter"), ("warm", "clean", "tidy")),
}

CHARACTERS = (
    Character("she", "captain", "old", "slowly", "drinks", ("tea", "cider")),
    Character("she", "painter", "clever", "carefully", "chews", ("mint", "grass")),
    Character("he", "clerk", "nervous", "quickly", "sharpens", ("pencils", "knives")),
    Character("he", "soldier", "brave", "proudly", "polishes", ("boots", "buttons")),
    Character("they", "twins", "cheerful", "noisily", "tell", ("jokes", "riddles")),
    Character("they", "children", "little", "happily", "share", ("sweets", "secrets")),
)

POSSESSIVE = {"she": "her", "he": "his", "they": "their"}
REFLEXIVE = {"she": "herself", "he": "himself", "they": "themselves"}
HOME = 0.4  # p(a place is the topic's home)
NEAR = {"near": 0.4, "behind": 0.3, "beside": 0.3}

# Distribution of a sentence's first place, with the same or a new character
SAME_CHARACTER = {"the": 0.30, "pronoun": 0.45, "scene near": 0.15, "scene the": 0.10}
NEW_CHARACTER = {"the": 0.75, "scene near": 0.15, "scene the": 0.10}


def _even(words) -> dict[str, float]:
    return {word: 1 / len(words) for word in words}


def grammar(topic: Topic, character: Character
            ) -> dict[str, tuple[dict[str, float], dict[str, float]]]:
    """Map each place in the sentence to (probabilities of words, probabilities of next places).

    The last place, ".", has no next place.
    """
    plural = character.pronoun == "they"
    places = {topic.home: HOME} | dict.fromkeys(topic.places, (1 - HOME) / len(topic.places))
    objects = [thing for action in topic.actions for thing in action[2]]
    predicate = {
        "manner": 0.24, "verb 0": 0.13, "verb 1": 0.13, "verb 2": 0.13, "verb 3": 0.13,
        "often": 0.08, "habit": 0.16,
    }
    rules = {
        # the (old) captain ... / she ...
        "the": ({"the": 1.0}, {"quality": 0.5, "noun": 0.5}),
        "quality": ({character.quality: 1.0}, {"noun": 1.0}),
        "noun": ({character.noun: 1.0}, predicate),
        "pronoun": ({character.pronoun: 1.0}, predicate),
        # ... often drinks tea by herself.
        "often": ({"often": 0.3, "always": 0.3, "sometimes": 0.2, "never": 0.2}, {"habit": 1.0}),
        "habit": ({character.habit: 1.0}, {"habit object": 1.0}),
        "habit object": (_even(character.habit_objects), {"by": 0.35, "every": 0.25, ".": 0.4}),
        "by": ({"by": 1.0}, {"reflexive": 1.0}),
        "reflexive": ({REFLEXIVE[character.pronoun]: 1.0}, {".": 1.0}),
        "every": ({"every": 1.0}, {"time": 1.0}),
        "time": (_even(("morning", "day", "evening", "night")), {".": 1.0}),
        # ... slowly rows her boat near the bank.
        "manner": ({character.manner: 1.0}, _even(("verb 0", "verb 1", "verb 2", "verb 3"))),
        "near": (NEAR, {"near the": 1.0}),
        "near the": ({"the": 1.0}, {"place": 1.0}),
        "place": (places, {".": 1.0}),
        # near the muddy bridge lies the net.
        "scene near": (NEAR, {"scene near the": 1.0}),
        "scene near the": ({"the": 1.0}, {"scene quality": 0.5, "scene place": 0.5}),
        "scene quality": (_even(topic.qualities), {"scene place": 1.0}),
        "scene place": (places, {"lies": 1.0}),
        "lies": ({"lies": 0.4, "stands": 0.3, "waits": 0.3}, {"lies the": 1.0}),
        "lies the": ({"the": 0.7, "that": 0.3}, {"scene object": 1.0}),
        "scene object": (_even(objects), {".": 1.0}),
        # the bridge is muddy.
        "scene the": ({"the": 1.0}, {"is place": 1.0}),
        "is place": (places, {"is": 1.0}),
        "is": ({"is": 0.6, "looks": 0.4}, {"is quality": 1.0}),
        "is quality": (_even(topic.qualities), {".": 1.0}),
        ".": ({".": 1.0}, {}),
    }
    for number, (singular_verb, plural_verb, things) in enumerate(topic.actions):
        determiner = {"the": 0.4, "that": 0.15, POSSESSIVE[character.pronoun]: 0.45}
        verb = plural_verb if plural else singular_verb
        rules[f"verb {number}"] = ({verb: 1.0}, {f"determiner {number}": 1.0})
        rules[f"determiner {number}"] = (determiner, {f"object {number}": 1.0})
        rules[f"object {number}"] = (_even(things), {"near": 0.5, ".": 0.5})
    return rules


class ToyWorld(HiddenMarkovModel):
    """The English toy world. `states` lists (topic, character's noun, place in the sentence)."""

    def __init__(self):
        grammars = {(name, character.noun): grammar(topic, character)
                    for name, topic in TOPICS.items() for character in CHARACTERS}
        self.states = [(*about, place) for about, places in grammars.items() for place in places]
        number = {state: index for index, state in enumerate(self.states)}
        rules = [rule for places in grammars.values() for rule in places.values()]
        words = sorted({word for probabilities, _ in rules for word in probabilities})
        column = {word: index for index, word in enumerate(words)}
        emission = np.zeros((len(self.states), len(words)))
        inner = np.zeros((len(self.states), len(self.states)))
        for here, (*about, place) in enumerate(self.states):
            word_probabilities, next_places = grammars[tuple(about)][place]
            for word, probability in word_probabilities.items():
                emission[here, column[word]] = probability
            for next_place, probability in next_places.items():
                inner[here, number[(*about, next_place)]] = probability
        starts = [index for index, state in enumerate(self.states) if state[2] in SAME_CHARACTER]
        ends = [index for index, state in enumerate(self.states) if state[2] == "."]
        between = [[self._start_probability(self.states[end], self.states[start])
                    for start in starts] for end in ends]
        super().__init__(words, emission, inner, starts, ends, between, DOCUMENT_END)

    def topic_groups(self) -> np.ndarray:
        """Mark in (S, topics) with 1 where a state belongs to a topic, in the order of TOPICS: the
        sense of a word that two topics have."""
        return np.array([[float(state[0] == topic) for topic in TOPICS] for state in self.states])

    @staticmethod
    def _start_probability(end: tuple[str, str, str], start: tuple[str, str, str]) -> float:
        """p(first state of a sentence | last state of the sentence before it)."""
        leave_topic = (1 - TOPIC_STAYS) / (len(TOPICS) - 1)
        leave_character = (1 - CHARACTER_STAYS) / (len(CHARACTERS) - 1)
        topic = TOPIC_STAYS if start[0] == end[0] else leave_topic
        if start[1] == end[1]:
            return topic * CHARACTER_STAYS * SAME_CHARACTER[start[2]]
        return topic * leave_character * NEW_CHARACTER.get(start[2], 0.0)
