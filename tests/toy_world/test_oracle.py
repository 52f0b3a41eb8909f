"""The oracle against enumeration of all hidden paths, and its calibration on the toy world."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.data.ngram_baselines import bigram_loss
from minibert.errors import InputError
from minibert.toy_world.grammar import TOPICS, ToyWorld
from minibert.toy_world.oracle import Oracle
from tests.toy_world.tiny_worlds import WordTokenizer, random_world, stream_matrix, worlds

seeds = st.integers(0, 10_000)


# ---- enumeration: every path of hidden states, its probability from the definition ----


def stream_paths(world, length):
    """(path, probability) for every path of `length` states of the stream."""
    moves = stream_matrix(world)
    for path in product(range(world.num_states + 1), repeat=length):
        p = world.stationary[path[0]]
        for here, there in zip(path, path[1:]):
            p *= moves[here, there]
        if p > 0.0:
            yield path, p


def segment_paths(world, length, sentences):
    """(path, probability without the first state's) of exactly `sentences` whole sentences."""
    for path in product(range(world.num_states), repeat=length):
        is_end = [state in world.ends for state in path]
        if not is_end[-1] or sum(is_end) != sentences or path[0] not in world.starts:
            continue
        p = 1.0
        for here, there in zip(path, path[1:]):
            p *= step(world, here, there)
        if p > 0.0:
            yield path, p


def step(world, here, there):
    if here not in world.ends:
        return world.inner[here, there]
    if there not in world.starts:
        return 0.0
    return world.between[list(world.ends).index(here), list(world.starts).index(there)]


def opening_of(world, state):
    return world.opening[list(world.starts).index(state)]


def clean(world, tokenizer, state, token):
    if state == world.num_states:
        return float(token == tokenizer.sep_token_id)
    word = tokenizer.vocab[token]
    return world.emission[state, world.words.index(word)] if word in world.words else 0.0


def channel(tokenizer, shown, word, chosen):
    """p(shown | the true word), where it is known whether the position was chosen."""
    if not chosen:
        return float(shown == word)
    if shown == tokenizer.mask_token_id:
        return 0.8
    return 0.1 / len(tokenizer.ordinary_ids) + 0.1 * (shown == word)


def seen(world, tokenizer, state, shown):
    """p(shown | state) where it is not known whether the position was chosen."""
    total = 0.0
    for word in tokenizer.ordinary_ids:
        either = 0.85 * channel(tokenizer, shown, word, False)
        either += 0.15 * channel(tokenizer, shown, word, True)
        total += clean(world, tokenizer, state, word) * either
    return total


# ---- the stream ----


@given(worlds(), seeds)
@settings(max_examples=20)
def test_next_token_equals_enumeration(world, seed):
    tokenizer = WordTokenizer(world.words)
    ids = draw_stream(world, tokenizer, np.random.default_rng(seed), rows=2, length=4)
    got = Oracle(world, tokenizer).next_token(ids[:, :-1], ids[:, 1:])
    for row in range(2):
        prefix = []
        for length in range(1, 5):
            total = 0.0
            for path, p in stream_paths(world, length):
                for state, token in zip(path, ids[row]):
                    p *= clean(world, tokenizer, state, token)
                total += p
            prefix.append(total)
        np.testing.assert_allclose(got[row], np.diff(np.log(prefix)), rtol=1e-9, atol=1e-12)


@given(worlds(), seeds)
@settings(max_examples=20)
def test_leave_one_out_equals_enumeration(world, seed):
    tokenizer = WordTokenizer(world.words)
    ids = draw_stream(world, tokenizer, np.random.default_rng(seed), rows=1, length=4)
    left, both = Oracle(world, tokenizer).leave_one_out(ids)
    paths = list(stream_paths(world, 4))

    def mass(row, positions):
        total = 0.0
        for path, p in paths:
            for t in positions:
                p *= clean(world, tokenizer, path[t], ids[row, t])
            total += p
        return total

    for row in range(1):
        for gap in range(4):
            before, others = list(range(gap)), [t for t in range(4) if t != gap]
            expected_left = np.log(mass(row, [*before, gap]) / mass(row, before))
            assert left[row, gap] == pytest.approx(expected_left, rel=1e-9, abs=1e-12)
            expected_both = np.log(mass(row, range(4)) / mass(row, others))
            assert both[row, gap] == pytest.approx(expected_both, rel=1e-9, abs=1e-12)


def test_next_token_ignores_minus_100_and_never_looks_ahead():
    world = random_world(3)
    tokenizer = WordTokenizer(world.words)
    # More rows than one block has
    ids = draw_stream(world, tokenizer, np.random.default_rng(0), rows=70, length=7)
    oracle = Oracle(world, tokenizer)
    full = oracle.next_token(ids[:, :-1], ids[:, 1:])
    targets = ids[:, 1:].copy()
    targets[::2, 3] = -100
    some = oracle.next_token(ids[:, :-1], targets)
    assert (some[::2, 3] == 0.0).all()
    some[::2, 3] = full[::2, 3]
    np.testing.assert_array_equal(some, full)
    np.testing.assert_allclose(oracle.next_token(ids[:, :3], ids[:, 1:4]), full[:, :3], rtol=1e-12)
    last = oracle.next_token(ids[68:, :-1], ids[68:, 1:])
    np.testing.assert_allclose(last, full[68:], rtol=1e-12)


def draw_stream(world, tokenizer, rng, rows, length):
    """Windows that start anywhere, drawn from the dense chain."""
    moves = stream_matrix(world)
    ids = np.zeros((rows, length), dtype=np.int64)
    for row in range(rows):
        state = rng.choice(world.num_states + 1, p=world.stationary / world.stationary.sum())
        for t in range(length):
            ids[row, t] = tokenizer.sep_token_id
            if state < world.num_states:
                word = rng.choice(world.words, p=world.emission[state])
                ids[row, t] = tokenizer.vocab.index(word)
            state = rng.choice(world.num_states + 1, p=moves[state] / moves[state].sum())
    return ids


@given(worlds(), seeds)
@settings(max_examples=10)
def test_distributions_and_posteriors_of_a_window_equal_enumeration(world, seed):
    tokenizer = WordTokenizer(world.words)
    ids = draw_stream(world, tokenizer, np.random.default_rng(seed), rows=1, length=3)
    oracle, S, V = Oracle(world, tokenizer), world.num_states, tokenizer.vocab_size
    groups = np.random.default_rng(seed).integers(0, 2, (S, 2)).astype(float)
    paths = list(stream_paths(world, 3))

    def mass(tokens, state_at=None, of=np.ones(S + 1)):
        """p(the tokens that are given, a state of weight `of` at one place)."""
        total = 0.0
        for path, p in paths:
            for state, token in zip(path, tokens):
                p *= 1.0 if token is None else clean(world, tokenizer, state, token)
            total += p if state_at is None else p * of[path[state_at]]
        return total

    next_token, (left, both) = oracle.next_token_distribution(ids), oracle.gap_distributions(ids)
    posterior_left, posterior_both = oracle.state_posteriors(ids, groups)
    row = list(ids[0])
    for t in range(3):
        before = [*row[:t], *[None] * (3 - t)]
        others = [*row[:t], None, *row[t + 1:]]
        for token in range(V):
            here = [*row[:t], token]
            expected = mass([*here, *[None] * (2 - t)]) / mass(before)
            assert left[0, t, token] == pytest.approx(expected, rel=1e-9, abs=1e-12)
            expected = mass([*here, *row[t + 1:]]) / mass(others)
            assert both[0, t, token] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        for group in range(2):
            of = np.append(groups[:, group], 0.0)
            seen_so_far = [*row[:t + 1], *[None] * (2 - t)]
            expected = mass(seen_so_far, t, of) / mass(seen_so_far)
            assert posterior_left[0, t, group] == pytest.approx(expected, rel=1e-9, abs=1e-12)
            expected = mass(row, t, of) / mass(row)
            assert posterior_both[0, t, group] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(next_token[:, :-1], left[:, 1:], rtol=1e-12)
    for p in (next_token, left, both):
        np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)
    at = np.arange(3)
    np.testing.assert_array_equal(np.log(left[0, at, row]), oracle.leave_one_out(ids)[0][0])
    np.testing.assert_array_equal(np.log(both[0, at, row]), oracle.leave_one_out(ids)[1][0])
    np.testing.assert_array_equal(np.log(next_token[0, at[:2], row[1:]]),
                                  oracle.next_token(ids[:, :-1], ids[:, 1:])[0])


