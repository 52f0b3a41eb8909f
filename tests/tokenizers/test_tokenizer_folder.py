"""Folders of other people's tokenizers: their files are obeyed, or refused by name."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.tokenizers.added_tokens import AddedToken, AddedTokenFinder
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.characters import CharTokenizer, load_tokenizer
from minibert.tokenizers.wordpiece import BertTokenizer

REFERENCE = json.loads((Path(__file__).parent / "reference" / "folders.json").read_text("ascii"))
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCAB = [*SPECIALS, "the", "bank", "is", "s", "foo"]


def write(folder, **files):
    """A folder with vocab.txt and the given JSON files."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCAB))
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def entry(content, special=True, **changes):
    return {"content": content, "lstrip": False, "normalized": not special, "rstrip": False,
            "single_word": False, "special": special} | changes


def decoder(*tokens):
    return {str(i): entry(token) for i, token in enumerate(SPECIALS)} | {
        str(len(VOCAB) + k): token for k, token in enumerate(tokens)}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("folder", REFERENCE["folders"], ids=lambda folder: folder["name"])
def test_ids_offsets_and_texts_are_those_of_transformers(tmp_path, folder):
    for name, content in folder["files"].items():
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text, encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path)
    tokenizer.save_pretrained(tmp_path / "again")
    for tokenizer in (tokenizer, load_tokenizer(tmp_path / "again")):
        for text, ids, offsets, pair_ids, segments, decoded, skipped in folder["rows"]:
            row = tokenizer(text, return_offsets_mapping=True)
            assert row["input_ids"] == ids, text
            assert offsets is None or [[*pair] for pair in row["offset_mapping"]] == offsets, text
            pair = tokenizer(text, text or "the")
            assert (pair["input_ids"], pair.get("token_type_ids")) == (pair_ids, segments)
            assert tokenizer.decode(ids) == decoded
            assert tokenizer.decode(ids, skip_special_tokens=True) == skipped


texts = st.text("ab [] _é", max_size=14)
tokens = st.dictionaries(st.text("ab[] ", min_size=1, max_size=3),
                         st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=5)


@given(text=texts, options=tokens)
def test_stretches_cover_the_text_in_order(text, options):
    found = {content: AddedToken(content, i, lstrip=left, rstrip=right, single_word=alone)
             for i, (content, (left, right, alone)) in enumerate(options.items())}
    contents = list(options)
    place = 0
    for start, end, added in AddedTokenFinder(found).cut(text):
        assert start == place < end
        place = end
        if added is not None:
            token = found[contents[added]]
            part = text[start:end]
            part = part[part.find(token.content):] if token.lstrip else part
            assert part.startswith(token.content)
            assert token.rstrip or part == token.content
            assert (token.lstrip or token.rstrip) or end - start == len(token.content)
        elif not any(alone for _, _, alone in options.values()):
            assert not any(content in text[start:end] for content in contents)
    assert place == len(text)


def cut(text, *options):
    """[(the stretch, the token's text or None), ...]"""
    tokens = {token.content: token for token in options}
    by_id = {token.id: token.content for token in options}
    return [(text[start:end], by_id.get(added)) for start, end, added in
            AddedTokenFinder(tokens).cut(text)]


def test_the_longest_token_at_the_first_place():
    ab, abc = AddedToken("ab", 1), AddedToken("abc", 2)
    assert cut("xabcab", ab, abc) == [("x", None), ("abc", "abc"), ("ab", "ab")]
    assert cut("aab", ab) == [("a", None), ("ab", "ab")]
    assert cut("", ab) == [] and cut("xyz") == [("xyz", None)]


@pytest.mark.parametrize("before, after, is_one", [
    ("", "", True), (" ", ".", True), ("a", "", False), ("", "a", False), ("1", "", False),
    ("", "_", False), ("\u0301", "", False), ("", "\u200d", False), ("-", "-", True)])
def test_a_single_word_stands_between_other_characters(before, after, is_one):
    found = [token for _, token in cut(f"{before}ab{after}", AddedToken("ab", 1, single_word=True))]
    assert ("ab" in found) == is_one


def test_a_rejected_single_word_is_passed_over_whole():
    """As in Hugging Face: the search goes on behind it."""
    assert cut("xabab", AddedToken("ab", 1, single_word=True)) == [("xabab", None)]
    assert cut("xaab", AddedToken("aa", 1, single_word=True), AddedToken("ab", 2)) \
        == [("xaab", None)]


