"""Finite weights whose outputs overflow: every command refuses them by name, in one line."""

import numpy as np
import pytest

import minibert as mb
from minibert.__main__ import main

WORDS = ["the", "bank", "is", "muddy", "."]
HUGE = np.float32(3e38)


def folder_with(tmp_path, model_class, name: str) -> str:
    """A small model whose parameter `name` makes what is computed with it overflow."""
    tokenizer = mb.BertTokenizer.from_words(WORDS)
    model = model_class(mb.BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16))
    parameters = dict(model.named_parameters())
    parameters[name].data[...] = HUGE
    if "bert.pooler.dense.bias" in parameters:
        parameters["bert.pooler.dense.bias"].data[...] = 10  # tanh(10) = 1: they add up
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


@pytest.mark.parametrize("command, name, words", [
    ("fill-mask", "mlm_head.norm.weight", ["the [MASK] is muddy ."]),
    ("next-sentence", "nsp_head.weight", ["the bank", "is muddy ."]),
    ("embed", "bert.stack.blocks.0.feed_forward_norm.weight", ["the bank", "is muddy ."])])
def test_pretraining_heads(tmp_path, capsys, command, name, words):
    folder = folder_with(tmp_path, mb.BertForPreTraining, name)
    assert main([command, folder, *words]) == 2
    assert "NaN or infinite" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_classifier(tmp_path, capsys, command):
    folder = folder_with(tmp_path, mb.BertForSequenceClassification, "classifier.weight")
    (tmp_path / "test.tsv").write_text("sentence\tlabel\nthe bank is muddy .\tLABEL_0\n")
    out = ["--out", str(tmp_path / "out.tsv")] if command == "predict" else []
    assert main([command, folder, "--file", str(tmp_path / "test.tsv"), *out]) == 2
    assert "NaN or infinite" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out.tsv").exists()
