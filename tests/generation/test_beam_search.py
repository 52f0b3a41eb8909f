"""Beam search against trying every text there is."""

import itertools

import numpy as np
import pytest
from tests.generation.bigrams import Bigrams
from hypothesis import given
from hypothesis import strategies as st
from tests.generation.random_gpt import random_gpt

from minibert.generation.beam_search import FinishedTexts
from minibert.generation.config import GenerationConfig
from minibert.generation.scoring import score

SEEDS = st.integers(0, 2**32 - 1)
FEW = 4  # tokens; 0 ends a text


def every_text(model, prompt, longest, length_penalty):
    """[(score, new tokens)] of all texts that end, or are as long as allowed, best first."""
    found = []
    for length in range(1, longest + 1):
        for new in itertools.product(range(FEW), repeat=length):
            if 0 in new[:-1] or (length < longest and new[-1] != 0):
                continue
            log_p = score(model, np.array([*prompt, *new]))[len(prompt) - 1:].sum()
            found.append((log_p / length**length_penalty, list(new)))
    return sorted(found, reverse=True)


@pytest.mark.slow
@given(seed=SEEDS, length_penalty=st.sampled_from([1.0, 0.0, 2.0, -0.7]))
def test_with_beams_enough_for_every_text_the_best_are_found(seed, length_penalty):
    model = random_gpt(seed, vocab_size=FEW)
    prompts = np.random.default_rng(seed).integers(0, FEW, (2, 3))
    mask = np.array([[1, 1, 1], [0, 1, 1]])
    found = model.generate(prompts, mask, max_new_tokens=3, num_beams=16, num_return_sequences=5,
                           length_penalty=length_penalty, early_stopping="never", eos_token_id=0)
    for row, prompt in enumerate(prompts):
        best = every_text(model, prompt[mask[row] == 1], 3, length_penalty)[:5]
        for text, (_, new) in zip(found[row * 5:], best):
            assert text[:3].tolist() == prompt.tolist()
            assert text[3:3 + len(new)].tolist() == new and not text[3 + len(new):].any()


@given(seed=SEEDS, lengths=st.lists(st.integers(1, 4), min_size=2, max_size=3),
       stopping=st.sampled_from([True, False, "never"]), penalty=st.sampled_from([1.0, 1.4]))
def test_each_prompt_is_searched_as_if_it_were_alone(seed, lengths, stopping, penalty):
    model = random_gpt(seed, vocab_size=7, n_positions=12)
    rng = np.random.default_rng(seed)
    mask = np.arange(max(lengths))[::-1] < np.array(lengths)[:, None]
    ids = rng.integers(0, 7, mask.shape)
    options = dict(max_new_tokens=6, num_beams=3, num_return_sequences=2, early_stopping=stopping,
                   repetition_penalty=penalty, eos_token_id=[0, 1], pad_token_id=0)
    together = model.generate(ids, mask.astype(int), **options)
    for row, length in enumerate(lengths):
        alone = model.generate(ids[row:row + 1, -length:], **options)[:, length:]
        rest = together[2 * row:2 * row + 2, ids.shape[1]:]
        assert np.array_equal(rest[:, :alone.shape[1]], alone)
        assert not rest[:, alone.shape[1]:].any()


# From token 3 the likeliest is 1, and all that follows it is unlikely; 2 leads on to 2 surely.
GARDEN_PATH = np.log(np.array([[.25, .25, .25, .25], [.3, .2, .2, .3], [.01, .01, .97, .01],
                               [.02, .5, .4, .08]]))


def test_a_beam_finds_what_greed_misses():
    model, prompt = Bigrams(GARDEN_PATH), np.array([[3]])
    greedy = model.generate(prompt, max_new_tokens=3)
    beams = model.generate(prompt, max_new_tokens=3, num_beams=2)
    assert greedy[0, 1] == 1 and beams.tolist() == [[3, 2, 2, 2]]


