"""Counting words: what it learns, and that it stays far under the best score on the toy tasks."""

import numpy as np
import pytest
from tests.finetuning.toy.test_toy_tasks import TASKS, score

from minibert.finetuning.bag_of_words import (BagOfWords, _fitted, candidate_spans, ending_choice,
                                              span_choice, tag_choices)
from minibert.finetuning.examples import (Answer, ChoiceExample, QuestionExample, SentenceExample,
                                          TagExample)
from minibert.finetuning.toy.stories import ToyStories
from minibert.toy_world.grammar import ToyWorld


@pytest.mark.slow
@pytest.mark.parametrize("kind", TASKS, ids=lambda kind: kind.__name__)
def test_counting_stays_ten_points_under_the_best(kind):
    """With 1,000 examples to learn from (600 where there are many words to tag). The bound leaves
    two standard errors of the 800 test examples above the ten points."""
    task = kind(ToyStories(ToyWorld()))
    n_train = 600 if task.name == "tag" else 1000
    examples = task.draw(n_train + 1000, np.random.default_rng(8))
    train, dev, test = examples[:n_train], examples[n_train:n_train + 200], examples[-800:]
    model = BagOfWords(task).fit(train, dev)
    reached = score(task, test, model.predict(test))
    assert reached < task.best(test).expected - 0.10 - 2 * (0.25 / len(test)) ** 0.5
    guessing = {"classify": 0.5, "pair": 0.5, "choice": 0.25, "tag": 0.4, "answer": 1 / 2}
    assert reached > guessing[task.name] - 0.05  # it is a baseline, not a broken one


def sentences(words, label, count):
    return [SentenceExample(words, None, label)] * count


def test_shares_of_labels_are_learned_from_words_that_tell_nothing():
    """Two thirds of the texts are good: so is what it says to any text."""
    class Task:
        name, labels = "classify", ("bad", "good")
    train = sentences("the film", "good", 20) + sentences("the film", "bad", 10)
    model = BagOfWords(Task).fit(train, train)
    predicted = model.predict(sentences("a word never seen", "bad", 2))
    np.testing.assert_array_equal(predicted, [[0, 1], [0, 1]])
    assert model.accuracy(train) == pytest.approx(2 / 3)


def test_counts_matter_and_order_does_not():
    class Task:
        name, labels = "classify", ("no", "yes")
    train = sentences("a b b", "yes", 5) + sentences("a a b", "no", 5)
    model = BagOfWords(Task).fit(train, train)
    assert np.argmax(model.predict(sentences("b a b", "yes", 1))) == 1
    assert np.argmax(model.predict(sentences("b a a", "yes", 1))) == 0


def test_as_many_classes_as_there_are():
    class Task:
        name, labels = "pair", ("x", "y", "z")
    # "x y" and "y x" are two different pairs: it counts in which text a word stands
    pairs = [SentenceExample("x", "y", "z"), SentenceExample("y", "x", "x"),
             SentenceExample("y", "y", "y")]
    predicted = BagOfWords(Task).fit(pairs, pairs).predict(pairs)
    np.testing.assert_array_equal(predicted, np.eye(3)[[2, 0, 1]])


def test_pairs_are_compared_word_by_word():
    """Neither text tells by itself; that both say the same word does."""
    class Task:
        name, labels = "pair", ("other", "same")
    train = [SentenceExample(a, b, "same" if a == b else "other") for a in "xyz" for b in "xyz"]
    model = BagOfWords(Task).fit(train, train)
    assert model.accuracy(train) == 1.0


@pytest.mark.parametrize("classes", [1, 3])
def test_the_weights_are_where_the_gradient_is_zero(classes):
    """The loss written out for each choice, its gradient by central differences."""
    rng = np.random.default_rng(classes)
    sizes = [2, 3, 4] if classes == 1 else [1] * 5
    bags = [[list(rng.choice(list("abcd"), 4)) for _ in range(size)] for size in sizes]
    class Task:
        name, labels = ("pair", "abc") if classes == 3 else ("choice", "")
    model = BagOfWords(Task)
    model.columns = {name: column for column, name in enumerate("abcd")}
    x, first, right = model._matrix([(bag, len(bag) * classes - 1) for bag in bags])
    weights = _fitted(x, first, right, 0.1, np.zeros((4, classes)))
    from_afar = _fitted(x, first, right, 0.1, np.full((4, classes), 1000.0))  # exp would overflow
    np.testing.assert_allclose(from_afar, weights, atol=1e-3)

    def loss(weights):
        total = 0.05 * (weights ** 2).sum()
        for bag in bags:
            counts = np.array([[words.count(name) for name in "abcd"] for words in bag])
            scores = (counts @ weights).ravel()
            total += np.log(np.exp(scores).sum()) - scores[-1]
        return total

    for index in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[index] = 1e-5
        assert abs(loss(weights + step) - loss(weights - step)) / 2e-5 < 1e-3


def test_the_penalty_is_chosen_on_dev():
    """Learned by heart, the odd ones out in `train` say the contrary of `dev`."""
    class Task:
        name, labels = "classify", ("no", "yes")
    train = [SentenceExample(f"good w{k}", None, "yes") for k in range(9)]
    train += [SentenceExample(f"good w{k}", None, "no") for k in range(9, 12)]
    train += [SentenceExample("bad", None, "no")] * 3
    dev = [SentenceExample(f"good w{k}", None, "yes") for k in range(12)]
    assert BagOfWords(Task).fit(train, dev).accuracy(dev) == 1.0
    by_heart = BagOfWords(Task).fit(train, train)
    assert by_heart.accuracy(train) == 1.0 and by_heart.accuracy(dev) < 1.0


def test_bags_of_endings_and_tags():
    example = ChoiceExample("the cat sat .", "it", ("sat down .", "it ran ."), 1)
    bags, right = ending_choice(example)
    assert right == 1 and sorted(bags[1]) == [".", "it", "ran", "shared", "shared", "shared .",
                                              "shared it"]
    assert sorted(bags[0]) == [".", "down", "sat", "shared", "shared", "shared .", "shared sat"]

    class Task:
        name, labels = "tag", ("O", "B-X")
    tagged = TagExample(("a", "b"), ("B-X", "O"))
    first, second = tag_choices(tagged, Task.labels)
    assert first == ([["a", "always", "in text a", "in text b"]], 1) and second[1] == 0
    assert BagOfWords(Task).fit([tagged] * 9, [tagged]).predict([tagged]) == [("B-X", "O")]


def test_spans_and_their_bags():
    context = "she rows . he sings ."
    spans = candidate_spans(context)
    assert [context[start:start + len(text)] for start, text, _ in spans] == \
        [text for _, text, _ in spans]
    assert {text for _, text, _ in spans} == {"she", "rows", "she rows", "he", "sings", "he sings"}
    question = QuestionExample("1", "he .", context, (Answer("sings", 14),))
    bags, right = span_choice(question)
    assert spans[right][:2] == (14, "sings")
    assert sorted(bags[right]) == ["1 words", "sentence shares", "sings", "sings asked .",
                                   "sings asked he"]
    assert "sentence shares" not in bags[0]
    again = QuestionExample("2", "he .", "she sings . he sings .", (Answer("sings", 15),))
    _, right = span_choice(again)
    assert candidate_spans(again.passage)[right][:2] == (15, "sings")  # and not the first "sings"
