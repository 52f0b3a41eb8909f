"""The run folder: whole checkpoints at every moment, a log that can be cut, schemas that are
checked."""

import json
import os

import pytest

from minibert.errors import InputError
from minibert.training.runs import LOG_SCHEMA, STATE_SCHEMA, Run, write_json


def writer(number):
    def write(folder):
        (folder / "weights").write_text(str(number))
        write_json(folder / "state.json", {"schema": STATE_SCHEMA, "step": number})
    return write


def contents(run):
    folder = run.checkpoint("latest")
    return int((folder / "weights").read_text()), run.state()["step"]


def test_saving_replaces_the_whole_folder(tmp_path):
    run = Run.create(tmp_path / "run")
    assert run.checkpoint("latest") is None
    for number in (1, 2, 3):
        run.save("latest", writer(number))
        assert contents(run) == (number, number)
    assert sorted(os.listdir(run.path)) == ["latest"]


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path):
    run = Run.create(tmp_path / "run")
    run.save("latest", writer(1))

    def disk_full(folder):
        (folder / "weights").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        run.save("latest", disk_full)
    assert contents(run) == (1, 1)
    assert sorted(os.listdir(run.path)) == ["latest"]


@pytest.mark.parametrize("dies_at", range(1, 9))
def test_a_process_that_dies_at_any_call_leaves_a_whole_checkpoint(tmp_path, monkeypatch, dies_at):
    """Every rename and every removal in turn is the last thing that the process does."""
    class Killed(BaseException):
        pass

    run = Run.create(tmp_path / "run")
    run.save("latest", writer(1))
    calls = {"left": dies_at}

    def counted(function):
        def call(*args, **kwargs):
            calls["left"] -= 1
            if calls["left"] <= 0:
                raise Killed
            return function(*args, **kwargs)
        return call

    with monkeypatch.context() as patch:
        for module, name in (("os", "rename"), ("os", "replace"), ("shutil", "rmtree"),
                             ("os", "fsync")):
            target = f"minibert.training.runs.{module}.{name}"
            patch.setattr(target, counted(getattr(__import__(module), name)))
        try:
            run.save("latest", writer(2))
        except Killed:
            pass
    assert contents(run) in ((1, 1), (2, 2))
    run.save("latest", writer(3))
    assert contents(run) == (3, 3) and sorted(os.listdir(run.path)) == ["latest"]


def test_an_existing_folder_is_not_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        Run.create(tmp_path)
    with pytest.raises(InputError, match="exists already"):
        Run.create(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert Run.create(tmp_path / "deep" / "new").path.is_dir()


def test_the_log_is_cut_at_a_checkpoint_and_refuses_to_be_shorter(tmp_path):
    run = Run.create(tmp_path / "run")
    run.log({"kind": "start", "schema": LOG_SCHEMA})
    length = run.log_bytes()
    run.log({"kind": "step", "step": 1, "text": "größer"})
    assert [record["kind"] for record in run.records()] == ["start", "step"]
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"kind": "st')  # a kill in the middle of a line
    assert [record["kind"] for record in run.records()] == ["start", "step"]
    run.cut_log(length)
    assert run.records() == [{"kind": "start", "schema": LOG_SCHEMA}]
    with pytest.raises(InputError, match="fewer than"):
        run.cut_log(length + 1)


@pytest.mark.parametrize("text, words", [
    ("{", "not JSON"), ("[]", "schema 'list'"), ('{"schema": "other.1"}', "schema 'other.1'")])
def test_foreign_and_damaged_files_are_named(tmp_path, text, words):
    run = Run.create(tmp_path / "run")
    run.save("latest", writer(1))
    (run.path / "latest" / "state.json").write_text(text)
    with pytest.raises(InputError, match=words):
        run.state()
    (run.path / "summary.json").write_text(text)
    with pytest.raises(InputError, match="summary.json"):
        run.summary()


def test_a_foreign_log_is_refused(tmp_path):
    run = Run.create(tmp_path / "run")
    (run.path / "log.jsonl").write_text('{"kind": "start", "schema": "else"}\n')
    with pytest.raises(InputError, match="schema 'else'"):
        run.records()
    (run.path / "log.jsonl").write_text("no json\n")
    with pytest.raises(InputError, match="line 1"):
        run.records()


def test_the_summary_is_written_whole(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "run")
    assert run.summary() is None
    run.write_summary({"steps": 3})
    assert run.summary()["steps"] == 3
    with monkeypatch.context() as patch:
        patch.setattr("minibert.training.runs.os.replace",
                      lambda *names: (_ for _ in ()).throw(OSError(28)))
        with pytest.raises(OSError):
            run.write_summary({"steps": 4})
    assert json.loads((run.path / "summary.json").read_text())["steps"] == 3
    assert os.listdir(run.path) == ["summary.json"]
