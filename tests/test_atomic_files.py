"""Files are there whole or not at all, and what cannot be read is named."""

import os

import pytest

from minibert import file_locks
from minibert.atomic_files import (read_bytes, read_json, remove_side_files, replacing, write_json,
                                   write_text)
from minibert.errors import InputError
from minibert.file_locks import try_lock


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


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(OSError) as error, replacing(tmp_path / "poem.txt"):
        open(tmp_path / "other.txt").read()
    assert error.value.filename == str(tmp_path / "other.txt")


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
    write_json(tmp_path / "x.json", {"face": "😀"})  # beyond the half characters
    assert "😀" in (tmp_path / "x.json").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("content, words", [
    ('{"a": ' + "[" * 120 + "]" * 120 + "}", "more than 100 levels"),
    ('{"a": ' * 120 + "0" + "}" * 120, "more than 100 levels"),
    ('{"a": ' + "9" * 5000 + "}", "no JSON: .*digits"), ('{"a": NaN', "no JSON")])
def test_what_is_too_deep_or_too_long_is_one_line(tmp_path, content, words):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=f"x.json: .*{words}") as error:
        read_json(tmp_path / "x.json")
    assert len(str(error.value)) < 400 and "\n" not in str(error.value)


def test_a_hundred_levels_pass(tmp_path):
    (tmp_path / "x.json").write_text('{"a": ' * 99 + "0" + "}" * 99)
    assert list(read_json(tmp_path / "x.json")) == ["a"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in the file system")
def test_a_pipe_a_device_and_a_folder_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for path, kind in ((tmp_path / "pipe.json", "pipe or device"), (tmp_path, "folder"),
                       ("/dev/zero", "pipe or device")):
        with pytest.raises(InputError, match=f"this is a {kind}: expected a file"):
            read_json(path)
    os.symlink(tmp_path / "pipe.json", tmp_path / "link.json")
    with pytest.raises(InputError, match="link.json: this is a pipe"):
        read_bytes(tmp_path / "link.json")
    (tmp_path / "file").write_bytes(b"whole")
    os.symlink(tmp_path / "file", tmp_path / "good")
    assert read_bytes(tmp_path / "good") == b"whole"
    with pytest.raises(InputError, match="no such file"):
        read_bytes(tmp_path / "file" / "below")


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "x").write_text("{}")

    def damaged(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.read_bytes", damaged)
    with pytest.raises(OSError) as error:
        read_bytes(tmp_path / "x")
    assert error.value.filename == str(tmp_path / "x")


# ---- side files of writers that were killed ------------------------------------------------------

has_locks = pytest.mark.skipif(os.name != "posix", reason="needs locks of open files")


@has_locks
def test_the_next_write_removes_what_a_killed_writer_left(tmp_path):
    for name in (".x.json.abc.tmp", ".y.json.abc.tmp", "x.json.abc.tmp", ".x.json.abc"):
        (tmp_path / name).write_text("left")
    (tmp_path / ".x.json.folder.tmp").mkdir()
    write_text(tmp_path / "x.json", "new")
    assert sorted(os.listdir(tmp_path)) == [".x.json.abc", ".x.json.folder.tmp", ".y.json.abc.tmp",
                                            "x.json", "x.json.abc.tmp"]
    remove_side_files(tmp_path)
    assert ".y.json.abc.tmp" not in os.listdir(tmp_path) and len(os.listdir(tmp_path)) == 4
    remove_side_files(tmp_path / "no such folder")


@has_locks
def test_a_living_writer_keeps_its_side_file(tmp_path):
    with replacing(tmp_path / "x") as file:
        file.write(b"first")
        write_text(tmp_path / "x", "second")
        remove_side_files(tmp_path)
        assert (tmp_path / "x").read_text() == "second"
    assert (tmp_path / "x").read_text() == "first" and os.listdir(tmp_path) == ["x"]


@has_locks
def test_a_lock_is_held_until_the_file_is_closed(tmp_path):
    with open(tmp_path / "x", "wb") as first, open(tmp_path / "x", "rb") as second:
        assert try_lock(first) is True and try_lock(second) is False
        first.close()
        assert try_lock(second) is True


class Msvcrt:
    """Windows' module: what it locks, and that a second lock is refused."""

    LK_NBLCK = 2

    def __init__(self):
        self.locked = []

    def locking(self, descriptor, mode, count):
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        if self.locked:
            raise PermissionError(13, "Permission denied")
        self.locked.append((place, mode, count))


def test_windows_locks_a_byte_behind_the_content(tmp_path, monkeypatch):
    """Where the next write goes stays the same."""
    system = Msvcrt()
    monkeypatch.setattr(file_locks, "fcntl", None)
    monkeypatch.setattr(file_locks, "msvcrt", system)
    write_text(tmp_path / "x", "content")
    assert (tmp_path / "x").read_text() == "content" and system.locked == [(1 << 30, 2, 1)]
    with open(tmp_path / "x", "rb") as file:
        assert try_lock(file) is False


def test_without_locks_of_the_system_nothing_is_locked(tmp_path, monkeypatch):
    with open(tmp_path / "x", "wb") as file:
        monkeypatch.setattr(file_locks, "fcntl", None)
        monkeypatch.setattr(file_locks, "msvcrt", None)
        assert try_lock(file) is None