def test_blanks_beside_a_token():
    both = AddedToken("[a]", 1, lstrip=True, rstrip=True)
    assert cut("x \t[a]\u3000 [a] y", both) == [("x", None), (" \t[a]\u3000 ", "[a]"),
                                               ("[a] ", "[a]"), ("y", None)]
    assert cut(" [a] ", AddedToken("[a]", 1, lstrip=True)) == [(" [a]", "[a]"), (" ", None)]
    assert cut(" [a] ", AddedToken("[a]", 1, rstrip=True)) == [(" ", None), ("[a] ", "[a]")]


@pytest.mark.parametrize("files, words", [
    ({"tokenizer_config": {"never_split": ["the"]}}, "tokenizer_config.json: never_split is"),
    ({"tokenizer_config": {"do_basic_tokenize": False}}, "do_basic_tokenize is False: only True"),
    ({"tokenizer_config": {"do_basic_tokenize": 1}}, "do_basic_tokenize is 1: only True"),
    ({"tokenizer_config": {"split_special_tokens": True}}, "split_special_tokens is True"),
    ({"tokenizer_config": {"wordpieces_prefix": "@@"}}, "wordpieces_prefix is '@@'"),
    ({"tokenizer_config": {"pad_token_type_id": 3}}, "pad_token_type_id is 3: only 0"),
    ({"tokenizer_config": {"auto_map": {"AutoTokenizer": "x.Y"}}}, "auto_map is"),
    ({"tokenizer_config": {"tokenizer_class": "BertJapaneseTokenizer"}},
     "tokenizer_class 'BertJapaneseTokenizer' is not supported for WordPiece"),
    ({"config": {"tokenizer_class": "RoFormerTokenizer"}}, "config.json: tokenizer_class 'RoFor"),
    ({"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast"}},
     "PreTrainedTokenizerFast needs a tokenizer.json"),
    ({"tokenizer_config": {"truncation_side": "top"}}, "truncation_side = 'top'"),
    ({"tokenizer_config": {"max_len": 0}}, "max_len = 0: expected"),
    ({"tokenizer_config": {"model_input_names": ["attention_mask"]}}, "model_input_names is"),
    ({"added_tokens": {"new": 12}}, "added_tokens.json: 'new' has id 12, and 10 is next"),
    ({"added_tokens": {"the": 12}}, "'the' has id 12, and 5 in the vocabulary"),
    ({"added_tokens": {"new": "10"}}, "added_tokens.json: '10' is no token's id"),
    ({"added_tokens": {"": 10}}, "added_tokens.json: a token is ''"),
    ({"tokenizer_config": {"added_tokens_decoder": [1]}}, r"added_tokens_decoder is \[1\]"),
    ({"tokenizer_config": {"added_tokens_decoder": {"x": entry("new")}}}, "'x' is no token's id"),
    ({"tokenizer_config": {"added_tokens_decoder": {"5": "the"}}}, "'the' is no token with its id"),
    ({"tokenizer_config": {"added_tokens_decoder": decoder()}, "added_tokens": {"new": 10}},
     "added_tokens.json: 'new' is not among added_tokens_decoder"),
    ({"tokenizer_config": {"added_tokens_decoder": decoder()},
      "special_tokens_map": {"additional_special_tokens": ["new"]}},
     "special_tokens_map.json: additional_special_tokens names .*new.*make the two agree"),
    ({"tokenizer_config": {"added_tokens_decoder": decoder()},
      "special_tokens_map": {"mask_token": "the"}}, "special_tokens_map.json: mask_token names"),
    ({"tokenizer_config": {"added_tokens_decoder": {"0": entry([])}},
      "special_tokens_map": {"additional_special_tokens": ["the"]}}, "expected a token"),
    ({"tokenizer_config": {"extra_special_tokens": ["the"]},
      "special_tokens_map": {"additional_special_tokens": ["bank"]}}, "names 'bank', but .* 'the'"),
    ({"tokenizer_config": {"unk_token": None}}, "WordPiece needs an unk_token"),
])
def test_what_is_not_supported_is_refused_by_name(tmp_path, files, words):
    with pytest.raises(InputError, match=words) as error:
        load_tokenizer(write(tmp_path, **files))
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_key_is_named_in_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="tokenizer_config.json: unknown keys.*'do_rot13'"):
        load_tokenizer(write(tmp_path, tokenizer_config={"do_rot13": True}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_tokenizer(write(tmp_path, tokenizer_config={"e1_token": "the", "verbose": False,
                                                         "name_or_path": "x", "max_length": 9}))


def json_of(**changes):
    tokenizer = BertTokenizer(VOCAB)
    tokenizer.max_input_chars_per_word = 50  # no BertTokenizer of Hugging Face: saved as a JSON
    return tokenizer._as_json() | changes


@pytest.mark.parametrize("changes, words", [
    ({"normalizer": None}, "field normalizer is None"),
    ({"normalizer": {"type": "NFC"}}, "field normalizer is {'type': 'NFC'}"),
    ({"normalizer": {"type": "BertNormalizer", "clean_text": False}}, "clean_text true"),
    ({"normalizer": {"type": "BertNormalizer", "clean_text": True, "lowercase": 1}}, "true and f"),
    ({"pre_tokenizer": {"type": "Whitespace"}}, "field pre_tokenizer"),
    ({"pre_tokenizer": None}, "field pre_tokenizer"),
    ({"decoder": None}, "field decoder"),
    ({"post_processor": {"type": "RobertaProcessing"}}, "field post_processor"),
    ({"post_processor": {"type": "ByteLevel", "trim_offsets": True}}, "field post_processor"),
    ({"post_processor": {"type": "TemplateProcessing", "single": [], "pair": [],
                         "special_tokens": {}}}, "field post_processor"),
    ({"padding": {"pad_type_id": 1}}, "field padding"),
    ({"version": "2.0"}, "version is '2.0'"),
    ({"model": {"vocab": BertTokenizer(VOCAB).vocab, "max_input_chars_per_word": "9"}},
     "max_input_chars_per_word = '9': expected a whole number"),
])
def test_a_pipeline_that_is_not_bert_s(tmp_path, changes, words):
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text(json.dumps(json_of(**changes)))
    with pytest.raises(InputError, match=f"tokenizer.json: .*{words}"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("config, change, words", [
    ({}, {"lowercase": False}, "normalizer says do_lower_case = False, and .* True"),
    ({"strip_accents": True}, {}, "strip_accents"),
    ({"tokenize_chinese_chars": False}, {}, "tokenize_chinese_chars"),
    ({"tokenizer_class": "TokenizersBackend", "do_lower_case": False}, {}, "do_lower_case = True"),
])
def test_settings_that_contradict_tokenizer_json(tmp_path, config, change, words):
    content = json_of()
    content["model"]["max_input_chars_per_word"] = 100
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "BertTokenizer"}))
    assert load_tokenizer(tmp_path).encode("the") == [2, 5, 3]
    content["normalizer"] |= change
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=words):
        load_tokenizer(tmp_path)


