"""Greedy and sampled texts: against loops that read everything anew for each token."""

import io

import numpy as np
import pytest
from tests.generation.bigrams import Bigrams, cycle
from hypothesis import given
from hypothesis import strategies as st
from tests.generation.random_gpt import random_gpt
from tests.models.small_models import small

import minibert as mb
from minibert.autograd.tensor import no_grad
from minibert.errors import InputError
from minibert.generation.sampling import (draw, keep_top_k, keep_top_p, with_repetition_penalty,
                                          with_temperature, without_tokens)
from minibert.nn.kv_cache import KeyValueCache

SEEDS = st.integers(0, 2**32 - 1)
V = 17


@pytest.fixture(scope="module")
def gpt():
    return random_gpt(3, n_positions=12, eos_token_id=None)


def prompts(seed, lengths):
    """Random texts of some lengths, padded on the left with anything -> (ids, mask)."""
    rng = np.random.default_rng(seed)
    mask = np.arange(max(lengths))[::-1] < np.array(lengths)[:, None]
    return rng.integers(0, V, mask.shape), mask.astype(int)


def anew(model, text, positions=12):
    """The logits (1, V) after a list of tokens, of which the last ones are seen."""
    return model(np.array([text[-positions:]])).logits.data[:, -1]


@given(seed=SEEDS, lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
       penalty=st.sampled_from([1.0, 1.5]), window=st.booleans())
def test_greedy_is_the_likeliest_token_of_each_row_alone(gpt, seed, lengths, penalty, window):
    ids, mask = prompts(seed, lengths)
    new = 10 if window else 7
    found = gpt.generate(ids, mask, max_new_tokens=new, repetition_penalty=penalty,
                         sliding_window=window)
    assert np.array_equal(found[:, :ids.shape[1]], ids)
    for row, length in enumerate(lengths):
        text = ids[row, -length:].tolist()
        for _ in range(new):
            logits = with_repetition_penalty(anew(gpt, text), np.array([text]), penalty)
            text.append(int(logits.argmax()))
        assert found[row, -new - length:].tolist() == text


@given(seed=SEEDS, temperature=st.sampled_from([0.5, 1.0, 2.0]), top_k=st.sampled_from([0, 1, 5]),
       top_p=st.sampled_from([0.6, 1.0]), penalty=st.sampled_from([1.0, 1.3]))
def test_samples_are_drawn_from_what_the_filters_leave(gpt, seed, temperature, top_k, top_p,
                                                       penalty):
    ids, mask = prompts(seed, [2, 3])
    found = gpt.generate(ids, mask, max_new_tokens=6, do_sample=True, temperature=temperature,
                         top_k=top_k, top_p=top_p, repetition_penalty=penalty, suppress_tokens=[4],
                         rng=seed)
    rng, texts = np.random.default_rng(seed), [ids[0, 1:].tolist(), ids[1].tolist()]
    for _ in range(6):
        rows = []
        for text in texts:
            logits = with_repetition_penalty(anew(gpt, text), np.array([text]), penalty)
            logits = with_temperature(without_tokens(logits, [4]), temperature)
            rows.append(keep_top_p(keep_top_k(logits, top_k), top_p))
        for text, token in zip(texts, draw(np.concatenate(rows), rng)):
            text.append(int(token))
    assert found[0, 1:].tolist() == texts[0] and found[1].tolist() == texts[1]
    assert not (found[:, 3:] == 4).any()


def test_each_token_is_read_once():
    model = cycle(positions=50)
    model.generate(np.array([[0, 1, 2]]), max_new_tokens=9)
    assert model.read == 3 + 8 and model.longest == 3, "the last one is not read at all"
    model = cycle(positions=8)
    model.generate(np.array([[4, 4, 1]]), [[0, 0, 1]], max_new_tokens=8, sliding_window=True)
    assert model.read == 3 + 7, "up to the last position, which padding takes none of"


