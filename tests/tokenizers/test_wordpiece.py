"""BertTokenizer: splitting, special tokens, framing, files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.tokenizers.characters import load_tokenizer
from minibert.tokenizers.wordpiece import BertTokenizer

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = ["my", "dog", "is", "cute", "he", "likes", "play", "##ing", "##s", "un", "##aff", "##able",
          "a", "b", "##b", ",", ".", "un##", "cafe"]


@pytest.fixture
def tokenizer():
    return BertTokenizer(SPECIALS + PIECES)


def test_the_example_of_the_paper(tokenizer):
    row = tokenizer("my dog is cute", "he likes playing")
    assert " ".join(tokenizer.convert_ids_to_tokens(row["input_ids"])) == (
        "[CLS] my dog is cute [SEP] he likes play ##ing [SEP]")
    assert row["token_type_ids"] == [0] * 6 + [1] * 5
    assert row["attention_mask"] == [1] * 11


def test_longest_match_first_and_unknown_as_a_whole(tokenizer):
    assert tokenizer.tokenize("unaffable") == ["un", "##aff", "##able"]
    assert tokenizer.tokenize("plays playing") == ["play", "##s", "play", "##ing"]
    assert tokenizer.tokenize("playx") == ["[UNK]"], "a known start does not help"
    whole = BertTokenizer(SPECIALS + ["play", "playing", "##ing", "##i", "##n", "##g"])
    assert whole.tokenize("playing playinging") == ["playing", "playing", "##ing"]
    assert tokenizer.tokenize("ab abb") == ["a", "##b", "a", "##b", "##b"]


@pytest.mark.parametrize("gap", [" ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "  \t "])
def test_every_white_space_separates_words(tokenizer, gap):
    assert tokenizer.tokenize(f"my{gap}dog") == ["my", "dog"]


def test_words_of_up_to_100_characters(tokenizer):
    assert tokenizer.tokenize("a" + "b" * 99) == ["a"] + ["##b"] * 99
    assert tokenizer.tokenize("a" + "b" * 100) == ["[UNK]"]


def test_lower_casing_and_accents_are_options():
    def split(**settings):
        return BertTokenizer(SPECIALS + ["cafe", "café", "Café", "Cafe"], **settings)

    assert split().tokenize("Café") == ["cafe"]
    assert split(do_lower_case=False).tokenize("Café") == ["Café"]
    assert split(strip_accents=False).tokenize("Café") == ["café"]
    assert split(do_lower_case=False, strip_accents=True).tokenize("Café") == ["Cafe"]


def test_special_tokens_in_the_text_are_one_token_and_case_matters(tokenizer):
    assert tokenizer.tokenize("my [MASK] is,[SEP]cute") == [
        "my", "[MASK]", "is", ",", "[SEP]", "cute"]
    assert "[MASK]" not in tokenizer.tokenize("my [mask] is")
    row = tokenizer("my[MASK]dog", return_offsets_mapping=True)
    assert row["offset_mapping"] == [(0, 0), (0, 2), (2, 8), (8, 11), (0, 0)]


def test_offsets_point_into_the_original_text():
    tokenizer = BertTokenizer(SPECIALS + ["cafe", "play", "##ing", "!"])
    text = "CAFE\u0301\x00  playing!"
    row = tokenizer(text, return_offsets_mapping=True)
    slices = [text[start:end] for start, end in row["offset_mapping"][1:-1]]
    assert slices == ["CAFE", "play", "ing", "!"]


def test_the_same_word_again_is_the_same_and_its_place_another(tokenizer):
    row = tokenizer("playing my playing", return_offsets_mapping=True)
    assert row["input_ids"][1:3] == row["input_ids"][4:6]
    assert row["offset_mapping"][1:-1] == [(0, 4), (4, 7), (8, 10), (11, 15), (15, 18)]


@given(text=st.text(max_size=40))
def test_any_text_gives_ids_in_range_and_offsets_in_order(text):
    tokenizer = BertTokenizer(SPECIALS + PIECES)
    row = tokenizer(text, return_offsets_mapping=True)
    assert all(0 <= i < len(tokenizer) for i in row["input_ids"])
    offsets = row["offset_mapping"][1:-1]
    assert all(0 <= start < end <= len(text) for start, end in offsets)
    assert tokenizer.encode(text) == row["input_ids"]
    assert tokenizer.encode(text, add_special_tokens=False) == row["input_ids"][1:-1]
    assert len(tokenizer.tokenize(text)) == len(offsets)


def test_decode_closes_up_pieces_and_punctuation(tokenizer):
    ids = tokenizer.encode("my dog, he likes playing.")
    assert tokenizer.decode(ids) == "[CLS] my dog, he likes playing. [SEP]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "my dog, he likes playing."


def test_saved_and_opened_again(tokenizer, tmp_path):
    cased = BertTokenizer(SPECIALS + PIECES, do_lower_case=False, strip_accents=True,
                          tokenize_chinese_chars=False, model_max_length=64)
    cased.save_pretrained(tmp_path / "new" / "folder")
    opened = load_tokenizer(tmp_path / "new" / "folder")
    assert opened.vocab == cased.vocab
    for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "model_max_length"):
        assert getattr(opened, name) == getattr(cased, name)
    lines = (tmp_path / "new" / "folder" / "vocab.txt").read_bytes().decode().split("\n")
    assert lines == SPECIALS + PIECES + [""]


def test_a_bare_vocab_txt_and_a_tokenizer_json_open(tokenizer, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "vocab.txt").write_text("\r\n".join(SPECIALS + PIECES), newline="")
    assert BertTokenizer.from_pretrained(tmp_path / "a").vocab == tokenizer.vocab
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "tokenizer.json").write_text(
        json.dumps({"model": {"type": "WordPiece", "vocab": tokenizer.vocab}}))
    (tmp_path / "b" / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": False, "model_max_length": 10**30,
                    "mask_token": {"content": "[MASK]"}}))
    opened = BertTokenizer.from_pretrained(tmp_path / "b")
    assert opened.vocab == tokenizer.vocab and not opened.do_lower_case
    assert opened.model_max_length is None


@pytest.mark.parametrize("name, content, words", [
    ("vocab.txt", b"[PAD]\n\xff\xfe", "vocab.txt.*UTF-8"),
    ("vocab.txt", b"[PAD]\n[CLS]\n[SEP]\n[MASK]\na\n", r"unk_token '\[UNK\]' is missing"),
    ("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na\n", r"'\[MASK\]' is not in the vocab.*holes"),
    ("vocab.txt", b"\xef\xbb\xbf[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "begins with a byte order mark"),
    ("tokenizer.json", b"{", "tokenizer.json.*JSON"),
    ("tokenizer.json", b"[1]", "JSON object"),
    ("tokenizer.json", b'{"model": {"type": "BPE", "vocab": {}}}', "field model: expected BPE"),
    ("tokenizer.json", b'{"model": {"vocab": {"a": "0"}}}',
     "tokenizer.json: vocabulary: 'a' has the id '0'"),
    ("tokenizer.json", b'{"model": {"vocab": {"a": 7}}}', "whose ids have holes"),
    ("readme.md", b"", "no tokenizer"),
])
def test_damaged_folders_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_tokenizer(tmp_path)


def test_a_wrong_setting_in_a_file_is_named(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": "false"}')
    with pytest.raises(InputError, match="do_lower_case = 'false'"):
        BertTokenizer.from_pretrained(tmp_path)


def test_what_cannot_be_used_is_said(tokenizer):
    with pytest.raises(InputError, match="token id 24: out of range.*24 tokens"):
        tokenizer.decode([5, 24])
    with pytest.raises(InputError, match="token id -1"):
        tokenizer.convert_ids_to_tokens(-1)
    with pytest.raises(InputError, match="expected a text, found int"):
        tokenizer.encode(3)
    with pytest.raises(TypeError, match="lower_case"):
        BertTokenizer(SPECIALS, lower_case=True)
    assert tokenizer.convert_tokens_to_ids(["dog", "cat"]) == [6, tokenizer.unk_token_id]


def test_a_vocabulary_of_added_tokens_alone_is_no_wordpiece(tmp_path):
    """A tokenizer.json whose model has no words of its own."""
    added = [{"id": i, "content": token, "special": True, "lstrip": False, "rstrip": False,
              "single_word": False, "normalized": False} for i, token in enumerate(SPECIALS)]
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "max_input_chars_per_word": 100, "vocab": {}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(
        {"version": "1.0", "added_tokens": added, "model": model}), encoding="utf-8")
    with pytest.raises(InputError, match="added tokens only"):
        BertTokenizer.from_pretrained(tmp_path)
