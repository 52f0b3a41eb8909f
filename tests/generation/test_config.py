"""Options out of range, and options that would be ignored."""

import numpy as np
import pytest

from minibert.errors import InputError
from minibert.generation.config import GenerationConfig

NAN = float("nan")


@pytest.mark.parametrize("name, values", [
    ("temperature", [-1, NAN, float("inf"), "hot", True, None]), ("top_k", [-1, 1.5, True, None]),
    ("top_p", [0.0, 1.5, NAN, -0.1]), ("max_new_tokens", [-1, 0, 1.0]), ("max_length", [0]),
    ("repetition_penalty", [0, -1, NAN]), ("length_penalty", [NAN, "long"]),
    ("num_beams", [0, 2.0]), ("num_return_sequences", [0]), ("do_sample", [1, "false"]),
    ("sliding_window", ["yes"]), ("early_stopping", ["always", 2])])
def test_values_out_of_range_are_named(name, values):
    for value in values:
        for others in ({"do_sample": True}, {"num_beams": 2}):
            with pytest.raises(InputError, match=f"^{name} = "):
                GenerationConfig(**{**others, name: value})


@pytest.mark.parametrize("options, words", [
    ({"temperature": 0.7}, "temperature = 0.7 has no effect without do_sample=True"),
    ({"top_k": 5}, "top_k = 5"), ({"top_p": 0.9, "num_beams": 3}, "top_p = 0.9"),
    ({"length_penalty": 2.0}, "length_penalty = 2.0 has no effect without num_beams above 1"),
    ({"early_stopping": True}, "early_stopping"),
    ({"do_sample": True, "num_beams": 2}, "beam search draws nothing"),
    ({"num_return_sequences": 2}, "num_return_sequences = 2"),
    ({"num_return_sequences": 4, "num_beams": 3}, r"num_beams \(3\)")])
def test_what_would_be_ignored_is_a_mistake(options, words):
    with pytest.raises(InputError, match=words):
        GenerationConfig(**options)


def test_a_misspelt_option_is_refused_and_numpys_numbers_are_taken():
    with pytest.raises(TypeError, match="max_new_token"):
        GenerationConfig(max_new_token=3)
    config = GenerationConfig(max_new_tokens=np.int64(3), num_beams=np.int32(2),
                              length_penalty=np.float32(0.5))
    assert config.new_tokens(100) == 3
    defaults = GenerationConfig()
    assert (defaults.top_k, defaults.new_tokens(7)) == (50, 20), "as in Hugging Face"