def test_an_end_token_ends_its_own_row_only():
    found = cycle().generate(np.array([[1], [3]]), max_new_tokens=5, eos_token_id=4)
    assert found.tolist() == [[1, 2, 3, 4], [3, 4, 4, 4]]
    found = cycle().generate(np.array([[1], [3], [0]]), max_new_tokens=5, eos_token_id=[4, 3],
                             pad_token_id=2)
    assert found.tolist() == [[1, 2, 3, 2], [3, 4, 2, 2], [0, 1, 2, 3]]


def test_the_models_own_end_token_holds_unless_another_is_given():
    model = cycle(end=2)
    assert model.generate(np.array([[0]]), max_new_tokens=5).tolist() == [[0, 1, 2]]
    assert model.generate(np.array([[0]]), max_new_tokens=5,
                          eos_token_id=3).tolist() == [[0, 1, 2, 3]]
    assert model.generate(np.array([[0]]), max_new_tokens=5,
                          eos_token_id=()).tolist() == [[0, 1, 2, 3, 4, 0]]


def test_lengths_are_hugging_faces():
    model, prompt = cycle(positions=64), np.array([[0, 1, 2]])
    assert model.generate(prompt).shape == (1, 23)
    assert model.generate(prompt, max_length=9).shape == (1, 9)
    assert model.generate(prompt, max_length=9, max_new_tokens=2).shape == (1, 5)
    with pytest.raises(InputError, match="3 tokens has reached max_length = 3"):
        model.generate(prompt, max_length=3)


def test_the_same_seed_gives_the_same_text_and_another_another():
    model, prompt = Bigrams(np.zeros((6, 6)), positions=64), np.array([[0]])
    first, second, third = [model.generate(prompt, max_new_tokens=40, do_sample=True, rng=seed)
                            for seed in (3, 3, np.random.default_rng(4))]
    assert first.tolist() == second.tolist() != third.tolist()


