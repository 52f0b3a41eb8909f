"""The story oracle against enumeration of hidden paths; its calibration on the toy world."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.toy_world.grammar import ToyWorld
from minibert.toy_world.story_oracle import StoryOracle
from tests.toy_world.tiny_worlds import random_world, worlds

seeds = st.integers(0, 10_000)
LONGEST = 6  # words in an enumerated story


def short_stories(world, seed, sentences, count):
    """Stories that are short enough to enumerate."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        told, states = world.stories([sentences] * 20, rng)
        found += [story for story in told if len(" ".join(story).split()) <= LONGEST]
    return found[:count]


def paths(world, story):
    """(path of states, p(path and words)) for every path of states of the story."""
    words = [word for sentence in story for word in sentence.split()]
    is_last = [place == len(sentence.split()) - 1 for sentence in story
               for place in range(len(sentence.split()))]
    starts, ends = list(world.starts), list(world.ends)
    for path in product(range(world.num_states), repeat=len(words)):
        if path[0] not in starts or [state in ends for state in path] != is_last:
            continue
        p = world.opening[starts.index(path[0])]
        for place, (state, word) in enumerate(zip(path, words)):
            p *= world.emission[state, world.words.index(word)]
            if place + 1 < len(path) and is_last[place]:
                following = path[place + 1]
                if following not in starts:
                    p = 0.0
                    break
                p *= world.between[ends.index(state), starts.index(following)]
            elif place + 1 < len(path):
                p *= world.inner[state, path[place + 1]]
        if p > 0.0:
            yield path, p


@given(worlds(), seeds, st.integers(1, 3))
@settings(max_examples=25)
def test_states_equal_enumeration(world, seed, sentences):
    stories = short_stories(world, seed, sentences, 3)
    oracle = StoryOracle(world)
    groups = np.random.default_rng(seed).integers(0, 2, (world.num_states, 2)).astype(float)
    words, last = oracle.word_states(stories, groups), oracle.last_states(stories)
    following = oracle.next_first_states(stories)
    for row, story in enumerate(stories):
        length = len(" ".join(story).split())
        ends_at = np.cumsum([len(sentence.split()) for sentence in story]) - 1
        expected, total = np.zeros((length, world.num_states)), 0.0
        for path, p in paths(world, story):
            expected[np.arange(length), path] += p
            total += p
        expected /= total
        np.testing.assert_allclose(words[row], expected @ groups, atol=1e-12)
        np.testing.assert_allclose(last[row], expected[ends_at][:, world.ends], atol=1e-12)
        np.testing.assert_allclose(following[row], expected[-1, world.ends] @ world.between,
                                   atol=1e-12)


@given(worlds(), seeds)
@settings(max_examples=20)
def test_the_likelihood_of_a_sentence_equals_enumeration(world, seed):
    sentences = [story[0] for story in short_stories(world, seed, 1, 5)]
    likelihood = StoryOracle(world).likelihood(sentences)
    for row, sentence in enumerate(sentences):
        expected = np.zeros(2)  # starts are the states 0 and 1
        for path, p in paths(world, [sentence]):
            expected[path[0]] += p / world.opening[path[0]]
        np.testing.assert_allclose(likelihood[row], expected, rtol=1e-9)


def test_posteriors_of_the_toy_world_are_calibrated():
    """Topic and character: the accuracy of an exact posterior is its own expectation. (Three
    standard errors.)"""
    world = ToyWorld()
    stories, states = world.stories([3] * 400, np.random.default_rng(4))
    for about in (0, 1):  # topic, character
        names = np.array([state[about] for state in world.states])
        kinds = np.unique(names)
        p = StoryOracle(world).last_states(stories)  # (B, 3, E)
        p = np.stack([p[..., names[world.ends] == kind].sum(axis=-1) for kind in kinds], axis=-1)
        right = np.array([[names[sentence[-1]] for sentence in story] for story in states])
        hits = (kinds[p.argmax(axis=-1)] == right).mean(axis=0)
        best = p.max(axis=-1)
        error = np.sqrt((best * (1 - best)).sum(axis=0)) / len(stories)
        assert (np.abs(hits - best.mean(axis=0)) <= 3 * error).all()
        assert hits.min() > 0.8


def test_rows_do_not_touch_each_other():
    world = ToyWorld()
    stories, _ = world.stories([2] * 150, np.random.default_rng(5))  # more than one block
    oracle = StoryOracle(world)
    groups = np.eye(world.num_states)
    every = oracle.word_states(stories, groups)
    few = oracle.word_states([stories[140], stories[3]], groups)
    np.testing.assert_allclose(few[0], every[140], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(few[1], every[3], rtol=1e-9, atol=1e-15)


def test_errors():
    world = random_world(0)
    oracle = StoryOracle(world)
    told = short_stories(world, 0, 2, 1)
    with pytest.raises(InputError, match="stories of one length"):
        oracle.last_states([told[0], told[0][:1]])
    with pytest.raises(InputError, match="stories of one length"):
        oracle.last_states([])
    with pytest.raises(InputError, match="no word 'w9'"):
        oracle.last_states([["w0 w9"]])
    with pytest.raises(InputError, match="'the boat .' has probability 0 here"):
        StoryOracle(ToyWorld()).last_states([["the boat ."]])
