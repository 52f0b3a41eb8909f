"""GPT's objective: windows, shift, held-out windows, bits per character."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minibert.autograd.functional import IGNORE_INDEX
from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.models.config import GPT2Config
from minibert.models.gpt import GPT2LMHeadModel
from minibert.pretraining.gpt_objective import NextTokenBatch, NextTokenObjective, token_stream
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.characters import CharTokenizer
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.training.trainer import Trainer, TrainingSettings

TRAIN = ["the quick brown fox\njumps over ", "a lazy dog. " * 9, "end"]
HELD_OUT = ["it was held out, ", "and this too: never seen!"]
TOKENIZER = CharTokenizer.train(TRAIN + HELD_OUT)
SEP = TOKENIZER.sep_token_id


def objective(**changes):
    settings = dict(tokenizer=TOKENIZER, train=TRAIN, held_out=HELD_OUT, context=10, batch_size=5,
                    seed=3)
    return NextTokenObjective(**(settings | changes))


def test_a_separator_before_each_text():
    stream = token_stream(TOKENIZER, ["ab", "a\nb"])
    a, b, newline = (TOKENIZER.vocab[c] for c in "ab\n")
    assert stream.tolist() == [SEP, a, b, SEP, a, newline, b]
    assert token_stream(TOKENIZER, []).tolist() == []


CODE = "def a():\n    b = 1\n\n    return b\n\n\na()\n" * 9
BYTES = GPT2Tokenizer.train([CODE, "a  \n  b \n\n b\n\n\n a" * 9], 320)


@given(text=st.text("ab \n\r\x0b\u2028é[]", max_size=40))
@example(text=CODE)
def test_a_text_encoded_by_lines_is_the_text_encoded_at_once(text):
    for tokenizer in (CharTokenizer.train([text, "a"]), BertTokenizer.from_words("ab[]"), BYTES):
        assert token_stream(tokenizer, [text]).tolist() == [
            tokenizer.sep_token_id, *tokenizer.encode(text, add_special_tokens=False)]


def test_targets_are_the_tokens_that_follow():
    task = objective()
    stream = task.train_ids.tolist()
    for step in range(20):
        batch = task.batch(step)
        assert batch.input_ids.shape == batch.targets.shape == (5, 10)
        for inputs, targets in zip(batch.input_ids.tolist(), batch.targets.tolist()):
            window = inputs + targets[-1:]
            assert targets == window[1:]
            assert any(stream[i:i + 11] == window for i in range(len(stream)))


def test_windows_start_anywhere_and_reach_the_last_token():
    task = objective(context=len(token_stream(TOKENIZER, TRAIN)) - 2, batch_size=50)
    first = {tuple(row) for row in task.batch(0).input_ids.tolist()}
    assert len(first) == 2, "the window at place 0 and the one at place 1"
    last = task.batch(0).targets[:, -1]
    assert set(last) == {task.train_ids[-1], task.train_ids[-2]}


@given(n_letters=st.integers(40, 120), context=st.integers(1, 30), batch_size=st.integers(1, 7))
def test_an_epoch_has_every_target_once_but_for_its_two_ends(n_letters, context, batch_size):
    letters = "".join(map(chr, range(0x4e00, 0x4e00 + n_letters)))  # each of them once
    tokenizer = CharTokenizer.train([letters])
    task = objective(tokenizer=tokenizer, train=[letters], held_out=[letters], context=context,
                     batch_size=batch_size)
    n = task.n_per_epoch
    rows = np.concatenate([task.batch(step).targets for step in range(-(-2 * n // batch_size))])
    cuts = []
    for epoch in (rows[:n], rows[n:2 * n]):
        read = np.sort(epoch.ravel())
        assert len(np.unique(read)) == len(read), "a token is a target twice in an epoch"
        assert n_letters - len(read) <= 2 * context - 1
        cuts.append(read[0])
    place = {int(i): at for at, i in enumerate(task.train_ids)}
    assert all([place[int(first)] <= 2 * context for first in cuts])


def test_both_ends_together_lose_up_to_two_windows_less_one_token():
    task = objective(train=["x" * 99], context=10)  # 99 targets, 8 windows
    assert task.n_per_epoch == 8 and len(task.train_ids) - 1 - 80 == 19
    starts = np.array([task.epochs.epoch(epoch).min() for epoch in range(300)])
    assert set(starts) == set(range(20)), "all of the 19 may be lost at one end"


def test_a_window_may_span_a_separator():
    windows = objective(batch_size=30).batch(0).input_ids
    assert (windows[:, 1:] == SEP).any()


def test_each_epoch_cuts_the_text_at_other_places_and_in_another_order():
    task = objective()
    n = task.n_per_epoch
    starts = [task.epochs.epoch(epoch) for epoch in range(30)]
    assert len({int(s.min()) for s in starts}) > 5
    assert not np.array_equal(starts[0] - starts[0].min(), starts[1] - starts[1].min())
    assert all([np.array_equal(np.sort(s), s.min() + 10 * np.arange(n)) for s in starts])


def test_a_batch_is_a_function_of_seed_and_number():
    first, again, other = objective(), objective(), objective(seed=4)
    list(again.held_out_batches())
    for step in (7, 0, 3):
        assert np.array_equal(first.batch(step).input_ids, again.batch(step).input_ids)
    assert not np.array_equal(first.batch(0).input_ids, first.batch(1).input_ids)
    assert not np.array_equal(first.batch(0).input_ids, other.batch(0).input_ids)


@pytest.mark.parametrize("context", [1, 3, 10, 42, 43, 44, 100])
def test_every_held_out_token_is_scored_once_and_no_other(context):
    task = objective(context=context)
    batches = list(task.held_out_batches())
    scored = np.concatenate([b.targets[b.targets != IGNORE_INDEX] for b in batches])
    assert np.array_equal(scored, token_stream(TOKENIZER, HELD_OUT)[1:])
    assert sum(task.counts(b)["tokens"] for b in batches) == len(scored) == 43
    for batch in batches:
        before = batch.input_ids[batch.targets != IGNORE_INDEX]
        assert TOKENIZER.unk_token_id not in before
    read = np.concatenate([b.input_ids[b.targets != IGNORE_INDEX] for b in batches])
    assert np.array_equal(read, token_stream(TOKENIZER, HELD_OUT)[:-1])


def test_a_long_held_out_text_comes_in_several_batches():
    task = objective(held_out=["ab" * 100], context=1)
    batches = list(task.held_out_batches())
    assert [len(batch.input_ids) for batch in batches] == [64, 64, 64, 8]
    scored = np.concatenate([batch.targets.ravel() for batch in batches])
    assert np.array_equal(scored, task.held_out_ids[1:])


@pytest.mark.parametrize("make_targets", [
    lambda window: window[:, :-1],  # not shifted
    lambda window: np.roll(window, -2, axis=1)[:, :-1],  # shifted twice
    lambda window: np.roll(window, 1, axis=1)[:, :-1],  # shifted back
    lambda window: window[:, 2:],  # shifted, and of another length
])
def test_targets_that_are_not_the_next_tokens_are_an_error(make_targets):
    window = np.arange(24).reshape(2, 12)
    with pytest.raises(ValueError, match="shifted by one"):
        NextTokenBatch(window[:, :-1], make_targets(window))


def test_the_shares_of_the_workers_are_the_batch():
    batch = objective().batch(0)
    for n in (1, 2, 5, 7):
        shares = [batch.shard(k, n) for k in range(n)]
        for name in ("input_ids", "targets"):
            whole = np.concatenate([getattr(share, name) for share in shares])
            assert np.array_equal(whole, getattr(batch, name))


def test_a_text_of_one_letter_is_no_error():
    task = objective(train=["a" * 50], held_out=["aaa"])
    assert task.batch(0).input_ids.shape == (5, 10)


def test_bits_per_character_of_a_model_that_knows_nothing():
    """Uniform logits: ln V a token, and log2 V times tokens per character."""
    for tokenizer in (TOKENIZER, BertTokenizer.train(TRAIN, 40, min_frequency=1)):
        task = objective(tokenizer=tokenizer)
        model = GPT2LMHeadModel(GPT2Config(
            vocab_size=len(tokenizer), n_positions=10, n_embd=8, n_layer=1, n_head=2,
            bos_token_id=0, eos_token_id=0))
        for parameter in model.parameters():
            parameter.data = np.zeros_like(parameter.data)
        model.eval()
        loss, n = 0.0, 0
        with no_grad():
            for batch in task.held_out_batches():
                losses, metrics = task.losses(model, batch)
                assert metrics == {} and set(losses) == set(task.counts(batch)) == {"tokens"}
                loss += losses["tokens"].item()
                n += task.counts(batch)["tokens"]
        summary = task.summary({"tokens": loss}, {"tokens": n}, {})
        assert summary["loss"] == pytest.approx(math.log(len(tokenizer)), rel=1e-6)
        n_characters = sum(map(len, HELD_OUT)) + 1
        expected = math.log2(len(tokenizer)) * n / n_characters
        assert summary["bits_per_character"] == pytest.approx(expected, rel=1e-6)


def test_one_string_is_no_list_of_texts():
    for name in ("train", "held_out"):
        with pytest.raises(InputError, match="got the string 'abc abc': expected a list of texts"):
            objective(**{name: "abc abc"})


def test_texts_that_are_too_short_are_an_error():
    with pytest.raises(InputError, match="4 tokens, too short for one window of 10"):
        objective(train=["abc"])
    assert objective(train=["abc"], context=3).batch(0).input_ids.shape == (5, 3)
    with pytest.raises(InputError, match="4 tokens, too short for one window of 4"):
        objective(train=["abc"], context=4)
    for nothing in ([], [""]):
        with pytest.raises(InputError, match="held-out text has no token"):
            objective(held_out=nothing)
    for name in ("context", "batch_size"):
        with pytest.raises(InputError, match=f"{name} = 0: expected a whole number from 1"):
            objective(**{name: 0})


def test_the_first_examples_can_be_read():
    examples = objective().first_examples(2)
    assert len(examples) == 2
    batch = objective().batch(0)
    assert repr(TOKENIZER.decode(batch.input_ids[0])) in examples[0]
    last = TOKENIZER.convert_ids_to_tokens(batch.targets[0, -1])
    assert examples[0].endswith(repr(last))
    assert len(objective().first_examples(9)) == 5, "no more than a batch has"
    unknown = CharTokenizer.train(["ab"])
    unknown.errors = "replace"
    assert objective(tokenizer=unknown, train=["abc" * 9], held_out=["ab", "b"]).describe() == [
        "training: 28 tokens, 32.14% of them unknown", "held out: 5 tokens, 0.00% of them unknown",
        "1.250 tokens for each of the 4 held-out characters"]


def test_gpt2s_separator_is_not_unknown():
    lines = objective(tokenizer=BYTES, train=[CODE] * 9, held_out=[CODE]).describe()
    assert all("0.00% of them unknown" in line for line in lines[:2])


def test_a_memorised_text_comes_back():
    """With one shift too many or too few a letter is lost or repeated."""
    text = "pack my box with five dozen liquor jugs"
    task = objective(train=[text], held_out=[text], context=len(text), batch_size=1)
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=len(TOKENIZER), n_positions=len(text) + 1, n_embd=32, n_layer=1, n_head=2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.2), rng=1)
    trainer = Trainer(model, task, TrainingSettings(steps=60, lr=1e-2, warmup=5))
    losses = [trainer.step()["loss"] for _ in range(60)]
    assert losses[0] > math.log(len(TOKENIZER)) and losses[-1] < 0.02
    ids = model.generate(np.array([[SEP]]), max_new_tokens=len(text), eos_token_id=())
    assert TOKENIZER.decode(ids[0, 1:]) == text
