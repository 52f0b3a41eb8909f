"""The call that all tokenizers share, and the tokenizer of characters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.characters import CharTokenizer, load_tokenizer
from minibert.tokenizers.truncation import cut_windows, shared_lengths
from minibert.tokenizers.wordpiece import BertTokenizer


@pytest.fixture
def tokenizer():
    return BertTokenizer.from_words("a b c d e f".split())


def test_batches_are_padded_to_the_longest_or_to_max_length(tokenizer):
    rows = tokenizer(["a b c", "d"], ["e", "f f"], padding=True)
    cls, sep, pad = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id
    assert rows["input_ids"] == [[cls, 5, 6, 7, sep, 9, sep], [cls, 8, sep, 10, 10, sep, pad]]
    assert rows["token_type_ids"] == [[0] * 5 + [1] * 2, [0] * 3 + [1] * 3 + [0]]
    assert rows["attention_mask"] == [[1] * 7, [1] * 6 + [0]]
    row = tokenizer("a", padding="max_length", max_length=5)
    assert row["input_ids"] == [cls, 5, sep, pad, pad]
    assert tokenizer(["a", "b c"])["input_ids"] == [[cls, 5, sep], [cls, 6, 7, sep]]


def test_padding_on_the_left_moves_the_rows_and_nothing_else(tokenizer):
    texts = (["a b c", "d"], ["e", "f"])
    right = tokenizer(*texts, padding=True, return_offsets_mapping=True)
    tokenizer.padding_side = "left"
    left = tokenizer(*texts, padding=True, return_offsets_mapping=True)
    assert left["input_ids"][1] == [tokenizer.pad_token_id] * 2 + right["input_ids"][1][:-2]
    for name, rows in left.items():
        n = sum(right["attention_mask"][1])
        assert rows[0] == right[name][0] and rows[1] == right[name][1][n:] + right[name][1][:n]
    with pytest.raises(InputError, match="padding_side = 'top'"):
        BertTokenizer(tokenizer.vocab, padding_side="top")


@pytest.mark.parametrize("kind", [BertTokenizer, GPT2Tokenizer])
def test_the_side_and_the_padding_token_are_kept_in_the_folder(kind, tmp_path):
    kind.train(["a b c a b c"], 300).save_pretrained(tmp_path)
    assert kind.from_pretrained(tmp_path).padding_side == "right"
    tokenizer = kind.from_pretrained(tmp_path, padding_side="left")
    tokenizer.pad_token = "b"
    tokenizer.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path)
    assert (again.padding_side, again.pad_token, again.pad_token_id) == ("left", "b",
                                                                         tokenizer.vocab["b"])
    (tmp_path / "tokenizer_config.json").write_text('{"padding_side": "top"}')
    with pytest.raises(InputError, match="tokenizer_config.json: padding_side = 'top'"):
        kind.from_pretrained(tmp_path)


def test_a_padding_token_may_be_named_later():
    tokenizer = GPT2Tokenizer.train(["a b c"], 257)
    assert not hasattr(tokenizer, "pad_token")
    with pytest.raises(InputError, match="no padding token"):
        tokenizer(["a", "a b"], padding=True)
    tokenizer.pad_token = tokenizer.eos_token
    rows = tokenizer(["a", "a b"], padding=True, return_tensors="np")
    assert rows.input_ids[0].tolist() == [*tokenizer.encode("a"), *[tokenizer.eos_token_id] * 2]
    assert tokenizer.all_special_tokens == [tokenizer.eos_token]
    assert tokenizer.batch_decode(rows.input_ids, skip_special_tokens=True) == ["a", "a b"]
    tokenizer.pad_token = "!"
    assert "!" in tokenizer.all_special_tokens and tokenizer.decode([tokenizer.vocab["!"]],
                                                                    skip_special_tokens=True) == ""
    with pytest.raises(InputError, match="pad_token '<pad>' is missing"):
        tokenizer.pad_token = "<pad>"
    assert tokenizer.pad_token == "!"


def test_columns_are_attributes_and_a_single_id_is_decoded(tokenizer):
    row = tokenizer("a b")
    assert row.input_ids == row["input_ids"] and row.attention_mask == [1] * 4
    with pytest.raises(AttributeError, match="no column labels, only input_ids, token_type_ids"):
        row.labels
    assert tokenizer.decode(5) == tokenizer.decode(np.int64(5)) == "a"


@pytest.mark.parametrize("word", ["np", "pt"])
def test_arrays_as_a_model_wants_them(tokenizer, word):
    rows = tokenizer(["a b c", "d"], padding=True, return_tensors=word)
    assert all(array.shape == (2, 5) and array.dtype == np.int64 for array in rows.values())
    assert rows["input_ids"].tolist() == tokenizer(["a b c", "d"], padding=True)["input_ids"]
    assert tokenizer("a b", return_tensors=word)["input_ids"].shape == (1, 4), "a batch of one"
    with pytest.raises(InputError, match="input_ids differ in length .* padding=True"):
        tokenizer(["a b c", "d"], return_tensors=word)
    with pytest.raises(InputError, match="return_tensors='tf'"):
        tokenizer("a", return_tensors="tf")


def test_windows_cover_the_text_and_share_the_stride(tokenizer):
    rows = tokenizer("a b", "a b c d e f", truncation="only_second", max_length=8, stride=1,
                     return_overflowing_tokens=True, return_offsets_mapping=True)
    tokens = [" ".join(tokenizer.convert_ids_to_tokens(ids)) for ids in rows["input_ids"]]
    assert tokens == ["[CLS] a b [SEP] a b c [SEP]", "[CLS] a b [SEP] c d e [SEP]",
                      "[CLS] a b [SEP] e f [SEP]"]
    assert rows["overflow_to_sample_mapping"] == [0, 0, 0]
    assert rows["offset_mapping"][2][4] == (8, 9)


@given(n_first=st.integers(0, 20), n_second=st.integers(0, 20), n_max=st.integers(1, 30))
def test_longest_first_takes_one_token_at_a_time_from_the_longer(n_first, n_second, n_max):
    kept_first, kept_second = shared_lengths(n_first, n_second, n_max)
    assert kept_first + kept_second == min(n_first + n_second, n_max)
    assert kept_first <= n_first and kept_second <= n_second
    if kept_first < n_first:
        assert kept_first >= kept_second - 1
    if kept_second < n_second:
        assert kept_second >= kept_first - 1


@given(n=st.integers(1, 30), n_max=st.integers(1, 12), stride=st.integers(0, 11))
def test_windows_of_one_text_lose_no_token(n, n_max, stride):
    text = list(range(n))
    if n > n_max and stride >= n_max:
        with pytest.raises(InputError, match="stride"):
            cut_windows(text, None, n_max, "longest_first", stride, True)
        return
    windows = [first for first, _ in cut_windows(text, None, n_max, "longest_first", stride, True)]
    assert all(len(window) <= n_max for window in windows)
    joined = windows[0] + [token for window in windows[1:] for token in window[stride:]]
    assert joined == text
    assert all(len(window) > stride for window in windows[1:]), "no window without a new token"


@pytest.mark.parametrize("arguments, words", [
    (dict(truncation=True), "need a max_length"),
    (dict(padding="max_length"), "need a max_length"),
    (dict(truncation="both", max_length=9), "truncation = 'both': expected True, False or "),
    (dict(padding="left", max_length=9), "padding = 'left'"),
    (dict(truncation=True, max_length=2), "room for 0 tokens"),
    (dict(truncation="only_second", max_length=4), "needs a second text"),
    (dict(text_pair="a b c", truncation="only_first", max_length=6), "remove all 3 tokens"),
    (dict(text_pair="a b c", truncation=True, max_length=5, return_overflowing_tokens=True),
     "windows over a pair"),
    (dict(text_pair=3), "expected a text, found int"),
])
def test_calls_that_cannot_be_met_are_told(tokenizer, arguments, words):
    with pytest.raises(InputError, match=words):
        tokenizer("a b c", **arguments)


def test_as_many_second_texts_as_first_ones(tokenizer):
    with pytest.raises(InputError, match="2 texts but 1 second"):
        tokenizer(["a", "b"], ["c"])


@given(text=st.text(max_size=60))
def test_characters_come_back_as_they_were(text):
    tokenizer = CharTokenizer.train([text, "other"])
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.sep_token_id not in ids and tokenizer.unk_token_id not in ids


def test_unknown_characters_are_an_error_or_are_replaced():
    strict = CharTokenizer.train(["ab\n"])
    with pytest.raises(InputError, match=r"'ü' \(U\+00FC\) at place 2"):
        strict.encode("abü")
    replacing = CharTokenizer.train(["ab\n"], errors="replace")
    assert replacing.encode("aü") == [replacing.vocab["a"], replacing.unk_token_id]
    assert strict.vocab_size == 5, "a, b, line break, separator, unknown"


def test_characters_are_saved_and_opened_strict(tmp_path):
    CharTokenizer.train(["a\nb\u2028\t\"é"], errors="replace").save_pretrained(tmp_path)
    for name in ("config.json", "tokenizer_config.json"):  # no file of this class
        (tmp_path / name).write_text("{")
    opened = load_tokenizer(tmp_path)
    assert opened.decode(opened.encode("é\n\u2028")) == "é\n\u2028"
    with pytest.raises(InputError, match="'z'"):
        opened.encode("z")


def test_no_padding_token_no_padding():
    with pytest.raises(InputError, match="has no padding token"):
        CharTokenizer.train(["ab"])(["a", "ab"], padding=True)
    with pytest.raises(InputError, match="single character"):
        CharTokenizer(["ab"])


def test_a_tokenizer_that_does_not_fit_the_model(tmp_path):
    with pytest.raises(InputError, match="there is no tokenizer here .* copy the tokenizer"):
        load_tokenizer(tmp_path)
    BertTokenizer.from_words("a b".split()).save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path, 7).vocab_size == load_tokenizer(tmp_path, 8).vocab_size == 7
    with pytest.raises(InputError, match="has 7 tokens, but config.json says vocab_size = 6"):
        load_tokenizer(tmp_path, 6)