def test_topic_groups_tell_the_two_banks_apart():
    world = ToyWorld()
    groups, column = world.topic_groups(), world.words.index("bank")
    np.testing.assert_array_equal(groups.sum(axis=1), 1.0)
    has_bank = groups[world.emission[:, column] > 0].any(axis=0)
    assert has_bank.tolist() == [topic in ("river", "town") for topic in TOPICS]


# ---- pairs ----


def pair_arrays(tokenizer, pairs):
    """[CLS] A [SEP] B [SEP] with padding, from lists of ids."""
    width = max(len(a) + len(b) for a, b in pairs) + 3
    ids = np.full((len(pairs), width), tokenizer.pad_token_id)
    types, attention = np.zeros_like(ids), np.zeros_like(ids)
    for row, (a, b) in enumerate(pairs):
        line = [tokenizer.cls_token_id, *a, tokenizer.sep_token_id, *b, tokenizer.sep_token_id]
        ids[row, : len(line)] = line
        types[row, len(a) + 2 : len(line)] = 1
        attention[row, : len(line)] = 1
    return ids, types, attention


def enumerate_pair(world, tokenizer, a, b, sentences, scored=None):
    """{(label, word)}: joint probability of the label, of what is shown and of the word at place
    `scored` of a + b (word None where nothing is scored). Label 0: B continues A."""
    shown, joint = [*a, *b], {}
    tails = list(segment_paths(world, len(b), sentences))
    for path_a, p_a in segment_paths(world, len(a), sentences):
        for path_b, p_b in tails:
            path = [*path_a, *path_b]
            p = opening_of(world, path_a[0]) * p_a * p_b
            for place, (state, token) in enumerate(zip(path, shown)):
                if place != scored:
                    p *= seen(world, tokenizer, state, token)
            joins = {0: 0.5 * step(world, path_a[-1], path_b[0])}
            joins[1] = 0.5 * opening_of(world, path_b[0])
            for label, join in joins.items():
                for word in [None] if scored is None else tokenizer.ordinary_ids:
                    q = p * join
                    if word is not None:
                        q *= clean(world, tokenizer, path[scored], word)
                        q *= channel(tokenizer, shown[scored], word, True)
                    joint[label, word] = joint.get((label, word), 0.0) + q
    return joint


