"""GPT-2's tokenizer: the stored answers of Hugging Face's, lossless on anything, and its files."""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.errors import InputError
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.byte_level_pre_tokenizer import BYTE_TO_CHAR, category_ranges, word_pattern
from minibert.tokenizers.characters import load_tokenizer
from minibert.tokenizers.wordpiece import BertTokenizer

REFERENCE = json.loads((Path(__file__).parent / "reference" / "gpt2_tokenizer.json").read_text())
VOCAB = REFERENCE["vocab"]
MERGES = [line.split(" ") for line in REFERENCE["merges"]]
SMALL = GPT2Tokenizer(VOCAB, MERGES)
END = "<|endoftext|>"
# Texts in which letters, blanks, apostrophes and the special token meet more often than by chance.
TEXTS = st.lists(st.one_of(st.sampled_from(["'s", " ", "\n", "a", "fox", " the", END, "<|endof",
                                            "é", "日", "😀", "1", "\x1c", "\x85", "\u3000", "!"]),
                           st.characters(exclude_categories=["Cs"]))).map("".join)


def test_the_reference_is_not_empty():
    assert len(REFERENCE["splits"]) > 400 and len(REFERENCE["joins"]) > 100
    assert REFERENCE["cut_differently"] == []


def test_ids_and_offsets_of_nasty_texts():
    for text, ids, offsets in REFERENCE["splits"]:
        row = SMALL(text, return_offsets_mapping=True)
        assert row["input_ids"] == ids, ascii(text)
        assert [list(pair) for pair in row["offset_mapping"]] == offsets, ascii(text)
        assert row.keys() == {"input_ids", "attention_mask", "offset_mapping"}


def test_what_ids_decode_to_halves_of_characters_included():
    for ids, text, text_without_specials in REFERENCE["joins"]:
        assert SMALL.decode(ids) == text
        assert SMALL.decode(ids, skip_special_tokens=True) == text_without_specials


@settings(max_examples=300)
@given(TEXTS)
def test_every_text_comes_back(text):
    ids = SMALL.encode(text)
    assert SMALL.decode(ids) == text
    assert SMALL.encode_bytes(text.encode()) == ids
    assert SMALL.decode_bytes(ids) == text.encode()
    offsets = SMALL(text, return_offsets_mapping=True)["offset_mapping"]
    covered = {place for start, end in offsets for place in range(start, end)}
    assert covered == set(range(len(text))) and offsets == sorted(offsets)


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_every_byte_comes_back(data):
    assert SMALL.decode_bytes(SMALL.encode_bytes(data)) == data


def test_halves_of_characters_are_refused_in_texts():
    with pytest.raises(InputError, match="lone surrogate. at place 1"):
        SMALL.encode("a\ud800")
    with pytest.raises(InputError, match="lone surrogate"):
        GPT2Tokenizer.train(["a\udc80"], 300)


@settings(max_examples=200)
@given(TEXTS)
def test_words_by_the_rules_written_out(text):
    """An oracle without `re`: the pattern's alternatives tried by hand, one after another."""
    def kind(char):
        if char in "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" \
                or "\u2000" <= char <= "\u200a":
            return "white"
        return {"L": "letter", "N": "number"}.get(unicodedata.category(char)[0], "other")

    words, place = [], 0
    while place < len(text):
        short = next((s for s in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
                      if text.startswith(s, place)), None)
        start = place + (text[place] == " " and place + 1 < len(text)
                         and kind(text[place + 1]) != "white")
        end = start + 1
        while end < len(text) and kind(text[end]) == kind(text[start]):
            end += 1
        if short:
            end = place + len(short)
        elif kind(text[start]) == "white" and end < len(text) and end - place > 1:
            end -= 1  # the last blank belongs to the next word
        words.append(text[place:end])
        place = end
    assert word_pattern().findall(text) == words


