"""The stored answers of Hugging Face's fast BertTokenizer, and every code point's class."""

import json
import unicodedata
from pathlib import Path

import pytest

from minibert.errors import InputError
from minibert.tokenizers.normalization import clean_chunk, is_cjk, is_punctuation, is_removed
from minibert.tokenizers.wordpiece import BertTokenizer

REFERENCE = json.loads((Path(__file__).parent / "reference" / "bert_tokenizer.json").read_text())
TOKENIZERS = [BertTokenizer(REFERENCE["vocab"], **s) for s in REFERENCE["settings"]]


def test_the_reference_is_not_empty():
    assert len(REFERENCE["splits"]) > 600
    assert len({text for _, text, _, _ in REFERENCE["splits"]}) > 350
    assert sum(row is not None for *_, row in REFERENCE["pairs"]) > 40


@pytest.mark.parametrize("number", range(4))
def test_ids_and_offsets_of_nasty_texts(number):
    for n, text, ids, offsets in REFERENCE["splits"]:
        if n == number:
            row = TOKENIZERS[n](text, return_offsets_mapping=True)
            assert row["input_ids"] == ids, ascii(text)
            assert [list(o) for o in row["offset_mapping"]] == offsets, ascii(text)


@pytest.mark.parametrize("case", REFERENCE["pairs"], ids=range(len(REFERENCE["pairs"])))
def test_pairs_with_every_truncation_strategy(case):
    first, second, arguments, expected = case
    if expected is None:
        with pytest.raises(InputError, match="max_length|stride"):
            TOKENIZERS[0](first, second, **arguments)
    else:
        assert TOKENIZERS[0](first, second, **arguments) == expected


def test_decode():
    for ids, plain, without_specials, cleaned in REFERENCE["joins"]:
        assert TOKENIZERS[0].decode(ids) == plain
        assert TOKENIZERS[0].decode(ids, skip_special_tokens=True) == without_specials
        assert TOKENIZERS[0].decode(ids, clean_up_tokenization_spaces=True) == cleaned


def test_every_code_point_of_unicode_3_2_has_the_class_of_the_reference():
    """Later ones depend on the Python; the reference's own tables stop at about Unicode 8."""
    listed = {c for low, high in REFERENCE["differently_classed"] for c in range(low, high + 1)}
    runs = REFERENCE["class_runs"] + [[0x110000, ""]]
    wrong = []
    for (start, expected), (end, _) in zip(runs, runs[1:]):
        for code in range(start, end):
            char = chr(code)
            if (unicodedata.ucd_3_2_0.category(char) not in ("Cn", "Cs") and code not in listed
                    and class_of(char) != expected):
                wrong.append(f"U+{code:04X}: {class_of(char)!r}, expected {expected!r}")
    assert not wrong, wrong[:10]


def class_of(char):
    if char in "\t\n\r" or char.isspace() and not is_removed(char):
        return " "
    if is_removed(char):
        return "x"
    if is_cjk(char):
        return "c"
    if is_punctuation(char):
        return "p"
    return "m" if not clean_chunk(char, False, True, False) else "."
