"""The tasks on the toy world: their best predictions against enumeration of all hidden paths on
tiny worlds, and against the labels that the toy world gives."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.finetuning.toy.tiny_toy_world import TinyToyWorld, paths

from minibert.finetuning.encoding import Reading
from minibert.finetuning.entity_metrics import get_entities
from minibert.finetuning.toy.sentences import Endings, Mood, SameTopic
from minibert.finetuning.toy.stories import ToyStories, split_story
from minibert.finetuning.toy.words import Entities, Questions
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld

seeds = st.integers(0, 10_000)
TASKS = (Mood, SameTopic, Endings, Entities, Questions)


def tiny_task(kind, seed, count=3, characters=2):
    """(the task on a tiny world, some examples)."""
    task = kind(ToyStories(TinyToyWorld(seed, characters)))
    return task, task.draw(count, np.random.default_rng(seed))


# ---- enumeration ----


@given(seeds)
@settings(max_examples=15)
def test_mood_equals_enumeration(seed):
    task, examples = tiny_task(Mood, seed)
    world, best = task.stories.world, task.best(examples)
    for example, p in zip(examples, best.predictions):
        expected = dict.fromkeys(task.labels, 0.0)
        for story, q in paths(world, split_story(example.text)):
            topic, character, _ = world.states[story[-1][-1]]
            likes = int(topic[1:]) % 2 == int(character[1:]) % 2
            expected["glad" if likes else "sad"] += q
        np.testing.assert_allclose(p, np.array(list(expected.values())) / sum(expected.values()))
    assert best.expected == pytest.approx(np.mean([max(p) for p in best.predictions]))


def topic_of(world, state):
    return world.states[state][0]


def topic_shares(world):
    """p(topic) of a sentence."""
    shares = {}
    for start, p in zip(world.starts, world.opening):
        shares[topic_of(world, start)] = shares.get(topic_of(world, start), 0.0) + p
    return shares


@pytest.mark.slow
@given(seeds)
@settings(max_examples=15)
def test_same_topic_equals_enumeration(seed):
    """Half of the second texts come from those that begin with the first one's last topic."""
    task, examples = tiny_task(SameTopic, seed)
    world, share = task.stories.world, topic_shares(task.stories.world)
    for example, p in zip(examples, task.best(examples).predictions):
        joint = dict.fromkeys(task.labels, 0.0)
        for first, q in paths(world, split_story(example.text)):
            topic = topic_of(world, first[-1][-1])
            for second, r in paths(world, split_story(example.text_pair)):
                if topic_of(world, second[0][0]) == topic:
                    joint["same"] += 0.5 * q * r / share[topic]
                else:
                    joint["other"] += 0.5 * q * r / (1 - share[topic])
        np.testing.assert_allclose(p, np.array(list(joint.values())) / sum(joint.values()))


@pytest.mark.slow
@given(seeds)
@settings(max_examples=6)
def test_endings_equal_enumeration(seed):
    """The wrong ones are drawn from the sentences that begin alike and are of other topics."""
    task, examples = tiny_task(Endings, seed, count=2)
    world = task.stories.world
    for example, p in zip(examples, task.best(examples).predictions):
        first = world.words.index(example.start)
        begins = {}  # p(first word, topic)
        for start, q in zip(world.starts, world.opening):
            topic = topic_of(world, start)
            begins[topic] = begins.get(topic, 0.0) + q * world.emission[start, first]
        sentences = [f"{example.start} {ending}" for ending in example.endings]
        joint = []
        for right, sentence in enumerate(sentences):
            mass = 0.0
            for story, q in paths(world, [*split_story(example.context), sentence]):
                topic = topic_of(world, story[-1][0])
                elsewhere = sum(b for other, b in begins.items() if other != topic)
                for wrong, text in enumerate(sentences):
                    if wrong != right:
                        q *= sum(r for path, r in paths(world, [text])
                                 if topic_of(world, path[0][0]) != topic) / elsewhere
                mass += q
            joint.append(mass)
        np.testing.assert_allclose(p, np.array(joint) / sum(joint), atol=1e-12)


@given(seeds)
@settings(max_examples=15)
def test_entities_equal_enumeration(seed):
    task, examples = tiny_task(Entities, seed)
    world, best = task.stories.world, task.best(examples)
    found = there = predicted = 0.0
    for example, tags in zip(examples, best.predictions):
        share = np.zeros((len(example.words), len(task.labels)))
        all_paths = paths(world, split_story(" ".join(example.words)))
        mass = sum(q for _, q in all_paths)
        for story, q in all_paths:
            right = [task.labels[task.tag[state]] for sentence in story for state in sentence]
            share[np.arange(len(right)), [task.labels.index(tag) for tag in right]] += q / mass
            found += q / mass * len(set(get_entities(right)) & set(get_entities(tags)))
            there += q / mass * len(get_entities(right))
        predicted += len(get_entities(tags))
        chosen = share[np.arange(len(tags)), [task.labels.index(tag) for tag in tags]]
        np.testing.assert_allclose(chosen, share.max(axis=1))
    assert best.expected == pytest.approx(2 * found / (predicted + there))