def test_the_classes_are_those_of_unicode():
    letters, numbers = (re.compile(f"[{category_ranges(c)}]") for c in "LN")
    for code in range(0x110000):
        category = unicodedata.category(chr(code))[0]
        assert bool(letters.match(chr(code))) == (category == "L")
        assert bool(numbers.match(chr(code))) == (category == "N")


@given(st.lists(st.tuples(*[st.sampled_from("abcd")] * 2), max_size=9, unique=True),
       st.text("abcd", max_size=12))
def test_merging_by_the_definition(pairs, word):
    """Sennrich's loop: merge the pair learned first wherever it stands, and look again."""
    merges, known = [], set("abcd")
    for a, b in pairs:  # every third merge is one of what was merged before
        if len(merges) % 3 == 2:
            a = "".join(merges[-1])
        merges.append((a, b))
        known.add(a + b)
    merges = list(dict.fromkeys(merges))
    vocab = list(dict.fromkeys([*BYTE_TO_CHAR.values(), *sorted(known), END]))
    parts = list(word)
    while True:
        found = [m for m in merges if m in zip(parts, parts[1:])]
        if not found:
            break
        k = 0
        while k + 1 < len(parts):
            if (parts[k], parts[k + 1]) == found[0]:
                parts[k:k + 2] = ["".join(found[0])]
            k += 1
    assert GPT2Tokenizer(vocab, merges).tokenize(word) == parts


def test_a_word_of_many_letters_is_no_trap():
    assert len(SMALL.encode("qz" * 50_000)) <= 100_000


def test_training_is_the_definition_and_deterministic():
    texts = ["low low low lower lowest", "new newer newest wider", f"low{END}low"]
    tokenizer = GPT2Tokenizer.train(texts, 262, min_frequency=1)
    assert tokenizer.merges[:3] == [("l", "o"), ("lo", "w"), ("Ġ", "low")]
    assert list(tokenizer.vocab)[:3] == ["!", '"', "#"] and tokenizer.vocab_size == 262
    assert tokenizer.vocab[END] == 261 and not any("|" in "".join(m) for m in tokenizer.merges)
    assert GPT2Tokenizer.train(reversed(texts), 262, min_frequency=1).merges == tokenizer.merges
    assert GPT2Tokenizer.train(["aab ab"], 300).merges == [("a", "b")], "seen twice at least"
    with pytest.raises(InputError, match="are 257"):
        GPT2Tokenizer.train(texts, 256)


@settings(max_examples=100)
@given(st.lists(st.text("ab", min_size=1, max_size=9), min_size=1, max_size=9),
       st.integers(1, 3), st.integers(257, 280))
def test_training_is_a_recount_before_every_merge(words, min_frequency, vocab_size):
    """Two pairs may spell the same token (aa + a, a + aa): two merges, one token."""
    cut = [list(word) for word in words]
    merges, tokens = [], set(BYTE_TO_CHAR.values())
    while len(tokens) < vocab_size - 1:
        counts = Counter(pair for word in cut for pair in zip(word, word[1:]))
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < min_frequency:
            break
        merges.append(best)
        tokens.add("".join(best))
        for word in cut:
            k = 0
            while k + 1 < len(word):
                if (word[k], word[k + 1]) == best:
                    word[k:k + 2] = ["".join(best)]
                k += 1
    tokenizer = GPT2Tokenizer.train(words, vocab_size, min_frequency)
    assert tokenizer.merges == merges and tokenizer.vocab.keys() == tokens | {END}


def test_saved_and_opened(tmp_path):
    tokenizer = GPT2Tokenizer(VOCAB, MERGES, model_max_length=64, pad_token="!")
    tokenizer.save_pretrained(tmp_path / "new")
    assert (tmp_path / "new" / "merges.txt").read_text().startswith("#version: 0.2\n")
    opened = load_tokenizer(tmp_path / "new")
    assert type(opened) is GPT2Tokenizer and opened.merges == tokenizer.merges
    assert opened.vocab == VOCAB and opened.model_max_length == 64 and opened.pad_token == "!"
    assert (opened.bos_token_id, opened.eos_token_id, opened.sep_token_id) == (VOCAB[END],) * 3
    assert opened.all_special_tokens == [END, "!"]


