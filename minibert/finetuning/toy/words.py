"""Two tasks of the toy world about single words: entities, and questions whose answer is a span.

Each class draws labelled examples and computes the best possible prediction for them (stories.py).
`task` is the same task for a model; `metric` is the figure that is compared.
"""

from collections.abc import Sequence

import numpy as np

from minibert.finetuning.answer_metrics import normalize_answer
from minibert.finetuning.encoding import Reading
from minibert.finetuning.entity_metrics import get_entities
from minibert.finetuning.examples import Answer, QuestionExample, TagExample
from minibert.finetuning.tasks.question_answering import PredictedAnswer, QuestionAnswering
from minibert.finetuning.tasks.tagging import Tagging
from minibert.finetuning.toy.stories import Best, ToyStories, split_story

# Where in a sentence (toy_world.grammar) a mention begins and goes on. People: "the old captain",
# "she". Things and places: "her boat", "the muddy bank", "that net".
PEOPLE = {"the": "B", "quality": "I", "noun": "I", "pronoun": "B"}
SCENERY = {"near the": "B", "place": "I", "scene near the": "B", "scene quality": "I",
           "scene place": "I", "lies the": "B", "scene object": "I", "scene the": "B",
           "is place": "I"}
OWNED, ACTED_UPON = "determiner", "object"  # of an action: "her boat" in "she rows her boat"


class Entities:
    """The entities that a sentence mentions: tags in BIO2, for mentions of one to three words.

        the    old    captain rows her     boat    .  she       waits ...
        B-CAPTAIN I-CAPTAIN I-CAPTAIN O B-RIVER I-RIVER O  B-CAPTAIN

    A person's type is the character, also for "she", as in entity linking; a thing's or a place's
    type is its topic, which is the sense of an ambiguous word: the bank is of the river or of the
    town. "the" may begin a mention of any type.
    """

    name, metric = "tag", "f1"
    sentences = 2

    def __init__(self, stories: ToyStories):
        self.stories = stories
        tags = [self._tag(state) for state in stories.world.states]
        self.labels = tuple(sorted(set(tags)))
        self.tag = np.array([self.labels.index(tag) for tag in tags])  # (S,)

    @staticmethod
    def _tag(state: tuple[str, str, str]) -> str:
        topic, character, place = state
        if place in PEOPLE:
            return f"{PEOPLE[place]}-{character.upper()}"
        if place in SCENERY:
            return f"{SCENERY[place]}-{topic.upper()}"
        if place.startswith((OWNED, ACTED_UPON)):
            return f"{'B' if place.startswith(OWNED) else 'I'}-{topic.upper()}"
        return "O"

    def task(self, reading: Reading) -> Tagging:
        """Make the task that a model is fine-tuned on."""
        return Tagging(reading, self.labels)

    def draw(self, count: int, rng: np.random.Generator) -> list[TagExample]:
        """Draw `count` examples that all differ."""
        examples = {}
        for story in self.stories.draw(self.sentences, rng):
            tags = tuple(self.labels[k] for k in self.tag[np.concatenate(story.states)])
            examples.setdefault(story.text, TagExample(tuple(story.text.split(" ")), tags))
            if len(examples) == count:
                return list(examples.values())

    def best(self, examples: list[TagExample]) -> Best:
        """The most probable tag of each word. In this world the words determine where a mention
        begins and ends, and a sentence has one topic and one character: an entity is found if the
        tag of its first word is right, and as many are predicted as there are, so that F1 is the
        share of them found. Its expectation is the mean probability of these tags."""
        texts = [split_story(" ".join(example.words)) for example in examples]
        p = self.stories.oracle.word_states(texts, np.eye(len(self.labels))[self.tag])
        predictions = [tuple(self.labels[k] for k in words.argmax(axis=1)) for words in p]
        found = [words[entity.start].max() for words, tags in zip(p, predictions)
                 for entity in get_entities(tags)]
        return Best(predictions, float(np.mean(found)))