def test_every_row_and_every_copy_is_drawn_on_its_own():
    model = Bigrams(np.zeros((6, 6)), positions=64)
    found = model.generate(np.array([[0], [1]]), max_new_tokens=40, do_sample=True,
                           num_return_sequences=3)
    assert found[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert len({row.tobytes() for row in found[:, 1:]}) == 6


def test_of_equally_likely_tokens_greed_takes_the_first():
    model = Bigrams(np.zeros((6, 6)))
    assert model.generate(np.array([[3]]), max_new_tokens=2).tolist() == [[3, 0, 0]]
    for tokens in ([0, 0, 0, 1, 2, 0], {0, 1, 2}):
        found = model.generate(np.array([[3]]), max_new_tokens=2, suppress_tokens=tokens)
        assert found.tolist() == [[3, 3, 3]], "that some are named twice rules out no more"


def test_filters_reach_the_draw():
    model = Bigrams(np.tile([4.0, 3.0, 2.0, 1.0, 0.0], (5, 1)), positions=300)

    def drawn(**options):
        return set(model.generate(np.array([[4]]), max_new_tokens=200, do_sample=True,
                                  **options)[0, 1:].tolist())

    assert drawn() == drawn(top_k=0) == {0, 1, 2, 3, 4}
    assert drawn(top_k=2) == drawn(top_p=0.7) == {0, 1}
    assert drawn(top_k=2, suppress_tokens=[0]) == {1, 2}
    assert drawn(temperature=0.01) == drawn(temperature=0) == {0}


def test_more_tokens_than_positions_is_an_error_or_a_sliding_window():
    model = cycle()
    with pytest.raises(InputError, match="3 tokens and 6 new ones .* 8 positions"):
        model.generate(np.array([[0, 1, 2]]), max_new_tokens=6)
    assert model.generate(np.array([[0, 1, 2]]), max_new_tokens=5).shape == (1, 8)
    with pytest.raises(InputError, match="3 tokens and 6 new ones"):  # the longest row counts
        model.generate(np.array([[0, 1, 2], [0, 0, 1]]), [[1, 1, 1], [0, 0, 1]], max_new_tokens=6)
    padded = model.generate(np.array([[7] * 9 + [1]]) % 5, [[0] * 9 + [1]], max_new_tokens=7)
    assert padded[0, -7:].tolist() == [2, 3, 4, 0, 1, 2, 3], "padding takes no position"
    model = cycle()
    ids = model.generate(np.array([[0, 1, 2]]), max_new_tokens=12, sliding_window=True)
    assert ids.tolist() == [[i % 5 for i in range(15)]]
    assert model.longest == 8


class Listener:
    """A streamer that keeps what it hears."""

    def __init__(self):
        self.heard, self.ended = [], 0

    def put(self, ids):
        self.heard.append(np.asarray(ids).tolist())

    def end(self):
        self.ended += 1


def test_each_new_token_is_told_at_once():
    model, listener = cycle(), Listener()
    model.train()
    model.generate(np.array([[0, 1]]), max_new_tokens=3, streamer=listener)
    assert listener.heard == [[[0, 1]], [2], [3], [4]] and listener.ended == 1
    assert model.training


def test_the_mode_is_put_back_after_an_exception():
    class Broken(Listener):
        def put(self, ids):
            raise ZeroDivisionError

    model = cycle()
    model.train()
    with pytest.raises(ZeroDivisionError):
        model.generate(np.array([[0]]), max_new_tokens=3, streamer=Broken())
    assert model.training


def test_a_streamer_prints_the_text(gpt):
    ids, _ = prompts(1, [2, 4])
    shown = io.StringIO()
    tokenizer = mb.CharTokenizer([chr(97 + i) for i in range(V - 2)])
    streamer = mb.TextStreamer(tokenizer, file=shown)
    found = gpt.generate(ids[1:], max_new_tokens=4, do_sample=True, rng=2, streamer=streamer)
    assert shown.getvalue() == tokenizer.decode(found[0]) + "\n"


@pytest.mark.parametrize("mask, words", [
    ([[1, 1]], r"attention_mask: got shape \(1, 2\) for ids of shape \(1, 3\)"),
    ([[0, 2, 1]], "ones .* and zeros"),
    ([[1, 1, 0]], "row 0 ends in padding.*pad on the left")])
def test_bad_masks_are_named(mask, words):
    with pytest.raises(InputError, match=words):
        cycle().generate(np.array([[1, 2, 3]]), mask, max_new_tokens=1)


@pytest.mark.parametrize("ids, words", [
    (np.zeros((1, 0), int), r"\(1, 0\): there is nothing in it"), (np.array([0, 1]), "shape"),
    (np.array([[0.0]]), "float64"), (np.array([[5]]), "input_ids: 5 is out of range"),
    (np.array([[-1]]), "input_ids: -1 is"), (np.zeros((0, 2), int), "there is nothing in it")])
def test_bad_prompts_are_named(ids, words):
    with pytest.raises(InputError, match=words):
        cycle().generate(ids, max_new_tokens=1)


@pytest.mark.parametrize("options, words", [
    ({"suppress_tokens": [5]}, "suppress_tokens = 5: .* from 0 to 4"),
    ({"suppress_tokens": [-1]}, "suppress_tokens = -1: .* from 0 to 4"),
    ({"suppress_tokens": [0, 1, 2, 3, 4]}, "all 5 tokens are ruled out"),
    ({"eos_token_id": "end"}, "eos_token_id = 'e'"), ({"eos_token_id": True}, "id = True"),
    ({"eos_token_id": [[1], [2, 3]]}, r"eos_token_id = \[1\]"), ({"suppress_tokens": "x"}, "= 'x'"),
    ({"eos_token_id": [3, 10**30]}, "eos_token_id = 10"), ({"pad_token_id": []}, "pad_token_id ="),
    ({"eos_token_id": 1.5}, "eos_token_id = 1.5"), ({"pad_token_id": "x"}, "pad_token_id = 'x'"),
    ({"num_beams": 2, "streamer": Listener()}, "streamer: beam search"),
    ({"num_beams": 8, "num_return_sequences": 6}, "only 5 different texts")])
def test_what_does_not_fit_the_model_is_named(options, words):
    with pytest.raises(InputError, match=words):
        cycle().generate(np.array([[0]]), max_new_tokens=1, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_a_prompt_of_any_whole_numbers_goes_on_alike(gpt, dtype):
    ids = np.array([[3, 5, 7]])
    assert np.array_equal(gpt.generate(ids.astype(dtype), max_new_tokens=3),
                          gpt.generate(ids, max_new_tokens=3))


@pytest.mark.parametrize("value", [1, 0, None, "always"])
def test_early_stopping_is_true_false_or_never(gpt, value):
    with pytest.raises(InputError, match="early_stopping = .*: expected True, False or 'never'"):
        gpt.generate(np.array([[3]]), num_beams=2, early_stopping=value)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}])