def test_a_bert_tokenizer_keeps_its_template_and_its_longest_word(tmp_path):
    content = json_of(post_processor=None)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="max_input_chars_per_word: a BertTokenizer has 100"):
        load_tokenizer(tmp_path)
    content["model"]["max_input_chars_per_word"] = 100
    content["post_processor"] = {"type": "BertProcessing", "cls": ["the", 5], "sep": ["is", 7]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="field post_processor has no effect"):
        assert load_tokenizer(tmp_path).encode("bank") == [2, 6, 3]


def test_stale_files_are_told(tmp_path):
    for stored, token in (({t: i for i, t in enumerate(SPECIALS)}, "the"),
                          ({t: i for i, t in enumerate(VOCAB)} | {"new": None}, "new")):
        (tmp_path / "tokenizer.json").write_text(json.dumps(
            {"model": {"type": "WordPiece", "vocab": stored}}))
        with pytest.raises(InputError, match=f"vocab.txt: and tokenizer.json differ .{token}.*out"):
            load_tokenizer(write(tmp_path))
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "characters.json").write_text('{"characters": ["a"]}')
    with pytest.raises(InputError, match="characters.json and vocab.txt belong to different"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("tokenizer", [BertTokenizer(VOCAB), CharTokenizer("abc"),
                                       GPT2Tokenizer.train(["abc abc"], 258)],
                         ids=lambda tokenizer: type(tokenizer).__name__)
def test_saving_removes_another_tokenizer_s_files(tmp_path, tokenizer):
    for name in ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "encoder.json",
                 "vocab.bpe", "characters.json", "special_tokens_map.json", "added_tokens.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).vocab == tokenizer.vocab
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "tokenizer.json").exists()


