"""Exercise 11: sentence_pairs(stories, rng)."""

import re

import numpy as np
from hypothesis import strategies as st
from tests.exercises.checker import Part
from tests.exercises.checks.statistics import Counts, wrong_figure

from minibert import micro


@st.composite
def some_stories(draw):
    count = draw(st.integers(2, 8))
    return {"stories": micro.STORIES[:count], "seed": draw(st.integers(0, 99))}


LARGE = {"stories": micro.STORIES[:5] * 80, "seed": 1}


def arguments(inputs):
    return [list(inputs["stories"]), np.random.default_rng(inputs["seed"])]


def form(function, inputs, output):
    if not isinstance(output, tuple) or len(output) != 2:
        return "the result is not a tuple of two: texts and labels"
    texts, labels = output
    n = len(inputs["stories"])
    if not isinstance(texts, list) or len(texts) != n:
        return f"texts is not a list of {n} strings, one for each story"
    if not isinstance(labels, np.ndarray) or labels.shape != (n,) or labels.dtype.kind != "i":
        return f"labels is not an array of {n} whole numbers, 0 or 1"
    for text in texts:
        if not isinstance(text, str) or not re.fullmatch(r"\[CLS\] .+ \[SEP\] .+ \[SEP\]", text):
            return f"{text!r} is not '[CLS] A [SEP] B [SEP]'"
    return None


def figures(inputs, output):
    texts, labels = output
    split = [re.fullmatch(r"\[CLS\] (.*) \[SEP\] (.*) \[SEP\]", text).groups() for text in texts]
    stories = inputs["stories"]
    seconds = {b for _, b in stories}
    first = np.array([text[0] == story[0] for text, story in zip(split, stories)])
    own = np.array([text[1] == story[1] for text, story in zip(split, stories)])
    known = np.array([text[1] in seconds for text in split])
    yes, no = labels == 0, labels == 1
    return {"labels that are 0 or 1": (int((yes | no).sum()), len(labels), 1),
            "pairs whose A is the story's first sentence": (int(first.sum()), len(labels), 1),
            "pairs whose B is a second sentence of a story": (int(known.sum()), len(labels), 1),
            "pairs with label 0 (B follows A) and the true B": (int(own[yes].sum()),
                                                               int(yes.sum()), 1),
            "pairs with label 1 (B does not follow A) and the true B": (int(own[no].sum()),
                                                                       int(no.sum()), 0),
            "pairs with label 1": (int(no.sum()), len(labels), 0.5)}


def shares(function, inputs, output):
    if form(function, inputs, output):
        return None
    found = figures(inputs, output)
    if inputs is not LARGE:
        found = {name: figure for name, figure in found.items() if figure[2] in (0, 1)}
    return wrong_figure(found)


def symptoms(inputs, output):
    return Counts(figures(inputs, output))


# ---- known mistakes ------------------------------------------------------------------------------


def paired(stories, rng, share=0.5, other=None, own=None, first=None):
    """The pairs with a mistake in them."""
    labels = (rng.random(len(stories)) < share).astype(int)
    texts = []
    for i, ((a, b), label) in enumerate(zip(stories, labels)):
        wrong = [second for _, second in stories if second != b]
        second = (other or (lambda i: rng.choice(wrong)))(i) if label else b
        texts.append((first or "[CLS] {a} [SEP] {b} [SEP]").format(a=a, b=second))
    return texts, labels


def labels_swapped(stories, rng):
    """The labels are swapped: 0 means that B follows A, as in BERT."""
    texts, labels = paired(stories, rng)
    return texts, 1 - labels


def the_true_one_drawn(stories, rng):
    """A random B may be the true one: leave out all second sentences that are equal to the story's
    own B. Another story may have the same one, so compare sentences, not numbers."""
    return paired(stories, rng, other=lambda i: stories[rng.integers(len(stories))][1])


def always_next(stories, rng):
    """Every pair is a true one: half of them get another B."""
    return paired(stories, rng, share=0.0)


def never_next(stories, rng):
    """No pair is a true one: half of them keep their own B."""
    return paired(stories, rng, share=1.0)


def fifteen_per_cent(stories, rng):
    """15 % of the pairs have another B: it is half of them (15 % is the share of masked words)."""
    return paired(stories, rng, share=0.15)


def reversed_pairs(stories, rng):
    """A and B are in the wrong order."""
    return paired(stories, rng, first="[CLS] {b} [SEP] {a} [SEP]")


def other_first_sentence(stories, rng):
    """The random B is a first sentence: draw from the second sentences, or the model tells the two
    kinds apart by their form alone."""
    return paired(stories, rng, other=lambda i: stories[i - 1][0])


def labels_without_effect(stories, rng):
    """Labels and sentences are drawn independently: where the label is 0, B is the story's own."""
    texts, _ = paired(stories, rng)
    return texts, rng.integers(0, 2, len(stories))


PARTS = (
    Part("sentence_pairs", some_stories(),
         (labels_swapped, the_true_one_drawn, always_next, never_next,
          fifteen_per_cent, reversed_pairs, other_first_sentence, labels_without_effect),
         laws=(form, shares), arguments=arguments, symptoms=symptoms, extra=(LARGE,),
         probes=(LARGE,)),)
