"""Windows, frames and batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.finetuning.small_tasks import ROBERTA_TOKENIZER, TOKENIZER, reading

from minibert.errors import InputError
from minibert.finetuning.encoding import Reading, Window, batch_of
from minibert.tokenizers.characters import CharTokenizer
from minibert.tokenizers.wordpiece import BertTokenizer

CLS, SEP, PAD = TOKENIZER.cls_token_id, TOKENIZER.sep_token_id, TOKENIZER.pad_token_id


def tokens(ids) -> str:
    return " ".join(TOKENIZER.convert_ids_to_tokens(ids))


def test_frames_of_bert_are_the_tokenizers():
    for pair in (("a good b",), ("a not unhappy", "very . a")):
        expected = TOKENIZER(*pair)
        assert reading().framed(*map(reading().ids, pair)) == (expected["input_ids"],
                                                               expected["token_type_ids"])
    long = ("a b c d e a b c d e", "good bad a b c d e")
    expected = TOKENIZER(*long, truncation=True, max_length=12)
    assert reading().pair(*long) == (expected["input_ids"], expected["token_type_ids"], True)
    assert reading().pair("a", "b")[2] is False
    for pair in (("a", long[0]), (long[0], "a")):  # also where only one of them was cut
        assert reading().pair(*pair)[2] is True


def test_frames_of_roberta_are_the_tokenizers():
    roberta = Reading(ROBERTA_TOKENIZER, 12)
    for pair in (("a good b",), ("a b", "good a")):
        assert roberta.framed(*map(roberta.ids, pair))[0] == ROBERTA_TOKENIZER(*pair)["input_ids"]
    assert len(roberta.pair("a b a b a b a b", "good b a b a b")[0]) == 12
    assert roberta.word_ids("a") == ROBERTA_TOKENIZER.convert_tokens_to_ids(["Ġa"])
    assert reading().word_ids("a") == reading().ids("a")
    assert [p[1:] for p in roberta.pieces("b  a")] == [(0, 1), (2, 2), (3, 4)]
    assert batch_of(roberta, [Window(0, [5], [0])], None).token_type_ids is None


def test_an_accent_belongs_to_its_letter_whether_it_is_dropped_or_not():
    text = "a\u0301 b\u0302\u0323. \u0301 c"
    assert [text[start:end] for _, start, end in reading().pieces(text)] == [
        "a\u0301", "b\u0302\u0323", ".", "c"]
    cased = BertTokenizer([*TOKENIZER.vocab, "##\u0301"], do_lower_case=False)
    assert [piece[1:] for piece in Reading(cased, 12).pieces("a\u0301 b")] == [
        (0, 1), (1, 2), (3, 4)], "a token of its own keeps it"


def test_frames_of_a_gpt_have_a_separator_before_each_text():
    gpt = reading(left_to_right=True)
    assert tokens(gpt.framed(gpt.ids("a good b"))[0]) == "[SEP] a good b"
    ids, _, was_cut = gpt.pair("a good b", "very bad")
    assert tokens(ids) == "[SEP] a good b [SEP] very bad" and not was_cut
    assert gpt.pad_id == SEP and reading().pad_id == PAD


@pytest.mark.parametrize("left_to_right", [False, True])
def test_room_is_what_is_left_beside_the_frame(left_to_right):
    reads = reading(left_to_right=left_to_right)
    assert len(reads.framed([5] * reads.room(1))[0]) == 12
    assert len(reads.framed([5] * 4, [5] * (reads.room(2) - 4))[0]) == 12


@pytest.mark.parametrize("wrong, words", [
    ({"max_length": 4}, "max_length = 4: expected a whole number from 5"),
    ({"overlap": 10}, r"overlap .--stride. = 10: expected a whole number from 0 to 9"),
    ({"overlap": -1}, "overlap .--stride. = -1")])
def test_a_reading_that_cannot_be(wrong, words):
    with pytest.raises(InputError, match=words):
        reading(**wrong)


def test_bert_does_not_read_characters():
    characters = CharTokenizer.train(["ab"])
    with pytest.raises(InputError, match="no .CLS. and .SEP."):
        Reading(characters, 12)
    assert Reading(characters, 12, left_to_right=True).framed([5])[0] == [0, 5]


@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=5), labels=st.booleans(),
       left_to_right=st.booleans(), workers=st.integers(1, 7))
def test_a_batch_pads_on_the_right_and_is_shared_by_rows(lengths, labels, left_to_right, workers):
    windows = [Window(i, list(range(5, 5 + n)), [0] + [1] * (n - 1)) for i, n in
               enumerate(lengths)]
    reads = reading(left_to_right=left_to_right)
    batch = batch_of(reads, windows, np.arange(len(windows)) if labels else np.zeros(len(windows)))
    for i, n in enumerate(lengths):
        assert batch.input_ids[i, :n].tolist() == windows[i].ids
        assert (batch.input_ids[i, n:] == reads.pad_id).all()
        assert batch.attention_mask[i].tolist() == [True] * n + [False] * (max(lengths) - n)
        if not left_to_right:
            padding = [0] * (max(lengths) - n)
            assert batch.token_type_ids[i].tolist() == windows[i].types + padding
    assert ("token_type_ids" in batch.inputs()) is not left_to_right
    shares = [batch.shard(k, workers) for k in range(workers)]
    for name in ("input_ids", "attention_mask", "labels"):
        joined = np.concatenate([getattr(share, name) for share in shares])
        np.testing.assert_array_equal(joined, getattr(batch, name))