class Questions:
    """Questions for the object on which a given character acts.

    Two people do something each; the question is another sentence about one of them.

        question:  the old captain often drinks tea .
        passage:   he tunes that guitar . she slowly rows her raft near the mill .
        answer:    her raft

    (The world has no question words.) The character of a sentence has to be inferred where it has a
    pronoun, or a manner ("slowly") alone. The two objects have different names, also in SQuAD's
    scoring, for which "the raft" is "raft".
    """

    name, metric = "answer", "exact_match"
    stories_in_passage = 2  # of one sentence each

    def __init__(self, stories: ToyStories):
        self.stories = stories
        self.owned = np.char.startswith(stories.place, OWNED)  # (S,)

    def task(self, reading: Reading) -> QuestionAnswering:
        """Make the task that a model is fine-tuned on."""
        return QuestionAnswering(reading, may_be_empty=False)

    def draw(self, count: int, rng: np.random.Generator) -> list[QuestionExample]:
        """Draw `count` examples that all differ."""
        examples = {}
        acting = (story for story in self.stories.draw(1, rng)
                  if self.owned[story.states[0]].any())
        asking = (story for story in self.stories.draw(1, rng)
                  if {"habit", "noun"} <= set(self.stories.place[story.states[0]]))
        while len(examples) < count:
            passage = [next(acting) for _ in range(self.stories_in_passage)]
            answers = things_in([story.text for story in passage],
                                [self.owned[story.states[0]] for story in passage])
            if len({normalize_answer(answer.text) for answer in answers}) < len(answers):
                continue
            people = [self.stories.character_of(story.states[0]) for story in passage]
            asked = int(rng.integers(len(passage)))
            if people.count(people[asked]) > 1:
                continue
            question = next(asking)
            while self.stories.character_of(question.states[0]) != people[asked]:
                question = next(asking)
            context = " ".join([story.text for story in passage])
            if (question.text, context) not in examples:
                examples[question.text, context] = QuestionExample(
                    f"toy-{len(examples)}", question.text, context, (answers[asked],))
        return list(examples.values())

    def best(self, examples: list[QuestionExample]) -> Best:
        """With p_k the posterior of the question's character from sentence k alone,
            p(the thing of sentence k answers) is proportional to p_k product_{j != k} (1 - p_j),
        since one sentence alone is about that character. The question names the character, and the
        things follow verbs that have no other use in this world: both are certain."""
        oracle, world = self.stories.oracle, self.stories.world
        texts = [split_story(example.passage) for example in examples]
        sentences = [[sentence] for passage in texts for sentence in passage]
        owned = iter(oracle.word_states(sentences, self.owned[:, None].astype(np.float64)))
        things = [things_in(passage, [next(owned) for _ in passage]) for passage in texts]
        names = self.stories.characters
        asked = np.array([next(names.index(word) for word in example.question.split(" ")
                               if word in names) for example in examples])
        last = oracle.last_states(sentences)[:, 0].reshape(len(texts), -1, len(world.ends))
        p = (last * (self.stories.character[world.ends] == asked[:, None, None])).sum(axis=2)
        weight = np.stack([p[:, k] * (1 - np.delete(p, k, axis=1)).prod(axis=1)
                           for k in range(p.shape[1])], axis=1)
        weight /= weight.sum(axis=1, keepdims=True)
        predictions = [PredictedAnswer(row[p.argmax()], row[p.argmax()], float(p.max()), 0.0)
                       for row, p in zip(things, weight)]
        return Best(predictions, float(weight.max(axis=1).mean()))


def things_in(sentences: Sequence[str], owned: Sequence[np.ndarray]) -> list[Answer]:
    """The object of each sentence's action ("her boat") and its place in the passage; `owned`, an
    array for each sentence, is largest at the word with which the object begins."""
    things, start = [], 0
    for sentence, begins in zip(sentences, owned):
        words = sentence.split(" ")
        k = int(np.argmax(begins))
        before = sum([len(word) + 1 for word in words[:k]])
        things.append(Answer(" ".join(words[k:k + 2]), start + before))
        start += len(sentence) + 1
    return things
