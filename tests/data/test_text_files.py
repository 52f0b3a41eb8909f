"""Text files: encodings, line ends, the files in a folder."""

import gzip
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.data.text_files import find_files, read_text, split_lines
from minibert.errors import InputError

LINE = st.text("ab \u2028\x85\x0b\x0c\x1c", max_size=5)
ENGLISH = "Some words, and some more of them.\n" * 3
CHINESE, RUSSIAN, FRENCH = "苏轼是北宋文学家，\n眉州眉山人。", "Он пишет письмо.\n", "déjà vu, garçon\n"


@given(lines=st.lists(st.tuples(LINE, st.sampled_from(["\n", "\r\n", "\r\r\n"])), max_size=6),
       last=LINE)
def test_lines_end_in_any_line_end_and_in_nothing_else(lines, last):
    text = "".join(line + end for line, end in lines) + last
    assert split_lines(text) == [line for line, _ in lines] + [last]


def test_old_macs_line_ends_and_all_kinds_in_one_file():
    assert split_lines("a\r\rb\r") == ["a", "", "b", ""], "two of them are a blank line"
    assert split_lines("a\rb\nc\r\nd\r\r\ne\n\rf") == ["a", "b", "c", "d", "e", "", "f"]


def refusal(path) -> str:
    with pytest.raises(InputError) as caught:
        read_text(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content, words", [
    (ENGLISH.encode("utf-16"), "looks like text in UTF-16: save it as plain text in UTF-8"),
    (b"\xfe\xff" + ENGLISH.encode("utf-16-be"), "text in UTF-16"),
    (ENGLISH.encode("utf-16-le"), "text in UTF-16"), (ENGLISH.encode("utf-16-be"), "in UTF-16"),
    (CHINESE.encode("utf-16-le"), "text in UTF-16"), (CHINESE.encode("utf-16-be"), "in UTF-16"),
    (CHINESE.encode("utf-16"), "text in UTF-16"), (ENGLISH.encode("utf-32"), "text in UTF-32"),
    (b"\xff\xfea\x00\r", "text in UTF-16"),
    (b"\0\0\xfe\xff" + CHINESE.encode("utf-32-be"), "text in UTF-32"),
    (CHINESE.encode("utf-32-le"), "text in UTF-32"), (ENGLISH.encode("utf-32-be"), "in UTF-32"),
    (b"text\0text", "a binary file (it has zero bytes)"),
    (ENGLISH.encode() + b"\0", "a binary file"), (bytes(range(256)), "a binary file"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\6", "a binary file"),
    ("one word is 苏轼, and the others are not.".encode("gb18030"), "this looks like GB18030"),
    (FRENCH.encode("latin-1"), "byte 1 (0xe9) is not UTF-8: this looks like Windows-1252 or ISO-"),
    ("naïve “quotes”".encode("cp1252"), "Windows-1252"),
    (CHINESE.encode("gb18030"), "this looks like GB18030"), ("台灣是一個島。\n".encode("big5"), "BIG5"),
    ("これは日本語です。\n".encode("shift_jis"), "SHIFT-JIS"),
    (RUSSIAN.encode("cp1251"), "one byte a letter, such as Windows-1251 or KOI8-R"),
    (RUSSIAN.encode("koi8-r"), "KOI8-R"), (CHINESE.encode() + b"\x80", "damaged UTF-8"),
    (CHINESE.encode()[:-1], "damaged UTF-8"),
    (gzip.compress(b"text"), "compressed with gzip"), (b"PK\x03\x04rest", "a zip archive"),
    (b"%PDF-1.5\n\xe2\xe3", "a PDF"), (b"PAR1\x15\x04", "a Parquet file"),
    (b"", "the file is empty"), (b" \r\n\t", "the file is empty"), (b"\xef\xbb\xbf", "is empty"),
])
def test_files_that_are_no_text_are_named_as_what_they_are(tmp_path, content, words):
    (tmp_path / "a.txt").write_bytes(content)
    assert words in refusal(tmp_path / "a.txt")


def test_what_is_no_regular_file(tmp_path):
    assert "there is no such file" in refusal(tmp_path / "no.txt")
    assert "this is a folder: expected a file" in refusal(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "a.txt")
        assert "this is a pipe or device" in refusal(tmp_path / "a.txt")


def test_a_byte_order_mark_is_not_text_and_line_ends_stay(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r")
    assert read_text(tmp_path / "a.txt") == "a\r\nb\r"


def test_endings_in_upper_case_count(tmp_path):
    for name in ("a.txt", "B.TXT", "c.Md", "d.py"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in find_files([tmp_path])] == ["B.TXT", "a.txt", "c.Md"]


def test_the_vocabulary_of_a_run_below_the_texts_is_no_text(tmp_path):
    for name in ("a.txt", "runs/bert/latest/vocab.txt", "runs/bert/latest/config.json", "b/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert find_files([tmp_path]) == [tmp_path / "a.txt", tmp_path / "b" / "c.txt"]


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("x")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="sub: this folder cannot be read .Permission denied"):
        find_files([tmp_path])