@pytest.mark.parametrize("name", ["vocab.txt", "merges.txt", "tokenizer.json"])
def test_a_pipe_in_place_of_a_file(tmp_path, name):
    (tmp_path / "vocab.json").write_text("{}") if name == "merges.txt" else None
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: this is a pipe or device: expected a file"):
        load_tokenizer(tmp_path)


def test_ids_without_a_token(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIALS, "the", "bank", "the"]) + "\n")
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.vocab_size == 8 and tokenizer.encode("the bank") == [2, 7, 6, 3]
    assert tokenizer.convert_ids_to_tokens([5, 6]) == ["", "bank"]
    assert tokenizer.decode([5, 6, 7]) == "bank the"
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).vocab == tokenizer.vocab


def test_special_tokens_that_the_vocabulary_lacks(tmp_path):
    vocab = [token for token in VOCAB if token != "[MASK]"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocab) + "\n")
    with pytest.warns(UserWarning, match=r"lacks \[MASK\]: the model has no embedding"):
        tokenizer = load_tokenizer(tmp_path, len(vocab))
    assert tokenizer.encode("the [MASK]") == [2, 4, len(vocab), 3]
    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "vocab.txt").read_text().split() == vocab
    with pytest.raises(InputError, match="not of one model"):
        load_tokenizer(tmp_path, len(vocab) - 1)


def test_a_piece_of_words_is_a_token_of_the_vocabulary_alone(tmp_path):
    tokenizer = load_tokenizer(write(tmp_path, tokenizer_config={
        "added_tokens_decoder": decoder(entry("bar", False, normalized=False))}))
    assert tokenizer.encode("BAR bar", add_special_tokens=False) == [1, 10]


def test_tokens_of_the_text_as_it_is_come_before_those_of_the_normalized_text(tmp_path):
    added = decoder(entry("ar", False, normalized=False), entry("bar", False))
    tokenizer = load_tokenizer(write(tmp_path, tokenizer_config={"added_tokens_decoder": added}))
    assert tokenizer.tokenize("bar BAR") == ["[UNK]", "ar", "bar"]  # as transformers does


def test_thousands_of_special_tokens_are_found():
    names = [f"[E{i}]" for i in range(3000)]
    tokenizer = BertTokenizer([*VOCAB, *names], extra_special_tokens=names)
    assert tokenizer.encode("the [E2999][E3000] bank", add_special_tokens=False) \
        == [5, 10 + 2999, 1, 1, 1, 6]


@pytest.mark.parametrize("call, words", [
    (lambda t: t(["the", "bank"], "is"), "text_pair beside a list of texts is 'is'"),
    (lambda t: t(None), "text is None; expected a text or a list"),
    (lambda t: t({"the": 1}), "text is {'the': 1}; expected"),
    (lambda t: t(7), "text is 7; expected a text or a list of texts"),
    (lambda t: t(["the"], "bank"), "text_pair .* 'bank'; expected a list, a second text for each"),
    (lambda t: t("the", ["bank"]), "expected a text, found list"),
    (lambda t: t.decode("the"), "expected token ids, got 'the'"),
    (lambda t: t.decode(None), "expected token ids, got None"),
    (lambda t: t.decode([[5]]), r"got \[5\] among them; batch_decode"),
    (lambda t: t.decode(np.array([[5, 6]])), "batch_decode"),
    (lambda t: t.decode([5.0]), "got 5.0 among them"),
    (lambda t: t.convert_ids_to_tokens("5"), "expected token ids, got '5'"),
    (lambda t: t.decode([-1]), "token id -1: out of range"),
    (lambda t: t.decode([10]), "token id 10: out of range"),
    (lambda t: type(t)("the bank"), "texts is 'the bank'; expected a list of texts"),
])
def test_calls_that_mean_something_else_are_told(call, words):
    with pytest.raises(InputError, match=words):
        call(BertTokenizer(VOCAB))


