"""`embed`: numbers that a program can read, and cosines for people."""

import json
import shutil

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
    assert "its tokenizer has no padding" in mistake(capsys, "embed", tmp_path, "ab")


def test_the_mode_of_the_model_is_put_back(folder):
    model = mb.BertModel.from_pretrained(folder)
    tokenizer = mb.BertTokenizer.from_pretrained(folder)
    model.train()
    assert np.array_equal(embed(model, tokenizer, ["a cat"]), embed(model, tokenizer, ["a cat"]))
    assert model.training


def sentence_folder(folder, tmp_path, pooling, *modules, **sentence_bert):
    """A copy of the model's folder as sentence-transformers has it."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    steps = [("", "Transformer"), ("1_Pooling", "Pooling"), *modules]
    (tmp_path / "modules.json").write_text(json.dumps(
        [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
         for i, (path, kind) in enumerate(steps)]))
    (tmp_path / "1_Pooling").mkdir(exist_ok=True)
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps(sentence_bert))
    return tmp_path


NORMALIZE = ("2_Normalize", "Normalize")
WAYS = {"cls": lambda h: h[0], "lasttoken": lambda h: h[-1], "mean": lambda h: h.mean(axis=0),
        "max": lambda h: h.max(axis=0), "mean_sqrt_len_tokens": lambda h: h.sum(0) / len(h)**0.5,
        "weightedmean": lambda h: np.average(h, axis=0, weights=np.arange(1, len(h) + 1))}


@pytest.mark.parametrize("mode", WAYS)
@pytest.mark.parametrize("normalize", [True, False])
def test_pooling_is_that_of_the_folder(folder, tmp_path, capsys, mode, normalize):
    key = "lasttoken" if mode == "lasttoken" else {"cls": "cls_token"}.get(mode, f"{mode}_tokens")
    key = f"pooling_mode_{key}".replace("tokens_tokens", "tokens")
    old = {"word_embedding_dimension": 12, "pooling_mode_mean_tokens": False} | {key: True}
    modules = [NORMALIZE] if normalize else []
    texts = ["the cat", "a dog sees the bird"]
    model = mb.BertModel.from_pretrained(folder)
    tokenizer = mb.BertTokenizer.from_pretrained(folder)
    for pooling in (old, {"embedding_dimension": 12, "pooling_mode": mode}):
        path = sentence_folder(folder, tmp_path, pooling, *modules, max_seq_length=5)
        vectors = np.loadtxt(output_of(capsys, "embed", path, *texts).splitlines())
        for text, vector in zip(texts, vectors):
            ids = tokenizer(text, max_length=5)["input_ids"]
            expected = WAYS[mode](model(np.array([ids])).last_hidden_state.data[0].astype(float))
            expected /= np.linalg.norm(expected) if normalize else 1
            np.testing.assert_allclose(vector, expected, atol=2e-6)


def test_several_modes_are_joined(folder, tmp_path, capsys):
    path = sentence_folder(folder, tmp_path, {"pooling_mode_cls_token": True,
                                              "pooling_mode_mean_tokens": True})
    both = np.loadtxt([output_of(capsys, "embed", path, "the cat").splitlines()[0]])
    for half, mode in ((both[:12], "cls"), (both[12:], "mean")):
        path = sentence_folder(folder, tmp_path, {"pooling_mode": mode})
        alone = output_of(capsys, "embed", path, "the cat")
        np.testing.assert_allclose(half, np.loadtxt(alone.splitlines()), atol=1e-6)


def test_cosines_of_vectors_of_any_length(folder, tmp_path, capsys):
    path = sentence_folder(folder, tmp_path, {"pooling_mode": "mean"})
    texts = ["the cat", "a dog sees the bird"]
    shown = output_of(capsys, "embed", path, *texts)
    assert shown.splitlines()[2:] == output_of(capsys, "embed", folder, *texts).splitlines()[2:]


def test_the_model_may_lie_in_a_folder_of_its_own(folder, tmp_path, capsys):
    path = sentence_folder(folder, tmp_path / "new", {"pooling_mode": "mean"}, NORMALIZE)
    expected = output_of(capsys, "embed", path, "the cat")
    (path / "0_Transformer").mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json",
                 "sentence_bert_config.json"):
        (path / name).rename(path / "0_Transformer" / name)
    modules = json.loads((path / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (path / "modules.json").write_text(json.dumps(modules))
    assert output_of(capsys, "embed", path, "the cat") == expected


def test_pooling_that_is_not_supported(folder, tmp_path, capsys):
    path = sentence_folder(folder, tmp_path, {"pooling_mode": "median"})
    assert "1_Pooling/config.json: pooling_mode is ('median',)" in mistake(
        capsys, "embed", path, "a")
    path = sentence_folder(folder, tmp_path, {}, ("2_Dense", "Dense"))
    assert "modules.json: the modules 'Transformer, Pooling, Dense'" in mistake(
        capsys, "embed", path, "a")
    path = sentence_folder(folder, tmp_path, {}, do_lower_case=True)
    assert "sentence_bert_config.json: do_lower_case is True" in mistake(capsys, "embed", path, "a")
    path = sentence_folder(folder, tmp_path, {}, max_seq_length=0)
    assert "sentence_bert_config.json: max_seq_length = 0" in mistake(capsys, "embed", path, "a")
    path = sentence_folder(folder, tmp_path, {})
    (path / "config_sentence_transformers.json").write_text('{"default_prompt_name": "query"}')
    assert "default_prompt_name is 'query': only None" in mistake(capsys, "embed", path, "a")
    for content in ("[1]", "{", "7", '[{"type": "x"}]'):
        (path / "modules.json").write_text(content)
        assert "modules.json: " in mistake(capsys, "embed", path, "a")
