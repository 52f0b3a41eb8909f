"""Files are there whole or not at all, and what cannot be read is named."""

import os

import pytest

from minibert.atomic_files import read_json, replacing, write_json, write_text
from minibert.errors import InputError


def test_a_file_takes_the_place_of_another_when_all_is_written(tmp_path):
    path = tmp_path / "poem.txt"
    write_text(path, "old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["poem.txt"]


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_it_has_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_text(tmp_path / "ours", "")
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "ours")]
    assert modes[0] == modes[1]


def test_a_failure_leaves_everything_as_it_was(tmp_path):
    write_text(tmp_path / "poem.txt", "old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "poem.txt") as file:
        file.write(b"half")
        1 / 0
    assert (tmp_path / "poem.txt").read_text() == "old" and os.listdir(tmp_path) == ["poem.txt"]


@pytest.mark.parametrize("failing", ["fsync", "replace", "chmod"])
def test_an_error_of_the_disk_names_the_file_and_not_the_one_beside(tmp_path, monkeypatch, failing):
    def full(*arguments):
        raise OSError(28, "No space left on device", *arguments[:1])

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError) as error:
        write_text(tmp_path / "poem.txt", "new")
    monkeypatch.undo()
    assert failing == "fsync" or error.value.filename == str(tmp_path / "poem.txt")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_is_named_by_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        write_text(tmp_path / "no" / "poem.txt", "new")
    assert error.value.filename == str(tmp_path / "no" / "poem.txt")


def test_json_comes_back_and_can_be_read_by_people(tmp_path):
    value = {"b": "苏轼", "a": [1, 2.5, None, True]}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "苏轼" in text and text.index('"b"') < text.index('"a"') and text.endswith("}\n")
    write_json(tmp_path / "x.json", value, sort_keys=True, ensure_ascii=True)
    assert read_json(tmp_path / "x.json") == value
    text = (tmp_path / "x.json").read_text(encoding="ascii")
    assert text.index('"b"') > text.index('"a"')
    value = {"text": "caf\udce9.txt", "b": "苏轼"}  # a file whose name is not UTF-8
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("content, words", [
    (None, "no such file"), (b"", "no JSON"), (b"{", "no JSON"), (b"\xff\xff", "no JSON"),
    (b"[" * 100_000, "no JSON"), (b"[1]", "got list"), (b"3", "got int")])
def test_what_is_no_json_object_is_named(tmp_path, content, words):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"x.json: .*{words}"):
        read_json(path)
