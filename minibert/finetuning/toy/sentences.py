"""Three tasks of the toy world about whole texts: a mood, a pair, the right ending.

Each class draws labelled examples and computes the best possible prediction for them (stories.py).
`task` is the same task for a model; `metric` is the figure that is compared.
"""

import numpy as np

from minibert.finetuning.encoding import Reading
from minibert.finetuning.examples import ChoiceExample, SentenceExample
from minibert.finetuning.tasks.multiple_choice import MultipleChoice
from minibert.finetuning.tasks.sentences import Classification
from minibert.finetuning.toy.stories import Best, ToyStories, split_story, summed


class Mood:
    """Is the character of the last sentence glad or sad?

        the captain tunes that guitar . she chews mint . ...                             sad

    Every character likes every other topic: the first one the first and the third, the second one
    the second and the fourth, and so on. No word is glad or sad in itself: the label is the
    exclusive or of two states that have to be inferred, often from an earlier sentence ("she" may
    be two people; a sentence about a place names no person).
    """

    name, metric = "classify", "accuracy"
    labels = ("glad", "sad")
    sentences = 3

    def __init__(self, stories: ToyStories):
        self.stories = stories
        self.kind = (stories.topic + stories.character) % 2  # (S,): which label a state means

    def task(self, reading: Reading) -> Classification:
        """Make the task that a model is fine-tuned on."""
        return Classification(reading, self.labels, self.name)

    def draw(self, count: int, rng: np.random.Generator) -> list[SentenceExample]:
        """Draw `count` examples that all differ."""
        examples = {}
        for story in self.stories.draw(self.sentences, rng):
            label = self.labels[self.kind[story.states[-1][-1]]]
            examples.setdefault(story.text, SentenceExample(story.text, None, label))
            if len(examples) == count:
                return list(examples.values())

    def best(self, examples: list[SentenceExample]) -> Best:
        """Predict the more probable mood of each story."""
        world = self.stories.world
        last = self.stories.oracle.last_states([split_story(example.text) for example in examples])
        p = summed(last[:, -1], self.kind[world.ends], 2)  # (B, 2)
        return Best(list(p), float(p.max(axis=1).mean()))


class SameTopic:
    """Are two texts, each from a document of its own, about the same topic?

        the bank is muddy . she drinks tea .  |  the old painter feeds that duck . ...    same

    Half of the pairs are. Most words of a text belong to no topic or to two of them, so that words
    which both texts have prove little.
    """

    name, metric = "pair", "accuracy"
    labels = ("other", "same")
    sentences = 2

    def __init__(self, stories: ToyStories):
        self.stories = stories
        ends = stories.world.ends
        opening = np.zeros(stories.world.num_states)
        opening[stories.world.starts] = stories.world.opening
        self.share = summed(opening, stories.topic, len(stories.topics))  # p(topic)
        self.topic_of_end = stories.topic[ends]

    def task(self, reading: Reading) -> Classification:
        """Make the task that a model is fine-tuned on."""
        return Classification(reading, self.labels, self.name)

    def draw(self, count: int, rng: np.random.Generator) -> list[SentenceExample]:
        """The topic of a text that ends (the first) is that of its last sentence, of one that
        begins (the second) that of its first."""
        examples = {}
        drawn = self.stories.draw(self.sentences, rng)
        topic_of = self.stories.topic_of
        while len(examples) < count:
            first, label = next(drawn), int(rng.integers(2))
            second = next(drawn)
            while (topic_of(first.states[-1]) == topic_of(second.states[0])) != label:
                second = next(drawn)
            texts = (first.text, second.text)
            examples.setdefault(texts, SentenceExample(*texts, self.labels[label]))
        return list(examples.values())

    def best(self, examples: list[SentenceExample]) -> Best:
        """With p, q the posteriors of the two topics from each text alone, and s their share in the
        world, Bayes' rule gives
            same : other = sum_t p_t q_t / s_t  :  sum_t p_t (1 - q_t) / (1 - s_t)
        for the second text was drawn from those of the first one's topic, or from the others."""
        oracle = self.stories.oracle
        p = oracle.last_states([split_story(example.text) for example in examples])[:, -1]
        q = oracle.last_states([split_story(example.text_pair) for example in examples])[:, 0]
        p, q = (summed(x, self.topic_of_end, len(self.share)) for x in (p, q))  # (B, topics)
        odds = np.stack([(p * (1 - q) / (1 - self.share)).sum(axis=1),
                         (p * q / self.share).sum(axis=1)], axis=1)
        posterior = odds / odds.sum(axis=1, keepdims=True)
        return Best(list(posterior), float(posterior.max(axis=1).mean()))


