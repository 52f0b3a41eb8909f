"""Heads in words, value norms, rollout: against loops over the definitions."""

import numpy as np
import pytest
from tests.look.small_pages import bert, gpt, tokenizer

from minibert.look.heads import describe_head, rollout, value_norms
from minibert.look.subject import make_subject


@pytest.fixture(scope="module")
def subject():
    words = tokenizer()
    return make_subject("BERT", bert(words), words, "the bank is the bank .")


def test_value_norms_are_the_lengths_of_what_a_head_adds(subject):
    norms = value_norms(subject)
    for layer, block in enumerate(subject.model.bert.stack.blocks):
        weight = block.attention.output.weight.data  # (C, H D)
        values = subject.cache[f"blocks.{layer}.attn.hook_v"][0]
        for head in range(3):
            part = weight[:, 4 * head:4 * head + 4]
            for key in range(len(subject.ids)):
                length = np.linalg.norm(part @ values[key, head])
                assert np.isclose(norms[layer, head, key], length, rtol=1e-5)


def test_rollout_multiplies_layer_by_layer(subject):
    first, second = (subject.cache["pattern", i][0] for i in (0, 1))
    T = len(first[0])
    mean = [0.5 * sum(pattern) / 3 + 0.5 * np.eye(T) for pattern in (first, second)]
    expected = np.array([[sum(mean[1][q, j] * mean[0][j, k] for j in range(T)) for k in range(T)]
                         for q in range(T)])
    assert np.allclose(rollout([first, second]), expected, atol=1e-6)
    assert np.allclose(expected.sum(axis=1), 1)


def place(rows, T, of):
    weights = np.full((T, T), 0.1 / (T - 1))
    weights[rows, of] = 0.9
    return weights


@pytest.mark.parametrize("sentence, of", [
    ("itself", lambda t: t), ("previous token", lambda t: max(t - 1, 0)),
    ("next token", lambda t: min(t + 1, 7)), ("first token", lambda t: 0),
    ("[SEP]", lambda t: 7)])
def test_a_habit_is_named(subject, sentence, of):
    T = len(subject.ids)
    rows = np.arange(T)
    weights = place(rows, T, [of(t) for t in rows])
    assert describe_head(weights, subject).startswith(sentence)


def test_an_even_head_is_called_even(subject):
    T = len(subject.ids)
    assert describe_head(np.full((T, T), 1 / T), subject) == f"even: entropy {np.log(T):.1f} of " \
        f"{np.log(T):.1f}"


def test_a_causal_head_is_compared_with_what_it_can_see():
    words = tokenizer()
    subject = make_subject("GPT", gpt(words), words, "the bank is muddy .")
    T = len(subject.ids)
    even = np.tril(np.ones((T, T))) / np.arange(1, T + 1)[:, None]
    assert describe_head(even, subject).startswith("even")