def test_other_file_names(tmp_path):
    SMALL.save_pretrained(tmp_path)
    (tmp_path / "vocab.json").rename(tmp_path / "encoder.json")
    with pytest.raises(InputError, match="has encoder.json but not vocab.bpe"):
        load_tokenizer(tmp_path)
    (tmp_path / "merges.txt").rename(tmp_path / "vocab.bpe")
    assert load_tokenizer(tmp_path).encode("the fox") == SMALL.encode("the fox")


def tokenizer_json(**changes):
    content = {"normalizer": None,
               "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
               "model": {"type": "BPE", "vocab": VOCAB, "merges": MERGES}}
    return json.dumps(content | changes)


def test_special_tokens_that_were_added_later(tmp_path):
    """As transformers saves them: in tokenizer.json, behind the vocabulary."""
    n = len(VOCAB)
    added = [{"id": VOCAB[END], "content": END, "special": True},
             {"id": n, "content": "[PAD]", "special": True},
             {"id": n + 1, "content": "<user>", "special": True}]
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_json(added_tokens=added))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"pad_token": "[PAD]", "extra_special_tokens": ["<user>"]}))
    for folder in (tmp_path, tmp_path / "again"):
        tokenizer = load_tokenizer(folder)
        ids = tokenizer.encode("<user>the fox[PAD]")
        assert ids == [n + 1, *SMALL.encode("the fox"), n] and tokenizer.pad_token_id == n
        assert tokenizer.decode(ids, skip_special_tokens=True) == "the fox"
        tokenizer.save_pretrained(tmp_path / "again")
    added += [{"id": n + 2, "content": "<sp>", "special": True}]  # named in no config
    path.write_text(tokenizer_json(added_tokens=added))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("<sp>the fox") == [n + 2, *SMALL.encode("the fox")]
    assert tokenizer.all_special_tokens == [END, "[PAD]", "<user>", "<sp>"]
    for entry, words in (({"id": n + 1, "content": "new"}, f"'new' has id {n + 1}, and {n} is"),
                         ({"id": 3, "content": "a", "special": True}, "'a' has id 3, and"),
                         ({"id": "3", "content": "a"}, "'3' is no token's id"),
                         ({"id": 3, "content": 4}, "expected a token"), (7, "7 is no token")):
        path.write_text(tokenizer_json(added_tokens=[*added[:1], entry]))
        with pytest.raises(InputError, match=f"tokenizer.json: field added_tokens.*{words}"):
            load_tokenizer(tmp_path)


@pytest.mark.parametrize("merges", [MERGES, REFERENCE["merges"]])
def test_tokenizer_json_of_both_ages(tmp_path, merges):
    model = {"type": "BPE", "vocab": VOCAB, "merges": merges}
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(model=model))
    assert load_tokenizer(tmp_path).encode("the fox's") == SMALL.encode("the fox's")


def test_batches_and_padding():
    rows = SMALL(["the fox", "a"], padding=False)
    assert rows["input_ids"] == [SMALL.encode("the fox"), SMALL.encode("a")]
    with pytest.raises(InputError, match="no padding token.*pad_token"):
        SMALL(["the fox", "a"], padding=True)
    tokenizer = GPT2Tokenizer(VOCAB, MERGES, pad_token=END)
    rows = tokenizer(["the fox", "a"], padding=True, truncation=True, max_length=3)
    assert rows["input_ids"][1] == [VOCAB["a"]] + [VOCAB[END]] * 2
    assert rows["attention_mask"][1] == [1, 0, 0] and len(rows["input_ids"][0]) == 3
    with pytest.raises(TypeError, match="unexpected arguments"):
        GPT2Tokenizer(VOCAB, MERGES, pad="x")