@pytest.mark.parametrize("kind", [BertTokenizer, GPT2Tokenizer, CharTokenizer])
def test_a_text_is_no_list_of_texts_to_train_on(kind):
    arguments = () if kind is CharTokenizer else (300,)
    with pytest.raises(InputError, match="texts is 'the bank'; expected a list of texts"):
        kind.train("the bank", *arguments)


def test_a_max_length_alone_truncates_as_in_hugging_face():
    tokenizer = BertTokenizer(VOCAB, model_max_length=5)
    text = "the bank is the bank"
    assert len(tokenizer(text)["input_ids"]) == 7
    assert tokenizer(text, max_length=4)["input_ids"] == [2, 5, 6, 3] == tokenizer.encode(
        text, max_length=4)
    assert len(tokenizer(text, max_length=4, truncation=False)["input_ids"]) == 7
    assert len(tokenizer(text, max_length=4, padding=True)["input_ids"]) == 7
    assert len(tokenizer(text, truncation=True)["input_ids"]) == 5


def test_the_left_end_is_cut_where_the_folder_says_so(tmp_path):
    tokenizer = load_tokenizer(write(tmp_path, tokenizer_config={"truncation_side": "left"}))
    tokenizer.save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer("the bank is", max_length=4)["input_ids"] == [2, 6, 7, 3]
    assert tokenizer("the bank", "is s the", max_length=6)["input_ids"] == [2, 6, 3, 8, 5, 3]
    assert tokenizer("the bank", "is", max_length=5, truncation="only_first")["input_ids"] \
        == [2, 6, 3, 7, 3]
    assert tokenizer("the bank", "is s", max_length=6, truncation="only_second")["input_ids"] \
        == [2, 5, 6, 3, 8, 3]
    with pytest.raises(InputError, match="windows .* with truncation_side = 'left'"):
        tokenizer("the bank is", max_length=4, return_overflowing_tokens=True)


def test_sides_of_tokenizer_json(tmp_path):
    content = json_of(padding={"direction": "Left", "pad_type_id": 0, "pad_token": "is"},
                      truncation={"direction": "Left", "max_length": 3})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    config = {"tokenizer_class": "TokenizersBackend"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.padding_side, tokenizer.truncation_side) == ("left", "left")
    assert tokenizer.pad_token == "is" and tokenizer.max_input_chars_per_word == 50
    config |= {"padding_side": "right", "pad_token": "[PAD]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.padding_side, tokenizer.pad_token) == ("right", "[PAD]")


def test_words_that_are_unknown_in_any_case_are_not_learned():
    assert BertTokenizer.train(["ab " * 3 + "x" * 101], 20).vocab.keys() - set(SPECIALS) \
        == {"a", "##b", "ab"}
    assert "x" in BertTokenizer.train(["ab " * 3 + "x" * 100], 20).vocab


def test_options_hold_at_training_time():
    options = {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}
    trained = BertTokenizer.train(["Café 日本 Café 日本"], 30, **options)
    assert {name: getattr(trained, name) for name in options} == options
    assert "Cafe" in trained.vocab and "日本" in trained.vocab
    assert BertTokenizer.train(["Café"] * 2, 30, strip_accents=False).encode("café")[1] \
        == BertTokenizer.train(["Café"] * 2, 30, strip_accents=False).vocab["café"]


def test_bytes_that_are_no_tokens_are_left_out(tmp_path):
    tokenizer = GPT2Tokenizer({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}, [("a", "b")])
    row = tokenizer("aéb", return_offsets_mapping=True)
    assert row["input_ids"] == [2] and row["offset_mapping"] == [(0, 3)]
    tokenizer.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="vocab.json: 254 of the 256 bytes are no tokens"):
        assert load_tokenizer(tmp_path).encode("abé") == [2]


@pytest.mark.parametrize("config, words", [
    ({"add_bos_token": 1}, "add_bos_token = 1: expected True or False"),
    ({"add_bos_token": True, "bos_token": None}, "add_bos_token or add_eos_token without"),
    ({"errors": "ignore"}, "errors is 'ignore': only 'replace'"),
    ({"model_input_names": ["input_ids", "token_type_ids"]}, "has token_type_ids"),
])
def test_settings_of_gpt2(tmp_path, config, words):
    GPT2Tokenizer.train(["a"], 257).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=f"tokenizer_config.json: .*{words}"):
        load_tokenizer(tmp_path)
