"""`info`, `score`, `fill-mask` and `embed` of the older models."""

import numpy as np
import pytest
from tests.ancestors.small_ancestors import TOKENIZER, WORDS, small_models
from tests.cli.command_line import mistake, output_of

from minibert.__main__ import main
from minibert.ancestors.word2vec import CBOW, SkipGram, SkipGramConfig
from minibert.cli.fill_mask import fill_mask
from minibert.tokenizers.characters import CharTokenizer
from minibert.tokenizers.wordpiece import BertTokenizer


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    found = {}
    for model in small_models():
        folder = tmp_path_factory.mktemp(model.config.model_type)
        model.save_pretrained(folder)
        TOKENIZER.save_pretrained(folder)
        found[model.config.model_type] = folder
    return found


def test_info_shows_the_sizes_of_each(folders, capsys):
    for name, folder in folders.items():
        shown = output_of(capsys, "info", folder)
        assert name in shown and "vocab_size" in shown and "weights" in shown


def test_score_of_an_n_gram(folders, capsys):
    likely, unlikely = (float(output_of(capsys, "score", folders["ngram"], text).splitlines()[-1]
                              .split()[0])
                        for text in ("the cat eats fish .", "the cat eats meat ."))
    assert likely > unlikely + 1


def test_fill_mask_of_cbow_shows_each_gap(folders, capsys):
    lines = output_of(capsys, "fill-mask", folders["cbow"], "the [MASK] eats [MASK] .", "--top",
                      "3").splitlines()
    assert len(lines) == 8 and lines[0] == "gap 1" and lines[4] == "gap 2"


def test_fill_mask_reads_the_text_as_a_document(folders):
    model = CBOW.from_pretrained(folders["cbow"])
    ids = np.array([TOKENIZER.encode("[MASK] eats")])
    ids[0, 0] = TOKENIZER.sep_token_id  # before a document stands a separator, not [CLS]
    p = np.sort(np.exp(model.gap(ids, np.array([1]))[0]))[::-1]
    (found,) = fill_mask(model, TOKENIZER, "[MASK] eats", 3)
    assert [share for _, share in found] == p[:3].tolist()


def test_embed_is_the_mean_of_the_words(folders, capsys):
    lines = output_of(capsys, "embed", folders["glove"], "the cat", "cat the").splitlines()
    one, two = (np.array(line.split(), float) for line in lines[:2])
    np.testing.assert_allclose(one, two, atol=2e-6)
    assert np.linalg.norm(one) == pytest.approx(1.0, abs=1e-4)


def test_embed_reads_a_tokenizer_without_padding(tmp_path, capsys):
    tokenizer = CharTokenizer("abc")
    SkipGram(SkipGramConfig(tokenizer.vocab_size), 1).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    one, two, *_ = output_of(capsys, "embed", tmp_path, "aab", "aba").splitlines()
    np.testing.assert_allclose(np.array(one.split(), float), np.array(two.split(), float),
                               atol=2e-6)


def test_an_lstm_scores_and_elmo_fills_gaps_and_embeds(folders, capsys):
    assert "5 tokens" in output_of(capsys, "score", folders["lstm"], "the cat eats fish .")
    lines = output_of(capsys, "fill-mask", folders["elmo"], "the [MASK] eats", "--top", "2")
    assert len(lines.splitlines()) == 3
    (line,) = output_of(capsys, "embed", folders["elmo"], "the cat").splitlines()
    assert len(line.split()) == 12  # 6 numbers of each direction


def test_what_a_model_does_not_answer_is_one_line(folders, capsys):
    assert "reads the left side alone" in mistake(capsys, "fill-mask", folders["ngram"], "[MASK]")
    assert "both sides" in mistake(capsys, "score", folders["cbow"], "the cat")
    assert "counts words" in mistake(capsys, "embed", folders["ngram"], "the cat")


def test_another_model_s_tokenizer_is_refused(tmp_path, capsys):
    small_models()[0].save_pretrained(tmp_path)
    BertTokenizer.from_words([*WORDS, "mouse"]).save_pretrained(tmp_path)
    assert "they are not of one model" in mistake(capsys, "score", tmp_path, "the cat")


@pytest.mark.parametrize("command, name", [("score", "ngram"), ("embed", "glove"),
                                           ("fill-mask", "cbow")])
def test_words_outside_the_vocabulary_are_named_in_one_line(folders, capsys, command, name):
    text = ["the [MASK] eats"] if command == "fill-mask" else ["the cat eats"]
    assert main([command, str(folders[name]), *text]) == 0
    assert capsys.readouterr().err == ""
    assert main([command, str(folders[name]), f"Zebras {text[0]} plums and [UNK], zebras"]) == 0
    assert capsys.readouterr().err == ("minibert: note: not in the vocabulary and read as [UNK]: "
                                       "Zebras, plums, and, ,, zebras\n")


@pytest.mark.parametrize("name, commands", [
    ("ngram", "score"), ("cbow", "fill-mask, embed"), ("skipgram", "embed"), ("glove", "embed"),
    ("lstm", "score, embed"), ("elmo", "score, fill-mask, embed")])
@pytest.mark.parametrize("command", [("look", "the cat"), ("look", "the cat", "--terminal"),
                                     ("generate",), ("next-sentence", "the cat", "a cat")])
def test_a_command_for_transformers_names_those_for_the_model(folders, tmp_path, capsys,
                                                              monkeypatch, name, commands, command):
    monkeypatch.chdir(tmp_path)
    line = mistake(capsys, command[0], folders[name], *command[1:])
    assert f"holds a model of type '{name}', which is no Transformer: {command[0]}" in line
    assert line.endswith(f"there are {commands} and info") and not list(tmp_path.iterdir())