def test_the_length_penalty_prefers_long_or_short_texts():
    model = Bigrams(np.log(np.array([[.25] * 4, [.25] * 4, [.3, .1, .5, .1], [.3, .1, .5, .1]])))
    lengths = [model.generate(np.array([[3]]), max_new_tokens=6, num_beams=4, eos_token_id=0,
                              length_penalty=penalty, early_stopping="never").shape[1] - 1
               for penalty in (-1.0, 0.0, 3.0)]
    assert lengths == [1, 1, 6]


@pytest.mark.parametrize("stopping, read", [(True, 2), ("never", 8)])
def test_early_stopping_ends_once_there_are_enough(stopping, read):
    """After two steps two texts have ended; a longer one may still beat them at this penalty."""
    model = Bigrams(np.log(np.array([[.25] * 4, [.25] * 4, [.5, .01, .48, .01],
                                     [.5, .01, .48, .01]])), positions=9)
    model.generate(np.array([[3]]), max_new_tokens=8, num_beams=2, eos_token_id=0,
                   early_stopping=stopping, length_penalty=3.0)
    assert model.read == read


def test_beams_go_on_though_every_likely_token_ends_a_text():
    """The four best continuations of two beams all end; at this penalty the longest text wins."""
    model = Bigrams(np.tile(np.log([0.4, 0.4, 0.11, 0.09]), (4, 1)))
    found = model.generate(np.array([[3]]), max_new_tokens=5, num_beams=2, eos_token_id=[0, 1],
                           length_penalty=10.0, early_stopping="never")
    assert found.tolist() == [[3, 2, 2, 2, 2, 0]]


def test_the_best_ends_are_kept_and_of_equals_the_first():
    found = FinishedTexts(2)
    for token, score_of_text in enumerate([-3.0, -1.0, -2.0, -2.0]):
        found.add(score_of_text, token)
    assert found.texts == [(-1.0, 1), (-2.0, 2)]
    found.closed = True
    found.add(0.0, 4)
    assert found.texts == [(-1.0, 1), (-2.0, 2)]


@pytest.mark.parametrize("best_log_p, options, closed", [
    (-8.1, {"length_penalty": 2.0}, True),  # -8.1 / 2**2 < -2
    (-8.0, {"length_penalty": 2.0}, True), (-7.9, {"length_penalty": 2.0}, False),
    (-7.9, {"length_penalty": 2.0, "early_stopping": True}, True),
    (-17.9, {"length_penalty": 2.0, "early_stopping": "never"}, False),  # with 3 tokens, / 3**2
    (-18.1, {"length_penalty": 2.0, "early_stopping": "never"}, True),
    # where shorter is better no other length than the present one is
    (-0.9, {"length_penalty": -1.0, "early_stopping": "never"}, False),
    (-1.1, {"length_penalty": -1.0, "early_stopping": "never"}, True)])
def test_a_search_ends_when_no_beam_can_beat_the_worst_text(best_log_p, options, closed):
    config = GenerationConfig(num_beams=2, **options)
    found = FinishedTexts(2)
    found.add(-1.0, 0)
    found.close_if_done(best_log_p, 2, 3, config)
    assert not found.closed, "there are too few"
    found.add(-2.0, 1)
    found.close_if_done(best_log_p, 2, 3, config)
    assert found.closed is closed


def test_suppressed_tokens_are_in_no_beam_and_a_window_may_slide():
    model = random_gpt(5, vocab_size=6, eos_token_id=None)
    found = model.generate(np.array([[1, 2, 3]]), max_new_tokens=12, num_beams=3,
                           num_return_sequences=3, suppress_tokens=[2, 4], sliding_window=True)
    assert found.shape == (3, 15) and not np.isin(found[:, 3:], [2, 4]).any()
    assert len({row.tobytes() for row in found}) == 3
    # after the 9 positions the model sees the last 9 tokens: the last step of the best beam
    best = found[0].tolist()
    options = [best[:-1] + [token] for token in (0, 1, 3, 5)]
    chances = [model(np.array([text[-10:-1]])).logits.data[0, -1, text[-1]] for text in options]
    assert options[int(np.argmax(chances))] == best
