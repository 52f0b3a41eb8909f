"""Entities and their scores against seqeval's (see make_metrics_reference.py), and in words."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.finetuning.entity_metrics import (Entity, entity_counts, get_entities,
                                                has_entity_tags)
from minibert.finetuning.metrics import Counts, macro_f1, total

REFERENCE = json.loads((Path(__file__).parent / "metrics_reference.json").read_text())
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


@pytest.mark.parametrize("case", REFERENCE["entities"])
def test_entities_as_seqeval_counts_them(case):
    counts = entity_counts(case["right"], case["predicted"])
    assert list(counts) == case["kinds"]
    for name in ("precision", "recall", "f1", "support"):
        ours = [count.scores()[name] for count in counts.values()]
        if ours:
            np.testing.assert_allclose(ours, case[name], rtol=1e-12, err_msg=name)
    all_of_them = total(counts.values())
    ours = [*all_of_them.scores().values()][:3] + [macro_f1(counts.values())]
    np.testing.assert_allclose(ours, [*case["micro"], case["macro_f1"]], rtol=1e-12)


@pytest.mark.parametrize("tags, entities", [
    ("", []), ("O O", []), ("B-A", [("A", 0, 1)]), ("B-A I-A I-A O", [("A", 0, 3)]),
    ("O B-A B-A", [("A", 1, 2), ("A", 2, 3)]),  # two neighbours
    ("I-A I-A O I-A", [("A", 0, 2), ("A", 3, 4)]),  # ill-formed: I- begins one
    ("B-A I-B I-B", [("A", 0, 1), ("B", 1, 3)]),  # another type begins another
    ("I-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]), ("B-A-b I-A-b", [("A-b", 0, 2)]),
    ("B I B O I I", [("_", 0, 2), ("_", 2, 3), ("_", 4, 6)]), ("B I-A", [("_", 0, 1), ("A", 1, 2)]),
])
def test_where_entities_begin_and_end(tags, entities):
    assert get_entities(tags.split()) == [Entity(*entity) for entity in entities]


def by_conllevals_questions(tags):
    """Does an entity end, does one begin between these two words? For B and I only."""
    entities, start = [], None
    for place in range(len(tags) + 1):
        before = tags[place - 1] if place else "O"
        here = tags[place] if place < len(tags) else "O"
        other = before[2:] != here[2:]
        ends = before != "O" and (here == "O" or here[0] == "B" or other)
        begins = here != "O" and (here[0] == "B" or before == "O" or other)
        if ends:
            entities.append(Entity(before[2:], start, place))
        if begins:
            start = place
    return entities


@given(st.lists(st.sampled_from(TAGS), max_size=10))
def test_against_the_rules_of_conlleval(tags):
    assert get_entities(tags) == by_conllevals_questions(tags)


@given(st.lists(st.lists(st.sampled_from(TAGS), max_size=6), max_size=4))
def test_perfect_predictions(sentences):
    counts = entity_counts(sentences, sentences)
    assert all([*count.scores().values()][:3] == [1.0] * 3 for count in counts.values())
    there = [entity for tags in sentences for entity in get_entities(tags)]
    assert total(counts.values()).support == len(there)


@pytest.mark.parametrize("tags, are_entities", [
    ("O B-A", True), ("O I-A NN", True), ("B I O", True), ("B O", True), ("I", True), ("O", False),
    ("B I E S O", False), ("B NN", False), ("DT NN", False), ("B- I- O", False), ("", False)])
def test_which_tags_mark_entities(tags, are_entities):
    assert has_entity_tags(tags.split()) == are_entities


def test_type_and_both_ends_must_be_right():
    right = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"]]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["B-ORG", "O"]]
    assert entity_counts(right, predicted) == {"LOC": Counts(1, 1, 2), "ORG": Counts(0, 1, 0),
                                               "PER": Counts(0, 1, 1)}
    # the same words and types in another sentence are another entity
    assert entity_counts([["B-A"], ["O"]], [["O"], ["B-A"]]) == {"A": Counts(0, 1, 1)}


@pytest.mark.parametrize("message, right, predicted", [
    ("tags of 1 sentences were predicted, there are 2", [["O"], ["O"]], [["O"]]),
    ("sentence 1 has 2 words, but 1 predicted", [["O"], ["O", "O"]], [["O"], ["O"]]),
    ("the tag 'E-PER' is neither O nor", [["E-PER"]], [["O"]]),
    ("the tag 'B-' is neither", [["O"]], [["B-"]]), ("the tag 'Bx' is", [["Bx"]], [["O"]]),
    ("the tag 'I-' is neither", [["I-"]], [["O"]]), ("the tag '' is neither", [[""]], [["O"]]),
])
def test_what_cannot_be_scored(message, right, predicted):
    with pytest.raises(InputError, match=message):
        entity_counts(right, predicted)
