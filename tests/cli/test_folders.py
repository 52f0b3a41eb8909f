"""Questions to folders that Hugging Face's own classes wrote: the class is found by the weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.cli.command_line import mistake

import minibert as mb
from minibert.__main__ import main
from minibert.cli.fill_mask import fill_mask
from minibert.cli.folders import MASKED_LM, NEXT_SENTENCE, open_model

REFERENCE = Path(__file__).parents[1] / "models" / "reference"
WORDS = "the cat dog sees eats a bird fish milk . my our".split()  # with the special ones 17 tokens
BERTS = ["BertModel", "BertForPreTraining", "BertForMaskedLM", "BertForNextSentencePrediction"]


@pytest.fixture
def folder_of(tmp_path):
    """A function: the folder of one of Hugging Face's classes, with a tokenizer; changes to
    config.json, None to take a field out."""
    def make(name: str, **changes) -> Path:
        folder = tmp_path / name
        shutil.copytree(REFERENCE / name, folder)
        mb.BertTokenizer.from_words(WORDS).save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text()) | changes
        config = {key: value for key, value in config.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


def quiet(capsys, *arguments) -> str:
    """What the command says, and that it has no notes to make."""
    assert main(list(map(str, arguments))) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


@pytest.mark.parametrize("name", ["BertForPreTraining", "BertForMaskedLM"])
def test_gaps_are_filled_by_whatever_has_the_head(folder_of, capsys, name):
    shown = quiet(capsys, "fill-mask", folder_of(name), "the [MASK] sees [MASK]", "--top", 2)
    assert shown.count("gap") == 2 and shown.count("%") == 4


def test_the_weights_decide_not_the_name_of_the_class(folder_of, capsys):
    """As with bert-base-uncased, which calls itself a BertForMaskedLM and has both heads."""
    whole = folder_of("BertForPreTraining")
    model, tokenizer = open_model(whole, MASKED_LM, "fill-mask")
    assert type(model) is mb.BertForPreTraining
    expected = fill_mask(model, tokenizer, "a [MASK] .")
    for names in (["BertForMaskedLM"], ["BertModel"], ["SomethingElse"], [], None):
        config = json.loads((whole / "config.json").read_text()) | {"architectures": names}
        (whole / "config.json").write_text(json.dumps(config))
        model, tokenizer = open_model(whole, MASKED_LM, "fill-mask")
        assert fill_mask(model, tokenizer, "a [MASK] .") == expected
        assert type(open_model(whole, NEXT_SENTENCE, "next-sentence")[0]) is mb.BertForPreTraining
    assert "probability" in quiet(capsys, "next-sentence", whole, "the cat", "a dog")


@pytest.mark.parametrize("name", BERTS)
def test_every_bert_embeds_the_same_way(folder_of, capsys, name):
    folder = folder_of(name)
    vectors = np.loadtxt(quiet(capsys, "embed", folder, "the cat sees", "a dog").splitlines())
    tokenizer = mb.BertTokenizer.from_pretrained(folder)
    model = open_model(folder, (mb.BertModel,), "embed")[0]
    for text, vector in zip(("the cat sees", "a dog"), vectors):
        mean = model(np.array([tokenizer.encode(text)])).last_hidden_state.data[0].mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.sqrt((mean**2).sum()), atol=1e-6)
    assert "layer_norm" in quiet(capsys, "trace", folder, "the cat")


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "GPT2Model"])
def test_the_bare_gpt2_has_its_head_in_the_embedding(folder_of, capsys, name):
    folder = folder_of(name)
    assert quiet(capsys, "generate", folder, "--prompt", "the cat", "--tokens", 4).startswith("the")
    assert "4 tokens" in quiet(capsys, "score", folder, "the cat sees milk")
    assert "linear" in quiet(capsys, "trace", folder, "the cat")


@pytest.mark.parametrize("command, name, words", [
    (("fill-mask", "a [MASK]"), "BertModel", "holds BertModel: fill-mask needs the weights of "
                                             "BertForPreTraining or BertForMaskedLM"),
    (("fill-mask", "a [MASK]"), "BertForNextSentencePrediction", "fill-mask needs the weights"),
    (("next-sentence", "a", "the"), "BertForMaskedLM", "next-sentence needs the weights"),
    (("embed", "a"), "GPT2LMHeadModel", "holds GPT2LMHeadModel: embed needs the weights of Bert"),
    (("generate",), "BertModel", "generate needs the weights of GPT2LMHeadModel")])
def test_a_head_that_is_not_there_is_no_random_one(folder_of, capsys, command, name, words):
    assert words in mistake(capsys, command[0], folder_of(name), *command[1:])


def test_a_folder_without_a_tokenizer_or_with_anothers(folder_of, capsys):
    folder = folder_of("BertForMaskedLM")
    (folder / "vocab.txt").unlink()
    assert "there is no tokenizer here" in mistake(capsys, "fill-mask", folder, "a [MASK]")
    mb.BertTokenizer.from_words([*WORDS, "one", "more"]).save_pretrained(folder)
    assert "the tokenizer has 19 tokens" in mistake(capsys, "fill-mask", folder, "a [MASK]")


def test_other_models_are_named(folder_of, capsys):
    line = mistake(capsys, "score", folder_of("GPT2Model", model_type="llama",
                                              architectures=None), "the cat")
    assert "holds a model of type 'llama'" in line


def test_the_best_checkpoint_is_opened_the_latest_where_there_is_none(both, tmp_path):
    shutil.copytree(both / "gpt", tmp_path / "run")
    best, latest = (mb.GPT2LMHeadModel.from_pretrained(tmp_path / "run" / name)
                    for name in ("best", "latest"))
    latest.lm_head.data = latest.lm_head.data + 1
    latest.save_pretrained(tmp_path / "run" / "latest")
    for expected in (best, latest):
        model, _ = open_model(str(tmp_path / "run"), (mb.GPT2LMHeadModel,), "generate")
        np.testing.assert_array_equal(model.lm_head.data, expected.lm_head.data)
        shutil.rmtree(tmp_path / "run" / "best", ignore_errors=True)