def test_a_folder_without_a_tokenizer(tmp_path):
    with pytest.raises(InputError, match="gpt2: there is no such folder; nothing is downloaded"):
        GPT2Tokenizer.from_pretrained(tmp_path / "gpt2")
    with pytest.raises(InputError, match="vocab.json and merges.txt, encoder.json and vocab.bpe"):
        GPT2Tokenizer.from_pretrained(tmp_path)
    BertTokenizer.from_words(["a"]).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="'BertTokenizer' is not supported for BPE"):
        GPT2Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("name, content, words", [
    ("merges.txt", "#version: 0.2\na b c\n", "merges.txt: line 2: expected two tokens"),
    ("merges.txt", "a\n", "line 1: expected two tokens"),
    ("merges.txt", "q zzzz\n", "vocab.json: merges: 'q' 'zzzz': both parts"),
    ("merges.txt", b"\xff", "merges.txt: not a UTF-8"),
    ("vocab.json", "[]", "expected a JSON object"),
    ("vocab.json", json.dumps({"a": 0}), "both parts and what they become"),
    ("vocab.json", json.dumps({"!": 0, END: "1"}), "'<.endoftext.>' has the id '1'; expected"),
    ("vocab.json", json.dumps({"!": 0, END: -2}), "'<.endoftext.>' has the id -2; expected"),
    ("vocab.json", json.dumps({"!": 0, END: 2**24}), "has the id 16777216; expected"),
    ("vocab.json", json.dumps({"!": 0, END: 0}), "'!' and '<.endoftext.>' have the same id 0"),
    ("vocab.json", json.dumps({"!": 0, "?": 2}), "'<.endoftext.>' is not in the vocabulary, whose"),
    ("vocab.json", json.dumps(VOCAB | {"\ud800": len(VOCAB)}), "half a character"),
    ("tokenizer_config.json", '{"add_prefix_space": true}', "add_prefix_space is True"),
    ("tokenizer_config.json", '{"eos_token": 5}', "eos_token is 5; expected a token"),
    ("tokenizer_config.json", '{"extra_special_tokens": "x"}', "expected a list of tokens"),
    ("tokenizer_config.json", '{"eos_token": ""}', "eos_token is ''; expected a token"),
    ("tokenizer_config.json", '{"model_max_length": true}', "model_max_length = True"),
])
def test_damaged_folders_are_named(tmp_path, name, content, words):
    SMALL.save_pretrained(tmp_path)
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words) as error:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("changes, words", [
    ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "only GPT-2's"),
    ({"pre_tokenizer": {"type": "Metaspace", "add_prefix_space": False}}, "only GPT-2's"),
    ({"normalizer": {"type": "NFC"}}, "only GPT-2's"),
    ({"model": {"type": "BPE", "vocab": VOCAB}}, "field model: expected BPE"),
    ({"model": {"type": "BPE", "vocab": VOCAB, "merges": [1]}}, "model.merges: 1 is no pair"),
    ({"model": {"type": "BPE", "vocab": VOCAB, "merges": ["a b c"]}}, "merges: 'a' 'b' 'c'"),
])
def test_a_tokenizer_json_that_is_not_gpt2s(tmp_path, changes, words):
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(**changes))
    with pytest.raises(InputError, match=words) as error:
        load_tokenizer(tmp_path)
    assert str(tmp_path / "tokenizer.json") in str(error.value)


def test_the_end_of_a_text_is_no_word_to_learn():
    """Texts joined by <|endoftext|> teach the same vocabulary as the texts one by one."""
    joined = GPT2Tokenizer.train([END.join(["low lower"] * 5)], 280)
    apart = GPT2Tokenizer.train(["low lower"] * 5, 280)
    assert joined.vocab == apart.vocab
