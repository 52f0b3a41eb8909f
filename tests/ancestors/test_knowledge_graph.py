"""Triples as numbers, and ranks by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.ancestors.knowledge_graph import KnowledgeGraph, filtered_ranks, link_prediction
from minibert.errors import InputError

TRIPLES = [("cat", "eats", "fish"), ("dog", "eats", "meat"), ("fish", "fears", "cat")]
GRAPH = KnowledgeGraph(TRIPLES)


def test_names_become_numbers():
    assert GRAPH.entities == ["cat", "dog", "fish", "meat"] and GRAPH.relations == ["eats", "fears"]
    ids = GRAPH.ids(TRIPLES)
    assert ids.tolist() == [[0, 0, 2], [1, 0, 3], [2, 1, 0]]
    table = GRAPH.table(ids)
    assert table.shape == (2, 4, 4) and np.argwhere(table).tolist() == [[0, 0, 2], [0, 1, 3],
                                                                        [1, 2, 0]]
    assert GRAPH.ids([]).shape == (0, 3)


@pytest.mark.parametrize("triple, words", [
    (("cow", "eats", "fish"), "no entity 'cow'"), (("cat", "eats", "grass"), "no entity 'grass'"),
    (("cat", "sees", "fish"), "no relation 'sees'"), (("cat", "cat", "fish"), "no relation 'cat'")])
def test_an_unknown_name_is_named(triple, words):
    with pytest.raises(InputError, match=f"{words}: build the KnowledgeGraph from triples that"):
        GRAPH.ids([TRIPLES[0], triple])


def test_ranks_by_hand():
    distances = np.array([[0.1, 0.5, 0.3, 0.2]])
    none = np.zeros((1, 4), bool)
    for answer, rank in enumerate([1, 4, 3, 2]):
        assert filtered_ranks(distances, np.array([answer]), none) == [rank]
    known = np.array([[True, True, False, False]])  # 0 is right too: 1 comes after 3 and 2
    assert filtered_ranks(distances, np.array([1]), known) == [3]
    np.testing.assert_array_equal(known, [[True, True, False, False]])  # unchanged
    tied = np.array([[0.2, 0.2, 0.2, 0.1]])
    assert filtered_ranks(tied, np.array([0]), none) == [3]  # after 3; half of 1 and 2 before it
    assert filtered_ranks(np.zeros((1, 4)), np.array([0]), none) == [2.5]  # the mean of 1 to 4


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 2 ** 32 - 1))
def test_ranks_equal_their_place_in_a_sorted_list(N, E, seed):
    rng = np.random.default_rng(seed)
    distances, known = rng.normal(size=(N, E)), rng.random((N, E)) < 0.4
    answers = rng.integers(0, E, N)
    for row, answer, rank in zip(range(N), answers, filtered_ranks(distances, answers, known)):
        left = [k for k in range(E) if k == answer or not known[row, k]]
        assert sorted(left, key=lambda k: distances[row, k]).index(answer) + 1 == rank


def test_heads_and_tails_are_both_asked():
    triples, known = GRAPH.ids(TRIPLES[:1]), GRAPH.table(GRAPH.ids(TRIPLES))
    distances = np.ones((2, 4, 4))
    distances[0, 0] = [0.4, 0.3, 0.2, 0.1]  # cat eats: fish is second
    distances[0, :, 2] = [0.2, 0.1, 0.15, 0.3]  # eats fish: cat is third
    found = link_prediction(distances, triples, known)
    assert found == {"hits@1": 0.0, "hits@10": 1.0,
                     "mean_reciprocal_rank": pytest.approx((1 / 2 + 1 / 3) / 2)}
    perfect = link_prediction(-known.astype(float), GRAPH.ids(TRIPLES), known)
    assert set(perfect.values()) == {1.0}


def test_the_tenth_is_a_hit_among_10():
    distances, known = np.zeros((1, 12, 12)), np.zeros((1, 12, 12), bool)
    distances[0] = np.arange(12) - np.arange(12)[:, None]  # of tails the first, of heads the last
    for tail, hits in ((9, 1.0), (10, 0.5)):
        found = link_prediction(distances, np.array([[11, 0, tail]]), known)
        assert found["hits@10"] == hits


@pytest.mark.parametrize("triple", [("cat", "eats"), ("cat", "eats", "fish", "often"), "cat"])
def test_a_triple_has_three_names(triple):
    for read in (KnowledgeGraph, GRAPH.ids):
        with pytest.raises(InputError, match=r"expected \(head, relation, tail\)"):
            read([triple] * 3)  # as many names as three triples have


def test_impossible_input_is_refused():
    with pytest.raises(InputError, match="no triples"):
        KnowledgeGraph([])
    with pytest.raises(InputError, match="no triples"):
        link_prediction(np.zeros((2, 4, 4)), GRAPH.ids([]), np.zeros((2, 4, 4), bool))
    with pytest.raises(InputError, match="NaN"):
        filtered_ranks(np.array([[0.0, np.nan]]), np.array([0]), np.zeros((1, 2), bool))
