"""The run folder: whole checkpoints at every moment, a log that can be cut, schemas that are
checked."""

import json
import os

import pytest

from minibert.atomic_files import write_json
from minibert.errors import InputError
from minibert.training.run_folder import Run, new_runs
from minibert.training.run_records import LOG_SCHEMA, STATE_SCHEMA, SUMMARY_SCHEMA

STATE = {"schema": STATE_SCHEMA, "step": 1, "settings": {"steps": 9}, "about": {}, "best": None,
         "held_out": {}, "log_bytes": 0, "seconds": 0.5, "step_seconds": 0, "tokens": 7}
SUMMARY = {"settings": {}, "about": {}, "parameters": 5, "steps": 3, "held_out": {}, "best": None,
           "baselines": {}, "oracle": None, "seconds": 1.5, "tokens_per_second": 9}


def writer(number):
    def write(folder):
        (folder / "weights").write_text(str(number))
        write_json(folder / "state.json", STATE | {"step": number})
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
            target = f"minibert.training.run_folder.{module}.{name}"
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
    run.log({"kind": "step", "step": 1, "loss": 0.5, "text": "größer"})
    assert [record["kind"] for record in run.records()] == ["start", "step"]
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"kind": "st')  # a kill in the middle of a line
    assert [record["kind"] for record in run.records()] == ["start", "step"]
    run.cut_log(length)
    assert run.records() == [{"kind": "start", "schema": LOG_SCHEMA}]
    with pytest.raises(InputError, match="fewer than"):
        run.cut_log(length + 1)


@pytest.mark.parametrize("text, words", [
    ("{", "no JSON"), ("[]", "got list"), ('{"schema": "other.1"}', "schema 'other.1'")])
def test_foreign_and_damaged_files_are_named(tmp_path, text, words):
    run = Run.create(tmp_path / "run")
    run.save("latest", writer(1))
    (run.path / "latest" / "state.json").write_text(text)
    with pytest.raises(InputError, match=words):
        run.state()
    (run.path / "summary.json").write_text(text)
    with pytest.raises(InputError, match="summary.json"):
        run.summary()


@pytest.mark.parametrize("name", [name for name in STATE if name != "schema"])
@pytest.mark.parametrize("value", [..., "seven", [1]])
def test_a_state_without_what_a_resume_needs_is_refused(tmp_path, name, value):
    run = Run.create(tmp_path / "run")
    run.save("latest", writer(1))
    changed = {key: kept for key, kept in STATE.items() if key != name}
    if value is not ...:
        changed[name] = value
    write_json(run.path / "latest" / "state.json", changed)
    with pytest.raises(InputError, match=f"state.json: .*{name}.*damaged"):
        run.state()


@pytest.mark.parametrize("changes, words", [
    ({"settings": {}}, "no steps"), ({"settings": {"steps": None}}, "steps = None")])
def test_the_settings_in_a_state_are_looked_into(tmp_path, changes, words):
    run = Run.create(tmp_path / "run")
    run.save("latest", writer(1))
    write_json(run.path / "latest" / "state.json", STATE | changes)
    with pytest.raises(InputError, match=words):
        run.state()


@pytest.mark.parametrize("name", SUMMARY)
def test_a_summary_without_what_is_shown_of_it_is_refused(tmp_path, name):
    run = Run.create(tmp_path / "run")
    run.write_summary({key: value for key, value in SUMMARY.items() if key != name})
    with pytest.raises(InputError, match=f"no {name}"):
        run.summary()
    run.write_summary(SUMMARY | {name: "x"})
    with pytest.raises(InputError, match=f"{name} = 'x'"):
        run.summary()


@pytest.mark.parametrize("content, words", [
    (b'{"kind": "start", "schema": "else"}', "schema 'else'"), (b"no json", "line 1"),
    (b"[1]", "line 1"), (b"3", "line 1"), (b"\xff\xfe\x00", "line 1"), (b'{"step": 1}', "line 1"),
    (b'{"kind": "step", "step": 1}', "no loss"),
    (b'{"kind": "eval", "step": "x", "loss": 1}', "step = .x.")])
def test_a_foreign_or_damaged_log_is_refused(tmp_path, content, words):
    run = Run.create(tmp_path / "run")
    (run.path / "log.jsonl").write_bytes(content + b"\n")
    with pytest.raises(InputError, match=words):
        run.records()


def test_new_runs_leave_nothing_behind_if_they_cannot_begin(tmp_path):
    places = [tmp_path / "deep" / "both" / name for name in ("bert", "gpt")]
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OSError, match="full"):
        with new_runs(places) as runs:
            assert [run.path for run in runs] == places and all(p.is_dir() for p in places)
            (places[1] / "half").write_text("half")
            raise OSError("full")
    assert os.listdir(tmp_path) == ["mine.txt"]
    with pytest.raises(OSError, match="full"), new_runs(places):
        (tmp_path / "deep" / "another's").write_text("begun meanwhile")
        raise OSError("full")
    assert os.listdir(tmp_path / "deep") == ["another's"]
    with new_runs(places):
        pass
    (places[1] / "weights").write_text("years of work")
    with pytest.raises(InputError, match="exists already"), new_runs(places[::-1]):
        pass
    assert (places[1] / "weights").read_text() == "years of work" and places[0].is_dir()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full device")
def test_a_full_disk_is_named_by_the_log(tmp_path):
    run = Run.create(tmp_path / "run")
    (run.path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError) as error:
        run.log({"kind": "step", "step": 1})
    assert error.value.filename == str(run.path / "log.jsonl")


def test_the_summary_is_written_whole(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "run")
    assert run.summary() is None
    run.write_summary(SUMMARY)
    assert run.summary() == SUMMARY | {"schema": SUMMARY_SCHEMA}
    with monkeypatch.context() as patch:
        patch.setattr("minibert.training.run_folder.os.replace",
                      lambda *names: (_ for _ in ()).throw(OSError(28)))
        with pytest.raises(OSError):
            run.write_summary(SUMMARY | {"steps": 4})
    assert json.loads((run.path / "summary.json").read_text())["steps"] == 3
    assert os.listdir(run.path) == ["summary.json"]


def test_a_file_of_the_user_is_no_leftover_of_a_killed_beginning(tmp_path):
    """Only what an atomic write leaves behind, .NAME.xyz.tmp, may be swept away."""
    (tmp_path / ".beginning").touch()
    (tmp_path / ".log.jsonl.abc.tmp").touch()
    Run(tmp_path).check_free()
    for name in ("notes.tmp", ".notes"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match="exists already"):
            Run(tmp_path).check_free()
        (tmp_path / name).unlink()
