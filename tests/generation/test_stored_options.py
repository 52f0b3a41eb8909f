"""generation_config.json, padding without a mask, and logits that are not finite."""

import json
import warnings

import numpy as np
import pytest
from tests.generation import random_gpt as models

import minibert as mb
from minibert.errors import InputError
from minibert.generation.decoding import mask_of_padding
from minibert.generation.scoring import score

IDS = np.array([[3, 1, 4]])


def random_gpt(end):
    return models.random_gpt(5, n_positions=24, eos_token_id=end)


@pytest.fixture
def folder(tmp_path):
    """The folder of a small GPT-2 without options of its own."""
    random_gpt(end=0).save_pretrained(tmp_path)
    return tmp_path


def opened(folder, name="generation_config", **values):
    path = folder / f"{name}.json"
    old = json.loads(path.read_text()) if name == "config" else {}
    path.write_text(json.dumps(old | values))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return mb.GPT2LMHeadModel.from_pretrained(folder)


def test_stored_options_are_the_defaults_of_a_call(folder):
    model = opened(folder)
    free = model.generate(IDS, max_new_tokens=9, eos_token_id=())[0].tolist()
    stop, other = free[5], next(i for i in range(17) if i not in free)
    end = 3 + free[3:].index(stop) + 1
    model = opened(folder, eos_token_id=[other, stop], pad_token_id=2, max_new_tokens=9,
                   transformers_version="4.30.0", no_repeat_ngram_size=0, num_beams=None)
    assert model.generate(IDS)[0].tolist() == free[:end]
    assert model.generate(IDS, eos_token_id=())[0].tolist() == free
    assert model.generate(IDS, eos_token_id=(), max_new_tokens=2)[0].tolist() == free[:5]
    assert model.generate(IDS, eos_token_id=(), max_length=5)[0].tolist() == free[:5]
    model = opened(folder, suppress_tokens=[free[3]], max_length=8)
    assert free[3] not in model.generate(IDS)[0, 3:] and model.generate(IDS).shape[1] <= 8


def test_options_that_have_no_effect_beside_those_of_a_call(folder):
    sampled = opened(folder, do_sample=True, temperature=0.7, top_k=5, top_p=0.9)
    plain = random_gpt(end=0)
    expected = plain.generate(IDS, rng=3, do_sample=True, temperature=0.7, top_k=5, top_p=0.9)
    assert np.array_equal(sampled.generate(IDS, rng=3), expected)
    assert np.array_equal(sampled.generate(IDS, do_sample=False), plain.generate(IDS))
    with pytest.raises(InputError, match="temperature = 0.3 has no effect"):
        sampled.generate(IDS, do_sample=False, temperature=0.3)
    beams = opened(folder, num_beams=3, length_penalty=2.0, early_stopping=True)
    assert np.array_equal(beams.generate(IDS), plain.generate(
        IDS, num_beams=3, length_penalty=2.0, early_stopping=True))
    assert np.array_equal(beams.generate(IDS, num_beams=1), plain.generate(IDS))
    with pytest.raises(InputError, match="do_sample with num_beams = 3.*generation_config.json "
                                         "sets num_beams, length_penalty, early_stopping"):
        beams.generate(IDS, do_sample=True)


@pytest.mark.parametrize("name, value", [
    ("no_repeat_ngram_size", 2), ("min_length", 5), ("typical_p", 0.9), ("num_beam_groups", 2),
    ("bad_words_ids", [[3]]), ("penalty_alpha", 0.6), ("guidance_scale", 2.0),
    ("renormalize_logits", True)])
def test_options_that_are_not_supported_are_refused_by_name(folder, name, value):
    model = opened(folder, **{name: value})
    with pytest.raises(InputError, match=f"generation_config.json: {name} is"):
        model.generate(IDS)
    assert np.isfinite(score(model, IDS[0])).all()


def test_an_unknown_option_is_named(folder):
    model = opened(folder, mirostat=2)
    with pytest.warns(UserWarning, match="unknown keys, which have no effect: 'mirostat'"):
        model.generate(IDS)


def test_options_in_an_older_config_json(folder):
    plain = opened(folder, "config", max_length=20, top_k=50, do_sample=False, num_beams=1)
    (folder / "generation_config.json").unlink(missing_ok=True)
    assert plain.generation_config is None
    model = opened(folder, "config", repetition_penalty=1.9, pad_token_id=6, use_cache=True)
    expected = random_gpt(end=0).generate(IDS, repetition_penalty=1.9, eos_token_id=())
    assert np.array_equal(model.generate(IDS, eos_token_id=()), expected)
    assert not np.array_equal(plain.generate(IDS, eos_token_id=()), expected)
    assert "config.json" in str(model.generation_config.path)
    with pytest.raises(InputError, match="config.json: min_length is 9"):
        opened(folder, "config", min_length=9).generate(IDS)
    assert opened(folder, max_new_tokens=1).generate(IDS).shape == (1, 4)  # the newer file counts


def test_saving_keeps_the_options_and_leaves_no_others(folder, tmp_path_factory):
    model = opened(folder, max_new_tokens=2, mirostat=2)
    other = tmp_path_factory.mktemp("other")
    model.save_pretrained(other)
    stored = json.loads((other / "generation_config.json").read_text())
    assert stored == {"max_new_tokens": 2, "mirostat": 2}
    random_gpt(end=0).save_pretrained(other)
    assert not (other / "generation_config.json").exists()


def test_padding_without_a_mask_is_that_with_one():
    model = random_gpt(end=0)
    ids = np.array([[7, 7, 3, 1], [4, 1, 5, 9]])
    expected = model.generate(ids, [[0, 0, 1, 1], [1, 1, 1, 1]], pad_token_id=7)
    assert np.array_equal(model.generate(ids, pad_token_id=7), expected)
    assert not np.array_equal(model.generate(ids, np.ones((2, 4)), pad_token_id=7), expected)
    assert np.array_equal(model.generate(ids), model.generate(ids, np.ones((2, 4))))
    with pytest.raises(InputError, match="row 0 ends in padding"):
        model.generate(ids[:, ::-1], pad_token_id=7)


def test_padding_that_may_be_the_end_of_a_text_is_refused():
    model = random_gpt(end=7)
    left = np.array([[7, 7, 3, 1], [4, 1, 5, 9]])
    for ids, side in ((left, "begin"), (left[:, ::-1], "end")):
        for options in ({"pad_token_id": 7}, {}, {"eos_token_id": [2, 7], "pad_token_id": 7}):
            with pytest.raises(InputError, match=f"rows {side} with 0 to 2 tokens 7"):
                model.generate(ids, **options)
    ones = np.ones((2, 4), bool)
    for ids in (left[:1], np.array([[7, 3, 1, 2], [7, 1, 7, 9]])):  # may begin with a separator
        assert np.array_equal(model.generate(ids), model.generate(ids, ones[:len(ids)]))
    assert mask_of_padding(left, -1, np.array([7])).all()


def test_logits_that_are_not_finite_are_refused():
    model = random_gpt(end=0)
    model.transformer.stack.final_norm.weight.data[:] = np.inf
    with np.errstate(invalid="ignore"):
        for call in (lambda: model.generate(IDS), lambda: model.generate(IDS, num_beams=2),
                     lambda: score(model, IDS[0])):
            with pytest.raises(InputError, match="logits are NaN or infinite: its weights"):
                call()
