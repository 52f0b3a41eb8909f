"""What several commands check: files to be written, paths that a run has stored."""

import argparse
import os

import pytest

from minibert.cli.arguments import check_new_file, given, path
from minibert.cli.resume import located
from minibert.errors import InputError


def test_only_what_was_given():
    assert given({"a": None, "b": 0, "c": [1, 2], "d": False}) == {"b": 0, "c": (1, 2), "d": False}


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_a_name_is_some_text(text):
    with pytest.raises(argparse.ArgumentTypeError):
        path(text)


def test_a_file_that_could_not_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "there").write_text("years of work")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, words in (("there", "exists already"), ("dangling", "exists already"),
                        (".", "exists already"), ("no/file", "no such folder"),
                        ("there/file", "no such folder"), ("x" * 240, "too long"),
                        ("é" * 120, "too long")):
        with pytest.raises(InputError, match=words):
            check_new_file("--out", str(tmp_path / name))
    check_new_file("--out", str(tmp_path / ("x" * 200)))
    monkeypatch.chdir(tmp_path)
    check_new_file("--out", "new")
    monkeypatch.setattr(os, "access", lambda folder, mode: False)  # root may write everywhere
    with pytest.raises(InputError, match="no file can be written"):
        check_new_file("--out", "new")


def test_relative_paths_count_from_where_the_run_was_begun(tmp_path, monkeypatch):
    begun, here = tmp_path / "begun", tmp_path / "here"
    for folder in (begun, here):
        folder.mkdir()
        (folder / "text").write_text("")
    (here / "own").write_text("")
    monkeypatch.chdir(here)
    assert located("text", str(begun)) == str(begun / "text")
    assert located("own", str(begun)) == "own", "not there: the present folder"
    assert located("text", None) == located("text", str(here)) == "text"
    assert located(str(here / "text"), str(begun)) == str(here / "text")
