"""`embed`: numbers that a program can read, and cosines for people."""

import numpy as np
import pytest
from tests.cli.command_line import mistake, output_of

import minibert as mb
from minibert.cli.embed import embed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = mb.BertTokenizer.from_words("a the cat dog bird sees".split())
    config = mb.BertConfig(vocab_size=len(tokenizer), hidden_size=12, num_hidden_layers=2,
                           num_attention_heads=3, intermediate_size=10, max_position_embeddings=16,
                           initializer_range=0.9)
    mb.BertModel(config, rng=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_line_of_numbers_for_each_text_and_the_cosines(folder, capsys):
    texts = ["the cat", "a dog sees the bird", "the cat"]
    shown = output_of(capsys, "embed", folder, *texts)
    vectors = np.loadtxt(shown.splitlines())
    assert vectors.shape == (3, 12)
    np.testing.assert_allclose((vectors**2).sum(axis=1), 1, atol=1e-5)
    lines = [line for line in shown.splitlines() if line.startswith("#")][1:]
    cosines = np.array([line.split()[1:4] for line in lines], float)
    np.testing.assert_allclose(cosines, vectors @ vectors.T, atol=6e-4)
    assert cosines[0, 2] == 1 and all(repr(text) in line for text, line in zip(texts, lines))
    assert "#" not in output_of(capsys, "embed", folder, "the cat")


def test_mistakes(folder, capsys, tmp_path):
    assert "required: TEXT" in mistake(capsys, "embed", folder)
    assert "no such folder" in mistake(capsys, "embed", tmp_path / "no", "a")
    mb.BertModel.from_pretrained(folder).save_pretrained(tmp_path)
    mb.CharTokenizer("ab").save_pretrained(tmp_path)
    assert "is no BertTokenizer" in mistake(capsys, "embed", tmp_path, "ab")


def test_the_mode_of_the_model_is_put_back(folder):
    model = mb.BertModel.from_pretrained(folder)
    tokenizer = mb.BertTokenizer.from_pretrained(folder)
    model.train()
    assert np.array_equal(embed(model, tokenizer, ["a cat"]), embed(model, tokenizer, ["a cat"]))
    assert model.training