class Endings:
    """The one of four endings that goes on. In the form of SWAG.

        the twins row the raft . they share secrets .  they ...
            bake their cake .    * mend that net .    sing the song .    count the bill .

    The wrong endings come from documents about other topics, and from sentences that begin with the
    same word, so that all four agree with the start. An example with a habit among its endings
    ("they share sweets .") is left out: habits say nothing about a topic.
    """

    name, metric = "choice", "accuracy"
    sentences, wrong = 2, 3

    def __init__(self, stories: ToyStories):
        self.stories = stories
        self.topic_of_start = stories.topic[stories.world.starts]
        self.habits = stories.words_at("habit")

    def task(self, reading: Reading) -> MultipleChoice:
        """Make the task that a model is fine-tuned on."""
        return MultipleChoice(reading)

    def draw(self, count: int, rng: np.random.Generator) -> list[ChoiceExample]:
        """Draw `count` examples that all differ."""
        examples = {}
        drawn = self.stories.draw(self.sentences, rng, following=1)
        elsewhere = self.stories.draw(1, rng)
        while len(examples) < count:
            story = next(drawn)
            start, right = story.sentences[-1].split(" ", 1)
            topic = self.stories.topic_of(story.states[-1])
            endings = [right]
            while len(endings) <= self.wrong:
                other = next(elsewhere)
                first, ending = other.text.split(" ", 1)
                if first == start and self.stories.topic_of(other.states[0]) != topic:
                    endings.append(ending)
            # all four are left out together, whichever is right: it must not give the label away
            if len(set(endings)) < len(endings) or self.habits & set(" ".join(endings).split()):
                continue
            order = rng.permutation(len(endings))
            context = " ".join(story.sentences[:-1])
            shuffled = tuple(endings[k] for k in order)
            example = ChoiceExample(context, start, shuffled, int(np.argmin(order)))
            examples.setdefault((context, start, shuffled), example)
        return list(examples.values())

    def best(self, examples: list[ChoiceExample]) -> Best:
        """p(i is right) is proportional to
            sum_t p(sentence i, topic t | context) product_{j != i} p(sentence j | its first word,
                                                                      topic not t)"""
        world, oracle, topics = self.stories.world, self.stories.oracle, len(self.stories.topics)
        first = oracle.next_first_states([split_story(example.context) for example in examples])
        B, choices = len(examples), self.wrong + 1
        sentences = [f"{example.start} {ending}" for example in examples
                     for ending in example.endings]
        likelihood = oracle.likelihood(sentences)
        likelihood = likelihood.reshape(B, choices, -1)  # p(sentence | first state)
        right = summed(first[:, None] * likelihood, self.topic_of_start, topics)  # (B, 4, topics)
        alone = summed(world.opening * likelihood, self.topic_of_start, topics)
        column = [world.words.index(example.start) for example in examples]
        begins = world.opening * world.emission[world.starts][:, column].T  # (B, N)
        begins = summed(begins, self.topic_of_start, topics)[:, None]
        wrong = _without(alone) / _without(begins)  # (B, 4, topics)
        joint = np.stack([right[:, i] * np.delete(wrong, i, axis=1).prod(axis=1)
                          for i in range(choices)], axis=1).sum(axis=2)
        posterior = joint / joint.sum(axis=1, keepdims=True)
        return Best(list(posterior), float(posterior.max(axis=1).mean()))


def _without(p: np.ndarray) -> np.ndarray:
    """(..., topics) -> for each topic the sum over all the others."""
    return p.sum(axis=-1, keepdims=True) - p