@pytest.mark.slow
@given(worlds(), seeds, st.integers(1, 2), st.booleans())
@settings(max_examples=20)
def test_pairs_equal_enumeration(world, seed, sentences, unused):
    """Segments of any tokens, corrupted or clean; a position is scored with every label."""
    rng = np.random.default_rng(seed)
    tokenizer = WordTokenizer(world.words, ["unused", "words"] if unused else [])
    shown_ids = [*tokenizer.ordinary_ids, tokenizer.mask_token_id]
    lengths = rng.integers(2 * sentences, 2 * sentences + 2, (2, 2))
    pairs = [(rng.choice(shown_ids, n), rng.choice(shown_ids, m)) for n, m in lengths]
    pairs = [(a, b) for a, b in pairs
             if all(any(True for _ in segment_paths(world, len(s), sentences)) for s in (a, b))]
    if not pairs:
        return
    ids, types, attention = pair_arrays(tokenizer, pairs)
    world.sentences_per_segment = sentences
    oracle = Oracle(world, tokenizer)
    _, next_sentence = oracle.pairs(ids, types, attention, [], [])
    for row, (a, b) in enumerate(pairs):
        joint = enumerate_pair(world, tokenizer, a, b, sentences)
        total = sum(joint.values())
        expected = [joint[label, None] / total for label in (0, 1)]
        np.testing.assert_allclose(np.exp(next_sentence[row]), expected, rtol=1e-9, atol=1e-13)
        scored = int(rng.integers(len(a) + len(b)))
        joint = enumerate_pair(world, tokenizer, a, b, sentences, scored)
        words = {word: joint[0, word] + joint[1, word] for word in tokenizer.ordinary_ids}
        flat = row * ids.shape[1] + scored + (1 if scored < len(a) else 2)
        p, _ = oracle.pair_distributions(ids, types, attention, [flat])
        expected = [words.get(token, 0.0) / sum(words.values()) for token in range(p.shape[1])]
        np.testing.assert_allclose(p[0], expected, rtol=1e-9, atol=1e-13)
        for word, p in words.items():
            if p > 0.0:
                got, _ = oracle.pairs(ids, types, attention, [flat], [word])
                assert got[0] == pytest.approx(np.log(p / sum(words.values())), rel=1e-9, abs=1e-12)


