"""`pretrain --from FOLDER`: the folder's weights, config and tokenizer, and nobody else's."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from tests.cli.command_line import files_below, mistake, output_of

import minibert as mb
from minibert.__main__ import main
from minibert.cli.oracle_report import why_no_oracle
from minibert.toy_world.grammar import ToyWorld
from minibert.training.run_folder import Run


def go_on(model, text, folder, out, *more):
    return ["pretrain", model, "--from", str(folder), "--text", str(text), "--format", "lines",
            "--batch", "4", "--threads", "1", "--out", str(out), *more]


@pytest.mark.parametrize("model", ["bert", "gpt"])
def test_it_begins_where_the_other_ended(both, text, tmp_path, capsys, model):
    """At a rate of almost nothing the held-out loss stays what it was."""
    before = Run(both / model).state("best")["held_out"]["loss"]
    output_of(capsys, *go_on(model, text, both, tmp_path / "run", "--steps", "2", "--lr", "1e-12",
                             "--context", "24"))
    state = Run(tmp_path / "run").state()
    assert state["held_out"]["loss"] == pytest.approx(before, abs=1e-5)
    assert state["about"]["layers"] == 1 and state["about"]["width"] == 16
    assert state["about"]["from"] == str(both)
    latest = tmp_path / "run" / "latest"
    assert (latest / "vocab.txt").read_bytes() == (both / model / "best/vocab.txt").read_bytes()


def test_the_run_has_all_that_a_resume_needs(both, text, tmp_path, capsys):
    begun = tmp_path / "begun"
    shutil.copytree(both / "gpt" / "best", begun)
    for name, steps in (("straight", "8"), ("stopped", "4")):
        output_of(capsys, *go_on("gpt", text, begun, tmp_path / name, "--steps", steps,
                                 "--schedule", "constant"))
    shutil.rmtree(begun)
    output_of(capsys, "pretrain", "gpt", "--resume", "--out", tmp_path / "stopped", "--steps", "8")
    for folder in ("straight", "stopped"):
        assert Run(tmp_path / folder).state()["step"] == 8
    one, other = [(tmp_path / folder / "latest/model.safetensors").read_bytes()
                  for folder in ("straight", "stopped")]
    assert one == other
    line = mistake(capsys, "pretrain", "gpt", "--resume", "--out", tmp_path / "stopped", "--from",
                   both)
    assert "--from is" in line and "begun with" in line


def test_a_folder_of_another_tokenizer_and_without_heads(text, tmp_path, capsys):
    """GPT-2's own kind of folder, then a bare BERT: what is missing is drawn, and said so."""
    folder = tmp_path / "gpt2"
    tokenizer = mb.GPT2Tokenizer.train([text.read_text()], 300)
    mb.GPT2LMHeadModel(mb.GPT2Config(vocab_size=304, n_positions=20, n_embd=12, n_layer=1, n_head=2,
                                     resid_pdrop=0.2, initializer_range=0.03)
                       ).double().save_pretrained(folder)  # trained on in float32
    tokenizer.save_pretrained(folder)
    output_of(capsys, *go_on("gpt", text, folder, tmp_path / "run", "--steps", "2"))
    about = Run(tmp_path / "run").state()["about"]
    assert (about["tokenizer"], about["context"], about["dropout"]) == ("bpe", 20, 0.2)
    assert (about["vocab_size"], about["initializer_range"]) == (len(tokenizer), 0.03)
    config = json.loads((tmp_path / "run/latest/config.json").read_text())
    assert config["n_positions"] == 20 and config["vocab_size"] == 304
    assert config["dtype"] == "float32"
    assert mb.GPT2Tokenizer.from_pretrained(tmp_path / "run/latest").merges == tokenizer.merges

    bare = tmp_path / "bert"
    words = mb.BertTokenizer.train([text.read_text()], 60)
    mb.BertModel(mb.BertConfig(vocab_size=len(words), hidden_size=12, num_hidden_layers=1,
                               num_attention_heads=2, intermediate_size=8,
                               max_position_embeddings=30)).save_pretrained(bare)
    words.save_pretrained(bare)
    assert main(go_on("bert", text, bare, tmp_path / "heads", "--steps", "2")) == 0
    noted = capsys.readouterr().err
    assert "holds no" in noted and "mlm_head.dense.weight" in noted and "nsp_head.bias" in noted
    config = json.loads((tmp_path / "heads/latest/config.json").read_text())
    assert config["architectures"] == ["BertForPreTraining"] and config["intermediate_size"] == 8


def test_characters_that_are_new_are_unknown(text, tmp_path, capsys):
    output_of(capsys, "pretrain", "gpt", "--text", text, "--steps", "2", "--layers", "1", "--width",
              "16", "--heads", "2", "--threads", "1", "--out", tmp_path / "run")
    other = tmp_path / "other.txt"
    other.write_text(text.read_text() + "\n\nThe QUICK fox; 1234567890!\n")
    output_of(capsys, "pretrain", "gpt", "--from", tmp_path / "run", "--text", other, "--steps",
              "2", "--threads", "1", "--out", tmp_path / "on")
    assert np.isfinite(Run(tmp_path / "on").state()["held_out"]["loss"])


@pytest.mark.parametrize("model, more, words", [
    ("gpt", ("--layers", "3"), "--layers is 3, but the model in"),
    ("gpt", ("--width", "32"), "--width is 32"), ("gpt", ("--heads", "4"), "--heads is 4"),
    ("gpt", ("--vocab-size", "99"), "--vocab-size is 99"),
    ("gpt", ("--tokenizer", "chars"), "--tokenizer is chars"),
    ("gpt", ("--dropout", "0.5"), "--dropout is 0.5"),
    ("bert", ("--norm-first",), "--norm-first is True"),
    ("gpt", ("--context", "25"), "--context is 25, but the model in"),
    ("gpt", ("--context", "0"), "--context = 0")])
def test_options_that_contradict_the_folder(both, text, tmp_path, capsys, model, more, words):
    line = mistake(capsys, *go_on(model, text, both, tmp_path / "run", *more))
    assert words in line and not (tmp_path / "run").exists()


def test_options_that_agree_with_the_folder_are_no_mistake(both, text, tmp_path, capsys):
    output_of(capsys, *go_on("gpt", text, both / "gpt", tmp_path / "run", "--steps", "1",
                             "--layers", "1", "--heads", "2", "--width", "16", "--dropout", "0"))


def test_folders_that_cannot_be_gone_on_with(both, text, tmp_path, capsys):
    before = files_below(both)
    out = tmp_path / "run"
    assert "no such folder" in mistake(capsys, *go_on("gpt", text, tmp_path / "no", out))
    assert "pretrain gpt --from needs a GPT" in mistake(
        capsys, *go_on("gpt", text, both / "bert", out))
    assert "one model" in mistake(capsys, *go_on("both", text, both, out))
    assert not out.exists() and files_below(both) == before


def test_the_oracle_is_not_asked_about_words_cut_to_pieces(text):
    pieces = mb.BertTokenizer.train([text.read_text()], 60)
    words = mb.BertTokenizer.from_words(ToyWorld().words)
    objective = SimpleNamespace(name="gpt", tokenizer=pieces)
    assert why_no_oracle(objective) == "the tokenizer cuts its words to pieces"
    assert why_no_oracle(SimpleNamespace(name="gpt", tokenizer=words)) is None