@given(seeds)
@settings(max_examples=15)
def test_questions_equal_enumeration(seed):
    """One of the sentences is asked about; the other is not about the same character."""
    task, examples = tiny_task(Questions, seed, characters=3)
    world, best = task.stories.world, task.best(examples)
    chances = []
    for example, found in zip(examples, best.predictions):
        [asked] = {word for word in example.question.split() if word in task.stories.characters}
        sentences = split_story(example.passage)
        told = [[(world.states[path[0][-1]][1], q) for path, q in paths(world, [sentence])]
                for sentence in sentences]
        joint = []
        for k in range(len(sentences)):
            mass = 0.0
            for chosen in product(*told):
                people = [character for character, _ in chosen]
                if people[k] == asked and people.count(asked) == 1:
                    mass += np.prod([q for _, q in chosen])
            joint.append(mass)
        joint = np.array(joint) / sum(joint)
        things = [" ".join(sentence.split()[-3:-1]) for sentence in sentences]
        assert found.answer.start == example.passage.index(found.text)
        assert joint[things.index(found.text)] == pytest.approx(joint.max())
        assert found.probability == pytest.approx(joint.max())
        chances.append(joint.max())
    assert best.expected == pytest.approx(np.mean(chances))


# ---- the toy world ----


@pytest.fixture(scope="module")
def world():
    return ToyWorld()


@pytest.fixture(scope="module", params=TASKS, ids=lambda kind: kind.__name__)
def drawn(request, world):
    task = request.param(ToyStories(world))
    return task, task.draw(1000, np.random.default_rng(6))


def score(task, examples, predictions):
    """As each task is scored; nothing is read for it, so any tokenizer will do."""
    reading = Reading(BertTokenizer.from_words(["."]), 48)
    return task.task(reading).compute_metrics(examples, predictions)[task.metric]


def test_the_best_score_is_what_is_expected_of_it(drawn):
    """(Three standard errors of a share; an F1 of several entities a text varies less.)"""
    task, examples = drawn
    best = task.best(examples)
    assert 0.9 < best.expected < 0.999
    error = (best.expected * (1 - best.expected) / len(examples)) ** 0.5
    assert score(task, examples, best.predictions) == pytest.approx(best.expected, abs=3 * error)


def test_the_seed_decides_and_no_example_comes_twice(drawn, world):
    task, examples = drawn
    again = type(task)(ToyStories(world)).draw(50, np.random.default_rng(6))
    assert again == examples[:50]
    assert len(set(examples)) == len(examples)


def test_every_word_is_one_of_the_world(drawn, world):
    _, examples = drawn
    for example in examples:
        for name in ("text", "text_pair", "context", "start", "question"):
            assert set((getattr(example, name, None) or ".").split()) <= set(world.words)
        for text in getattr(example, "endings", None) or getattr(example, "words", ()):
            assert set(text.split()) <= set(world.words)


def test_labels_are_balanced(drawn):
    task, examples = drawn
    if task.name in ("classify", "pair", "choice"):
        labels = [example.label for example in examples]
        for label in set(labels):
            expected = 1 / (4 if task.name == "choice" else 2)
            assert labels.count(label) / len(labels) == pytest.approx(expected, abs=0.06)


def test_told_stories_are_not_drawn(world):
    """A world of whose stories most were told: the others come, with their labels."""
    rng = np.random.default_rng(2)
    documents, _ = world.stories([40] * 300, rng)
    told = ToyStories(world, documents)
    runs = {" ".join(document[k:k + 2]) for document in documents for k in range(39)}
    drawn = ToyStories(world).draw(2, np.random.default_rng(3))
    assert any(next(drawn).text in runs for _ in range(500))
    drawn = told.draw(2, np.random.default_rng(3), following=1)
    for _ in range(500):
        story = next(drawn)
        assert len(story.sentences) == 3 and " ".join(story.sentences[:2]) not in runs


def test_entities_of_a_sentence_by_hand(world):
    """The tags that the docstring shows; every entity begins with B-."""
    task = Entities(ToyStories(world))
    seen = {}
    for example in task.draw(400, np.random.default_rng(0)):
        for kind, start, end in get_entities(example.tags):
            assert example.tags[start].startswith("B-")
            seen.setdefault(" ".join(example.words[start:end]), set()).add(kind)
    assert seen["the captain"] == {"CAPTAIN"}
    assert seen["the old captain"] == {"CAPTAIN"}
    assert seen["she"] == {"CAPTAIN", "PAINTER"}
    assert seen["the bank"] == {"RIVER", "TOWN"}
    assert seen["her boat"] == {"RIVER"}
    assert not {"tea", "the", "herself", "her"} & set(seen)


def test_answers_stand_in_their_context(world):
    task = Questions(ToyStories(world))
    for example in task.draw(200, np.random.default_rng(0)):
        [answer] = example.answers
        assert example.passage[answer.start:answer.start + len(answer.text)] == answer.text
        assert len(answer.text.split()) == 2


def test_endings_begin_alike_and_tell_a_topic(world):
    task = Endings(ToyStories(world))
    for example in task.draw(200, np.random.default_rng(0)):
        assert len(set(example.endings)) == 4 and " " not in example.start
        assert not {"drinks", "share"} & set(" ".join(example.endings).split())


@given(seeds)
def test_a_story_is_split_where_its_sentences_end(seed):
    world = TinyToyWorld(seed)
    [story], _ = world.stories([4], np.random.default_rng(seed))
    assert split_story(" ".join(story)) == story