# ---- the toy world itself ----


@pytest.fixture(scope="module")
def toy():
    world = ToyWorld()
    tokenizer = WordTokenizer(world.words)
    documents = world.documents(1200, np.random.default_rng(7))
    return world, tokenizer, [[tokenizer.encode_words(s) for s in d] for d in documents]


@pytest.fixture(scope="module")
def pairs(toy):
    """800 corrupted pairs, as in pre-training: input, labels, and the oracle's answers."""
    world, tokenizer, documents = toy
    rng = np.random.default_rng(8)
    n = world.sentences_per_segment
    runs = [(d, i) for d, doc in enumerate(documents) for i in range(len(doc) - 2 * n + 1)]
    halves = [(d, i) for d, doc in enumerate(documents) for i in range(len(doc) - n + 1)]
    texts, labels = [], rng.integers(0, 2, 800)
    for label in labels:
        d, i = runs[rng.integers(len(runs))]
        other, j = d, i + n
        while label == 1 and other == d:
            other, j = halves[rng.integers(len(halves))]
        texts.append((sum(documents[d][i : i + n], []), sum(documents[other][j : j + n], [])))
    ids, types, attention = pair_arrays(tokenizer, texts)
    chosen = (rng.random(ids.shape) < 0.15) & np.isin(ids, tokenizer.ordinary_ids)
    fate = rng.random(ids.shape)
    shown = np.where(chosen & (fate < 0.8), tokenizer.mask_token_id, ids)
    shown = np.where(chosen & (fate >= 0.9), rng.choice(tokenizer.ordinary_ids, ids.shape), shown)
    positions = np.flatnonzero(chosen)
    words = ids.ravel()[positions]
    answers = Oracle(world, tokenizer).pairs(shown, types, attention, positions, words)
    return shown, types, attention, positions, words, labels, answers


