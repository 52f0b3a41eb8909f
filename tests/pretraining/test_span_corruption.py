"""Span corruption: what is taken out, where it goes, batches; a gap of one word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.small_models import small

import minibert as mb
from minibert.errors import InputError
from minibert.pretraining.span_corruption import (SpanCorruptionObjective, corrupt_spans,
                                                  draw_noise, gap_log_p, sentinel_ids,
                                                  with_sentinels)
from minibert.tokenizers.wordpiece import BertTokenizer

TRAIN = [["a b c .", "b c d e .", "e a ."], ["d d .", "a e c b ."]]
HELD_OUT = [["c b a .", "e e d ."]]
TOKENIZER = with_sentinels(BertTokenizer.from_words("abcde."), 12)
SENTINELS, END = sentinel_ids(TOKENIZER), TOKENIZER.sep_token_id


def objective(**changes):
    return SpanCorruptionObjective(**(dict(tokenizer=TOKENIZER, train=TRAIN, held_out=HELD_OUT,
                                           context=12, batch_size=4, seed=3) | changes))


def restored(text, target):
    """The text with each sentinel replaced by what follows it in the target."""
    assert target[-1] == END and END not in target[:-1]
    spans, latest = {}, None
    for token in target[:-1]:
        if token in SENTINELS:
            latest = token
            spans[latest] = []
        else:
            spans[latest].append(token)
    found = []
    for token in text:
        found += spans.pop(token) if token in SENTINELS else [token]
    assert not spans
    return found


@given(noise=st.lists(st.booleans(), min_size=1, max_size=14), seed=st.integers(0, 99))
def test_text_and_target_together_are_the_whole(noise, seed):
    ids = np.random.default_rng(seed).integers(5, 11, len(noise))
    text, target = corrupt_spans(ids, np.array(noise), SENTINELS, END)
    assert restored(text.tolist(), target.tolist()) == ids.tolist()
    spans = "".join("x" if taken else " " for taken in noise).split()
    used = [token for token in text.tolist() if token in SENTINELS]
    assert used == SENTINELS[:min(len(spans), len(SENTINELS))].tolist(), "in their order"
    if len(spans) <= len(SENTINELS):
        assert len(text) == len(ids) - sum(noise) + len(spans)
        assert len(target) == sum(noise) + len(spans) + 1


def test_the_example_of_the_docstring():
    words = "the captain tunes that old guitar .".split()
    tokenizer = with_sentinels(BertTokenizer.from_words(words), 12)
    ids = np.array(tokenizer.convert_tokens_to_ids(words))
    text, target = corrupt_spans(ids, np.array([0, 0, 1, 1, 1, 0, 0], bool),
                                 sentinel_ids(tokenizer), tokenizer.sep_token_id)
    to_tokens = tokenizer.convert_ids_to_tokens
    assert to_tokens(text) == "the captain <extra_id_0> guitar .".split()
    assert to_tokens(target) == "<extra_id_0> tunes that old [SEP]".split()


def test_a_seventh_of_the_tokens_in_spans_of_three():
    noise = draw_noise((4000, 60), np.random.default_rng(0))
    np.testing.assert_allclose(noise.mean(axis=0), 0.15, atol=0.03)  # at every place alike
    np.testing.assert_allclose(noise.mean(), 0.15, atol=0.004)
    goes_on = noise[:, 1:] & noise[:, :-1]
    np.testing.assert_allclose(goes_on.sum(axis=0) / noise[:, :-1].sum(axis=0), 2 / 3, atol=0.1)
    padded = np.pad(noise, ((0, 0), (1, 1)))
    begins, ends = [np.flatnonzero(edge[:, :-1] & ~edge[:, 1:])
                    for edge in (padded[:, ::-1], padded)]
    assert len(begins) == len(ends)
    # of spans that begin inside, far from the end: geometric with mean 3
    rows, columns = np.nonzero(noise[:, 1:30] & ~noise[:, :29])
    lengths = np.array([np.argmin(np.append(noise[r, c + 1:], False))
                        for r, c in zip(rows, columns)])
    np.testing.assert_allclose(lengths.mean(), 3, atol=0.1)
    np.testing.assert_allclose((lengths == 1).mean(), 1 / 3, atol=0.03)


def test_the_share_taken_out_is_that_of_training_alone():
    noise = draw_noise((4000, 60), np.random.default_rng(0), 0.4)
    np.testing.assert_allclose(noise.mean(axis=0), 0.4, atol=0.04)
    goes_on = noise[:, 1:] & noise[:, :-1]
    np.testing.assert_allclose(goes_on.sum() / noise[:, :-1].sum(), 2 / 3, atol=0.02)
    plain, often = objective(), objective(mlm_probability=0.5)
    for one, other in zip(plain.held_out_batches(), often.held_out_batches(), strict=True):
        np.testing.assert_array_equal(one.targets, other.targets)
    targets = [sum(one.counts(one.batch(number))["tokens"] for number in range(20))
               for one in (plain, often)]
    assert targets[1] > 1.5 * targets[0]


def test_the_sentinels_suffice_for_the_largest_share():
    tokenizer = with_sentinels(BertTokenizer.from_words("abcde."), 48)
    task = objective(tokenizer=tokenizer, train=[["a b c d . " * 9] * 600], context=48,
                     batch_size=600, mlm_probability=0.5)
    batch = task.batch(0)
    sentinels = np.isin(batch.targets, sentinel_ids(tokenizer)).sum()
    taken_out = task.counts(batch)["tokens"] - sentinels - 600  # an end in each row
    np.testing.assert_allclose(taken_out / (600 * 45), 0.5, atol=0.02)


def test_a_batch_is_a_function_of_its_number_and_its_shards_are_the_batch():
    one, other = objective(), objective()
    other.batch(5)
    for number in (0, 1, 7):
        batch, same = one.batch(number), other.batch(number)
        for name, array in vars(batch).items():
            np.testing.assert_array_equal(array, getattr(same, name))
            parts = [getattr(batch.shard(k, 3), name) for k in range(3)]
            np.testing.assert_array_equal(np.concatenate(parts), array)
    assert any((objective(seed=4).batch(0).targets.shape != one.batch(0).targets.shape,
                (objective(seed=4).batch(0).input_ids != one.batch(0).input_ids).any()))
    held_out = [list(task.held_out_batches()) for task in (one, other)]
    np.testing.assert_array_equal(held_out[0][0].input_ids, held_out[1][0].input_ids)
    assert len(held_out[0][0].input_ids) == 2
    assert len(next(objective(n_held_out=1).held_out_batches()).input_ids) == 1


def test_epochs_batches_and_seeds_have_random_numbers_of_their_own():
    """All texts are alike, so that targets are equal where the same spans are taken out."""
    alike = {"train": [["a b c d ."] * 60] * 2, "held_out": [["a b c d ."] * 150],
             "batch_size": 50, "context": 7}
    one, other = objective(**alike), objective(**alike, seed=4)

    def differ(*batches):
        return len({(batch.targets.shape, batch.targets.tobytes()) for batch in batches}) > 1

    assert differ(one.batch(0), one.batch(1))
    assert differ(*list(one.held_out_batches())[:2])
    assert differ(next(one.held_out_batches()), next(other.held_out_batches()))
    first, second = [objective().epochs.epoch(epoch).a_start for epoch in range(2)]
    assert sorted(first) == sorted(second) and first.tolist() != second.tolist()


def test_an_epoch_has_a_text_from_each_sentence_on():
    assert len(objective(batch_size=1).batch(0).input_ids) == 1
    task = objective(batch_size=5)
    for number in range(3):
        batch, texts = task.batch(number), []
        for ids, mask, target in zip(batch.input_ids, batch.attention_mask, batch.targets):
            assert (ids[~mask] == TOKENIZER.pad_token_id).all()
            ids = ids[mask].tolist()
            assert ids[0] == TOKENIZER.cls_token_id and ids[-1] == END and len(ids) <= 12
            whole = restored(ids[1:-1], target[target != -100].tolist())
            texts.append(" ".join(TOKENIZER.convert_ids_to_tokens(whole)))
        # as many whole sentences as fit into 10 tokens
        assert sorted(texts) == ["a b c . b c d e .", "a e c b .", "b c d e . e a .",
                                 "d d . a e c b .", "e a ."]
    assert task.counts(batch) == {"tokens": int((batch.targets != -100).sum())}


def test_the_loss_is_that_of_the_targets():
    model = small(mb.BartForConditionalGeneration, vocab_size=TOKENIZER.vocab_size, pad_token_id=0,
                  decoder_start_token_id=END, max_position_embeddings=12).eval()
    task = objective()
    batch = task.batch(0)
    losses, metrics = task.losses(model, batch)
    counts = task.counts(batch)
    mean = model(batch.input_ids, batch.attention_mask, labels=batch.targets).loss.item()
    summary = task.summary({"tokens": losses["tokens"].item()}, counts, metrics)
    np.testing.assert_allclose(summary["loss"], mean, rtol=1e-12)


def test_a_gap_of_one_word_is_a_word_and_then_the_end():
    model = small(mb.BartForConditionalGeneration, 2).eval()
    ids = np.random.default_rng(0).integers(1, 16, (9, 6))  # more rows than are decoded at once
    positions = np.arange(9) % 5
    found = gap_log_p(model, ids, positions, 3, 1)
    assert found.shape == (9, 17)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-12)
    for row in (0, 8):
        text = ids[row:row + 1].copy()
        text[0, positions[row]] = 3
        joint = np.empty(17)
        for word in range(17):
            logits = model(text, decoder_input_ids=np.array([[0, 3, word]])).logits.data[0]
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            joint[word] = p[1, word] * p[2, 1]
        np.testing.assert_allclose(np.exp(found[row]), joint / joint.sum(), rtol=1e-9)


@pytest.mark.parametrize("changes, message", [
    ({"tokenizer": BertTokenizer.from_words("abcde.")}, "has no sentinel <extra_id_0>"),
    ({"context": 2}, "context, for .CLS. text .SEP. = 2"), ({"batch_size": 0}, "batch_size = 0"),
    ({"train": [[]]}, "the training text has no sentence"),
    ({"train": ["a b c ."]}, "the string 'a b c .' as a document: expected a list of sentences"),
    ({"held_out": "a b"}, "the held-out text has the string 'a' as a document"),
    ({"n_held_out": 0}, "n_held_out = 0"),
    ({"mlm_probability": 0.51}, "mlm_probability = 0.51"),
    ({"mlm_probability": 0}, "mlm_probability = 0")])
def test_examples_that_cannot_be_made(changes, message):
    with pytest.raises(InputError, match=message):
        objective(**changes)
