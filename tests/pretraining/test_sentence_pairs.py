"""Pairs of segments, token by token: every token of the test documents occurs once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.pretraining.encoded_documents import EncodedDocuments
from minibert.pretraining.sentence_pairs import (IS_NEXT, NOT_NEXT, Segments, build_inputs,
                                                 sample_pairs, sample_segments)

CLS, SEP, PAD = 1, 2, 0
WORDS_FROM = 10

lengths_of_documents = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6),
                                min_size=2, max_size=7).filter(
    lambda documents: any(len(document) > 1 for document in documents))


class Numbered:
    """A tokenizer whose tokens are their own ids: "10 11 12"."""

    def encode(self, text, add_special_tokens):
        assert not add_special_tokens
        return [int(word) for word in text.split()]


def numbered_documents(lengths):
    """Documents whose tokens are all different, and the (document, sentence) of each token."""
    texts, owner, n = [], {}, WORDS_FROM
    for d, document in enumerate(lengths):
        texts.append([])
        for s, length in enumerate(document):
            texts[-1].append(" ".join(map(str, range(n, n + length))))
            owner |= {token: (d, s) for token in range(n, n + length)}
            n += length
    return EncodedDocuments(Numbered(), texts), owner


def segments(documents, pairs):
    """The tokens of A and of B, row by row."""
    ids, types, attention_mask = build_inputs(documents.ids, pairs, CLS, SEP, PAD)
    for row, kinds, real in zip(ids, types, attention_mask):
        tokens = row[real].tolist()
        assert not (row[~real] != PAD).any() and not kinds[~real].any()
        assert tokens[0] == CLS and tokens[-1] == SEP
        first = tokens.index(SEP)
        assert kinds[real].tolist() == [0] * (first + 1) + [1] * (len(tokens) - first - 1)
        yield tokens[1:first], tokens[first + 1:-1]


def test_documents_keep_sentences_apart_and_drop_empty_ones():
    documents = EncodedDocuments(Numbered(), [["10 11", "", "12"], [""], ["13"], []])
    assert documents.ids.tolist() == [10, 11, 12, 13]
    assert documents.sentence_starts.tolist() == [0, 2, 3, 4]
    assert documents.document_starts.tolist() == [0, 2, 3]
    assert documents.document_of.tolist() == [0, 0, 1]
    with pytest.raises(InputError, match="the held-out text has no sentence"):
        EncodedDocuments(Numbered(), [[""]], "held-out")


@given(lengths=lengths_of_documents, room=st.integers(2, 30), seed=st.integers(0, 9))
def test_laws_of_all_pairs(lengths, room, seed):
    documents, owner = numbered_documents(lengths)
    pairs = sample_pairs(documents, room + 3, np.random.default_rng(seed))
    assert len(pairs) == sum(len(document) - 1 for document in lengths), "one pair a boundary"
    assert (pairs.label == IS_NEXT).sum() - (pairs.label == NOT_NEXT).sum() in (0, 1)
    for (a, b), label, truncated in zip(segments(documents, pairs), pairs.label, pairs.truncated):
        assert a and b and len(a) + len(b) <= room
        for segment in (a, b):
            assert np.array_equal(np.diff(segment), [1] * (len(segment) - 1)), "a run of the text"
            assert len({owner[token][0] for token in segment}) == 1, "of one document"
        (a_document, a_last), (b_document, b_first) = owner[a[-1]], owner[b[0]]
        assert (a_document == b_document) == (label == IS_NEXT)
        if label == IS_NEXT:
            assert b_first == a_last + 1
        for segment in (a, b):
            sentences = {owner[token] for token in segment}
            whole = sum(lengths[d][s] for d, s in sentences)
            if len(segment) < whole:
                assert truncated and len(sentences) == 1
                other = b if segment is a else a
                assert len({owner[token] for token in other}) == 1
                assert len(a) + len(b) == room, "no more is cut than must be"


@given(lengths=lengths_of_documents, seed=st.integers(0, 9))
def test_with_room_for_all_nothing_is_lost(lengths, seed):
    documents, owner = numbered_documents(lengths)
    pairs = sample_pairs(documents, 2 * len(documents.ids) + 3, np.random.default_rng(seed))
    assert not pairs.truncated.any()
    for (a, b), label in zip(segments(documents, pairs), pairs.label):
        if label == IS_NEXT:
            d = owner[a[0]][0]
            assert len(a) + len(b) == sum(lengths[d]), "the whole document, before and after"
        assert owner[a[0]][1] == 0 and owner[b[-1]][1] == len(lengths[owner[b[-1]][0]]) - 1


def test_a_longer_pair_loses_sentences_far_from_the_boundary():
    documents, _ = numbered_documents([[4, 3, 2, 2, 3, 4], [1]])
    pairs = sample_pairs(documents, 3 + 12, np.random.default_rng(0))
    pairs = dict(zip([int(a[-1]) for a, _ in segments(documents, pairs)],
                     zip(segments(documents, pairs), pairs.label)))
    (a, b), label = pairs[20]  # the boundary after the fourth sentence
    assert a == [17, 18, 19, 20], "two sentences of 2; the one of 3 is more than half of the room"
    if label == IS_NEXT:
        assert b == [21, 22, 23, 24, 25, 26, 27]


def test_a_leaves_room_for_the_one_sentence_of_b():
    documents, _ = numbered_documents([[2, 2, 8], [8]])
    for seed in range(4):  # the boundary before the sentence of 8, with both labels
        pairs = sample_pairs(documents, 3 + 10, np.random.default_rng(seed))
        sizes = {a[-1]: (len(a), len(b)) for a, b in segments(documents, pairs)}
        assert sizes[13] == (2, 8) and not pairs.truncated.any()


def test_one_sentence_too_long_is_cut_the_longer_one_first():
    documents, _ = numbered_documents([[20, 3], [18, 16]])
    pairs = sample_pairs(documents, 3 + 10, np.random.default_rng(3))
    for (a, b), start in zip(segments(documents, pairs), pairs.a_start):
        sizes = (len(a), len(b))
        assert sizes in ((7, 3), (5, 5)), "the sentence of 3 stays whole, else both are halved"
        assert a[0] == documents.ids[start], "a sentence loses its end"
    assert pairs.truncated.all()


@given(lengths=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=9), min_size=2, max_size=6)
       .filter(lambda ds: any(len(d) >= 4 for d in ds) and sum(len(d) >= 2 for d in ds) >= 2))
def test_exactly_so_many_sentences_where_they_are_required(lengths):
    documents, owner = numbered_documents(lengths)
    pairs = sample_pairs(documents, 16 + 3, np.random.default_rng(0), sentences=2)
    assert len(pairs) == sum(max(len(document) - 3, 0) for document in lengths)
    for (a, b), truncated in zip(segments(documents, pairs), pairs.truncated):
        assert len({owner[t] for t in a}) == len({owner[t] for t in b}) == 2
        assert not truncated


def test_too_little_room_for_the_required_sentences_is_reported():
    documents, owner = numbered_documents([[6] * 8, [6] * 8])
    pairs = sample_pairs(documents, 3 + 13, np.random.default_rng(0), sentences=2)
    assert pairs.truncated.all()
    assert all(len({owner[t] for t in a + b}) == 2 for a, b in segments(documents, pairs))


def test_random_segments_are_uniform_over_all_other_documents():
    lengths = [[1] * 40, [1] * 10, [1], [1] * 10]
    documents, owner = numbered_documents(lengths)
    found = np.zeros((4, 61))
    for seed in range(200):
        pairs = sample_pairs(documents, 2 + 3, np.random.default_rng(seed))
        for (a, b), label in zip(segments(documents, pairs), pairs.label):
            if label == NOT_NEXT:
                found[owner[a[0]][0], b[0] - WORDS_FROM] += 1
    assert not found[0, :40].any() and not found[1, 40:50].any(), "never from the same document"
    assert found[0, 40:].min() > 0 and found[1, :40].min() > 0 and found[1, 50:].min() > 0
    share = found[0, 40:] / found[0].sum()
    assert abs(share - 1 / 21).max() < 0.02, "every sentence of another document alike"
    assert not found[2].any(), "one sentence has no boundary"


def test_half_of_each_label_with_documents_of_one_sentence():
    documents, _ = numbered_documents([[3]] * 50 + [[3] * 11])
    pairs = sample_pairs(documents, 40, np.random.default_rng(0))
    assert np.bincount(pairs.label).tolist() == [5, 5]
    a_of = [documents.document_of[np.searchsorted(documents.sentence_starts, s, "right") - 1]
            for s in pairs.a_start]
    assert set(a_of) == {50}


def test_where_there_are_no_pairs_the_cure_is_named():
    one, _ = numbered_documents([[3, 3, 3]])
    with pytest.raises(InputError, match=r"1 document\(s\).*blank lines.*masked LM alone"):
        sample_pairs(one, 20, np.random.default_rng(0))
    singles, _ = numbered_documents([[3], [3], [3]])
    with pytest.raises(InputError, match="no document of the given text has 2 sentences"):
        sample_pairs(singles, 20, np.random.default_rng(0))
    short, _ = numbered_documents([[3, 3, 3, 3], [3]])
    with pytest.raises(InputError, match="another document"):
        sample_pairs(short, 20, np.random.default_rng(0), sentences=2)


@given(lengths=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1,
                        max_size=5),
       room=st.integers(1, 20))
def test_single_segments_start_at_every_sentence_and_are_whole(lengths, room):
    documents, owner = numbered_documents(lengths)
    pairs = sample_segments(documents, room + 2, np.random.default_rng(0))
    assert sorted(pairs.a_start) == documents.sentence_starts[:-1].tolist()
    ids, types, attention_mask = build_inputs(documents.ids, pairs, CLS, SEP, PAD)
    assert not types.any()
    for row, real, truncated in zip(ids, attention_mask, pairs.truncated):
        tokens = row[real].tolist()
        assert tokens[0] == CLS and tokens[-1] == SEP and SEP not in tokens[:-1]
        body = tokens[1:-1]
        sentences = {owner[t] for t in body}
        assert 1 <= len(body) <= room and len({d for d, _ in sentences}) == 1
        assert truncated == (len(body) < sum(lengths[d][s] for d, s in sentences))


def test_layout_to_the_letter():
    ids = np.array([10, 11, 12, 13, 14, 15], np.int32)
    pairs = Segments(*(np.array(column) for column in
                  ([0, 4], [1, 2], [2, 0], [3, 1], [0, 1], [False, False])))
    input_ids, types, attention_mask = build_inputs(ids, pairs, CLS, SEP, PAD)
    assert input_ids.tolist() == [[1, 10, 2, 12, 13, 14, 2], [1, 14, 15, 2, 10, 2, 0]]
    assert types.tolist() == [[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 0]]
    assert attention_mask.tolist() == [[True] * 7, [True] * 6 + [False]]


def test_is_next_is_zero_as_in_bert():
    assert (IS_NEXT, NOT_NEXT) == (0, 1)