def test_context_is_worth_what_demos_readme_says(toy, pairs):
    """On small samples, with margins."""
    world, tokenizer, documents = toy
    stream = np.concatenate([[tokenizer.sep_token_id, *sum(d, [])] for d in documents])
    windows = stream[: len(stream) // 49 * 49].reshape(-1, 49)[:300]
    oracle = Oracle(world, tokenizer)
    best = -oracle.next_token(windows[:, :-1], windows[:, 1:]).mean()
    # Counted on ample text, so that the baseline is not poor for want of data
    ample = world.documents(6000, np.random.default_rng(9))
    ample = [[tokenizer.sep_token_id, *tokenizer.encode_words(" ".join(d))] for d in ample]
    ample = np.concatenate(ample)
    assert bigram_loss(ample, windows.ravel(), tokenizer.vocab_size) - best >= 0.4
    left, both = oracle.leave_one_out(windows)
    assert both.mean() - left.mean() >= 0.3
    labels, next_sentence = pairs[5], pairs[6][1]
    assert (next_sentence.argmax(axis=1) == labels).mean() >= 0.85


def test_next_sentence_probabilities_are_calibrated(pairs):
    """The accuracy of an exact posterior is its own expectation. (Three standard errors.)"""
    labels, log_p = pairs[5], pairs[6][1]
    p = np.exp(log_p)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    right = p[np.arange(len(p)), labels]
    surprise = -np.log(right) + (p * log_p).sum(axis=1)  # its expectation is zero
    assert abs(surprise.mean()) < 3 * surprise.std() / len(p) ** 0.5
    assert abs((p.argmax(axis=1) == labels).mean() - p.max(axis=1).mean()) < 3 * 0.5 / len(p) ** 0.5


def test_masked_words_are_predicted_better_than_from_the_word_shares_alone(pairs, toy):
    shown, types, attention, positions, labels, _, (log_p, _) = pairs
    kept = shown.ravel()[positions] == labels
    hidden = shown.ravel()[positions] == toy[1].mask_token_id
    assert -log_p[hidden].mean() < 0.7
    assert -log_p[kept].mean() < 0.2 < -log_p[~kept & ~hidden].mean()


def test_a_block_of_rows_does_not_change_its_neighbours(pairs, toy):
    shown, types, attention, positions, labels, _, (log_p, next_sentence) = pairs
    world, tokenizer, _ = toy
    rows = np.array([70, 3, 131])
    width = shown.shape[1]
    chosen = [np.flatnonzero(positions // width == row) for row in rows]
    moved = np.concatenate([positions[c] % width + width * k for k, c in enumerate(chosen)])
    keep = attention[rows].any(axis=0)
    assert keep.sum() < width  # narrower padding, too
    moved = moved // width * keep.sum() + moved % width
    inputs = [a[rows][:, keep] for a in (shown, types, attention)]
    chosen = np.concatenate(chosen)
    got = Oracle(world, tokenizer).pairs(*inputs, moved, labels[chosen])
    np.testing.assert_allclose(got[0], log_p[chosen], rtol=1e-9)
    np.testing.assert_allclose(got[1], next_sentence[rows], rtol=1e-9)


# ---- errors ----


def test_a_tokenizer_that_splits_words_is_refused():
    world = random_world(0)
    tokenizer = WordTokenizer(world.words)
    tokenizer.tokenize = list
    with pytest.raises(InputError, match="must be one piece"):
        Oracle(world, tokenizer)


def test_text_of_another_world_is_refused():
    world = ToyWorld()
    tokenizer = WordTokenizer(world.words)
    ids = np.array([tokenizer.encode_words("the boat rows . the captain")])
    oracle = Oracle(world, tokenizer)
    with pytest.raises(InputError, match="has probability 0"):
        oracle.next_token(ids[:, :-1], ids[:, 1:])
    for ask in (oracle.next_token_distribution, oracle.gap_distributions, oracle.leave_one_out):
        with pytest.raises(InputError, match="has probability 0"):
            ask(ids)
    with pytest.raises(InputError, match="has probability 0"):
        oracle.state_posteriors(ids, world.topic_groups())


def test_what_is_not_a_pair_is_refused():
    world = random_world(0)
    tokenizer = WordTokenizer(world.words)
    word = tokenizer.ordinary_ids[0]
    world.sentences_per_segment = 1
    oracle = Oracle(world, tokenizer)
    good = pair_arrays(tokenizer, [([word, word], [word, word])])
    for column, token in ((0, word), (3, word), (4, tokenizer.sep_token_id), (6, word)):
        ids = good[0].copy()
        ids[0, column] = token
        with pytest.raises(InputError, match="no pairs|expected pairs"):
            oracle.pairs(ids, *good[1:], [], [])
    with pytest.raises(InputError, match="no pairs|expected pairs"):
        oracle.pairs(good[0], np.zeros_like(good[1]), good[2], [], [])
    for pair in (([word, word], []), ([], [word, word])):
        with pytest.raises(InputError, match="no pairs"):
            oracle.pairs(*pair_arrays(tokenizer, [([word, word], [word, word]), pair]), [], [])
