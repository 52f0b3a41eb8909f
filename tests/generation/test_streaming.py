"""What a streamer prints is the decoded text, and never half a character."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minibert as mb
from minibert.errors import InputError

TEXTS = ["the cat n't , sees 's a dog .", "héllo wörld 😀 naïve 日本", "a  b\n\tc"]
BPE = mb.GPT2Tokenizer.train(TEXTS * 3, 300)
WORDPIECE = mb.BertTokenizer.train(TEXTS * 3, 80)
CHARACTERS = mb.CharTokenizer.train(TEXTS)
TOKENIZERS = st.sampled_from([BPE, WORDPIECE, CHARACTERS])


@given(TOKENIZERS, st.lists(st.integers(0, 10**6), min_size=1, max_size=30), st.booleans(),
       st.integers(0, 5), st.booleans())
def test_all_that_is_printed_is_the_decoded_text(tokenizer, ids, skip_special, prompt, skip_prompt):
    ids = [i % tokenizer.vocab_size for i in ids]
    prompt = min(prompt, len(ids))
    file = io.StringIO()
    streamer = mb.TextStreamer(tokenizer, skip_prompt, skip_special, file)
    for _ in range(2):  # it may be used again
        file.seek(0)
        file.truncate()
        streamer.put(np.array([ids[:prompt]]))
        for i in ids[prompt:]:
            streamer.put(np.array([i]))
            assert not file.getvalue().endswith("\N{REPLACEMENT CHARACTER}")
        streamer.end()
        shown = ids[prompt:] if skip_prompt else ids
        assert file.getvalue() == tokenizer.decode(shown, skip_special_tokens=skip_special) + "\n"


def test_token_by_token_and_whole_characters_only(capsys):
    streamer = mb.TextStreamer(BPE)
    printed = []
    streamer.put(np.array([BPE.encode("a")]))
    for i in BPE.encode("😀é", add_special_tokens=False):
        streamer.put(np.array([i]))
        printed.append(capsys.readouterr().out)
    assert "".join(printed) == "a😀é" and "" in printed
    streamer.end()
    assert capsys.readouterr().out == "\n"


def test_half_a_character_at_the_end_is_shown_at_last():
    file = io.StringIO()
    streamer = mb.TextStreamer(BPE, file=file)
    first = BPE.encode_bytes("😀".encode()[:2])
    streamer.put(np.array([first]))
    assert file.getvalue() == ""
    streamer.end()
    assert file.getvalue() == "\N{REPLACEMENT CHARACTER}\n"


def test_one_text_at_a_time():
    with pytest.raises(InputError, match="2 texts at once"):
        mb.TextStreamer(BPE).put(np.array([[1], [2]]))