def test_a_cached_text_does_not_depend_on_gradient_checkpointing(options):
    """In eval mode and, since `generate` puts the mode back, from a model in training."""
    ids = np.array([[3, 1, 4], [1, 5, 9]])
    found = []
    for checkpointing in (False, True):
        model = random_gpt(5, attn_pdrop=0.3)
        model.gradient_checkpointing = checkpointing
        model.train()
        found.append(model.generate(ids, max_new_tokens=5, eos_token_id=(), **options))
        assert model.training
    assert np.array_equal(*found)
    cache = KeyValueCache(2, 6)
    model = model.eval()
    with no_grad():
        parts = [model(ids[:, :2], past_key_values=cache).logits.data,
                 model(ids[:, 2:], past_key_values=cache).logits.data]
        whole = model(ids).logits.data
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-12)


# ---- an encoder-decoder --------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "top_k": 5},
                                     {"num_beams": 3, "num_return_sequences": 2},
                                     {"forced_bos_token_id": 7, "forced_eos_token_id": 3}])
def test_an_encoder_decoder_answers_each_text_as_if_it_were_alone(options):
    """On whichever side the others' padding stands; and against a forward over all tokens."""
    bart = small(mb.BartForConditionalGeneration, 3).eval()
    rng, lengths, copies = np.random.default_rng(0), [5, 2], options.get("num_return_sequences", 1)
    texts = [rng.integers(1, 16, length) for length in lengths]
    answers = []
    for side in (slice(None), slice(None, None, -1)):
        mask = (np.arange(5) < np.array(lengths)[:, None])[:, side].astype(int)
        ids = rng.integers(0, 17, (2, 5))
        for row, text in enumerate(texts):
            ids[row, mask[row] == 1] = text
        answers.append(bart.generate(ids, mask, max_new_tokens=6, **options))
        assert answers[-1].shape[1] <= 7 and (answers[-1][:, 0] == 0).all()
    np.testing.assert_array_equal(*answers)
    if "do_sample" in options:
        return
    for row, text in enumerate(texts):
        alone = bart.generate(text[None], max_new_tokens=6, **options)
        found = answers[0][row * copies:(row + 1) * copies, :alone.shape[1]]
        np.testing.assert_array_equal(alone, found)
    if "forced_bos_token_id" in options:
        assert (answers[0][:, 1] == 7).all() and set(answers[0][:, -1]) <= {3, 16}
    elif not options:
        logits = bart(texts[0][None], decoder_input_ids=answers[0][:1, :-1]).logits.data[0]
        until = 1 + np.flatnonzero(np.append(answers[0][0, 1:], 0) == 0)[0]
        assert logits.argmax(axis=-1)[:until - 1].tolist() == answers[0][0, 1:until].tolist()


def test_what_an_encoder_decoder_cannot_answer():
    bart = small(mb.BartForConditionalGeneration).eval()
    with pytest.raises(InputError, match="row 1 is padding alone"):
        bart.generate(np.ones((2, 3), int), np.array([[1, 1, 1], [0, 0, 0]]))
    with pytest.raises(InputError, match="10 tokens are more than the 9 positions of the encoder"):
        bart.generate(np.ones((1, 10), int))
    with pytest.raises(InputError, match="1 tokens and 9 new ones are more than the model's 9"):
        bart.generate(np.ones((1, 3), int), max_new_tokens=9)
    assert bart.generate(np.ones((1, 3), int), max_new_tokens=9, sliding_window=True,
                         eos_token_id=()).shape == (1, 10)
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        with pytest.raises(InputError, match=f"{name} = 17: .* from 0 to 16"):
            bart.generate(np.ones((1, 3), int), **{name: 17})
