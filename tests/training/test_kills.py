"""Kills at every file event: a checkpoint is always whole, a run can be begun or resumed, one
training holds it, and nothing is left behind. kills.py makes many more of them."""

import os
import signal
import threading

import pytest
from tests.training.kills import (DONE, KILLED, REFUSED, Process, go_on, kill_at, names,
                                  run_killed_to_its_end, summary, trainer)

from minibert.atomic_files import write_json
from minibert.errors import InputError
from minibert.file_locks import try_lock
from minibert.training.run_folder import Run, new_runs
from minibert.training.run_records import STATE_SCHEMA

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
              pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]

STATE = {"schema": STATE_SCHEMA, "step": 1, "settings": {"steps": 9}, "about": {}, "best": None,
         "held_out": {}, "log_bytes": 0, "seconds": 0.5, "step_seconds": 0, "tokens": 7}


@pytest.fixture
def root(tmp_path):
    return tmp_path.resolve()


def save(path, number):
    def write(folder):
        (folder / "weights").write_text(str(number))
        write_json(folder / "state.json", STATE | {"step": number})

    Run(path).save("latest", write)


def saved(path) -> int:
    """The number of the checkpoint, which is whole."""
    folder = Run(path).checkpoint("latest")
    number = Run(path).state()["step"]
    assert int((folder / "weights").read_text()) == number
    return number


def events_of(work, root) -> int:
    """How many file events `work` has."""
    process, count = Process(work, root), 0
    while process.status is None:
        process.go_on()
        count += 1
    assert process.status == DONE
    return count


@pytest.mark.slow
def test_two_kills_anywhere_leave_the_last_whole_checkpoint(root):
    """The second one meets what the first one left: the only whole checkpoint may be the one that
    was set aside."""
    Run.create(root / "count")
    save(root / "count", 1)
    count = events_of(lambda: save(root / "count", 2), root)
    assert count > 8
    for first in range(count):
        for second in range(first % 4, count + 2, 4):  # what is left has more events
            path = root / f"{first}-{second}"
            Run.create(path)
            save(path, 1)
            assert kill_at(lambda: save(path, 2), root, first) == KILLED
            assert saved(path) in (1, 2)
            before = saved(path)
            kill_at(lambda: save(path, 3), root, second)
            assert saved(path) in (before, 3)
            save(path, 4)
            assert saved(path) == 4 and os.listdir(path) == ["latest"]


def test_holding_a_run_puts_right_what_a_kill_left(root):
    path = root / "run"
    Run.create(path)
    save(path, 1)
    count = events_of(lambda: save(path, 1), root)
    for event in range(count):
        kill_at(lambda: save(path, 2), root, event)
        number = saved(path)
        Run(path).hold()
        assert sorted(os.listdir(path)) == [".lock", "latest"] and saved(path) == number
        Run(path).release()
        assert os.listdir(path) == ["latest"]


def begin(paths):
    with new_runs(paths) as runs:
        for run in runs:
            run.write_baseline("a guess")
            save(run.path, 0)


@pytest.mark.slow
def test_a_beginning_killed_anywhere_can_be_begun_anew_or_resumed(root):
    count = events_of(lambda: begin([root / "count" / name for name in ("bert", "gpt")]), root)
    expected = [name for name in names(root / "count" / "bert") if name != ".lock"]
    anew = resumed = 0
    for event in range(count):
        out = root / str(event)
        paths = [out / name for name in ("bert", "gpt")]
        assert kill_at(lambda: begin(paths), root, event) == KILLED
        try:
            Run(out).check_free(("bert", "gpt"))
        except InputError as error:
            assert "--resume" in str(error)
            resumed += 1
        else:
            begin(paths)
            anew += 1
        for path in paths:
            Run(path).hold()
            Run(path).release()
            assert names(path) == expected and saved(path) == 0
    assert anew > 10 and resumed >= 1


def test_a_killed_beginning_gives_way_only_while_nothing_else_is_there(root):
    path = root / "run"
    path.mkdir()
    (path / ".beginning").touch()
    (path / "latest").mkdir()
    Run(path).check_free()
    (path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        Run(path).begin()
    assert names(path) == [".beginning", "latest", "notes.txt"]
    with pytest.raises(InputError, match="exists already"):
        Run(root).check_free(("run",))
    (path / "notes.txt").unlink()
    Run(root).check_free(("run",))
    with pytest.raises(InputError, match="exists already"):
        Run(root).check_free(("bert",))
    (path / ".beginning").unlink()
    with pytest.raises(InputError, match="exists already"):
        Run(root).check_free(("run",))


def test_a_kill_during_the_summary_leaves_no_side_file(root):
    go_on(root / "run")
    expected = names(root / "run")
    figures = summary(trainer(Run(root / "run")))
    count = events_of(lambda: Run(root / "run").write_summary(figures), root)
    for event in range(count):
        assert kill_at(lambda: Run(root / "run").write_summary(figures), root, event) == KILLED
        Run(root / "run").hold()
        Run(root / "run").release()
        assert names(root / "run") == expected


def test_two_resumes_killed_again_and_again_are_one_run(root, straight):
    ends = run_killed_to_its_end(1, root, straight, danger=0.02)
    assert ends[KILLED] > 3 and ends[REFUSED] > 3


# ---- the lock ------------------------------------------------------------------------------------


def test_a_second_process_is_refused_by_name_and_a_killed_one_does_not_block(root):
    path = root / "run"
    first = trainer(Run.create(path))
    first.run(until=2)
    process = Process(lambda: Run(path).hold(), root)
    while not (path / ".lock").exists() or not (path / ".lock").read_text():
        process.go_on()
    for refused in (first.run, trainer(Run(path)).resume, lambda: Run(path).begin()):
        with pytest.raises(InputError, match=f"process {process.pid} on .* is training|exists al"):
            refused()
    with pytest.raises(InputError, match=f"process {process.pid} on .* is training"):
        trainer(Run(path)).resume()
    process.kill()
    assert (path / ".lock").exists()
    second = trainer(Run(path))
    second.resume()
    assert second.run() and not (path / ".lock").exists()


def test_a_run_is_held_from_its_beginning_to_the_end_of_run(root):
    path = root / "run"

    def other():
        trainer(Run(path)).resume()

    with new_runs([path]) as [run]:
        trainer(run).save()
        assert events_free(other, root) == REFUSED
    assert events_free(other, root) == REFUSED
    training = trainer(run)
    training.resume()
    training.step_now, training.step = training.step, lambda: stepped(training, other, root)
    training.run(until=1)
    assert not (path / ".lock").exists() and events_free(other, root) == DONE


def stepped(training, other, root):
    assert events_free(other, root) == REFUSED
    return training.step_now()


def events_free(work, root) -> int:
    """How `work` ends in a process of its own."""
    process = Process(work, root)
    while process.status is None:
        process.go_on()
    return process.status


def test_two_beginnings_in_one_folder(root):
    path = root / "run"
    process = Process(lambda: begin([path]), root)
    while not (path / ".lock").exists() or not (path / ".lock").read_text():
        process.go_on()
    with pytest.raises(InputError, match="is training in this run"):
        begin([path])
    assert (path / ".lock").exists(), "the other one's folder is not removed"
    while process.status is None:
        process.go_on()
    assert process.status == DONE and Run(path).checkpoint("latest")


def test_a_lock_file_that_was_removed_meanwhile_is_made_anew(root, monkeypatch):
    """The holder before removes its file after we have opened it, before we lock it."""
    Run.create(root / "run")

    def late(file):
        if not removed:
            removed.append(os.unlink(root / "run" / ".lock"))
        return try_lock(file)

    removed = []
    monkeypatch.setattr("minibert.file_locks.try_lock", late)
    Run(root / "run").hold()
    assert events_free(lambda: Run(root / "run").hold(), root) == REFUSED
    Run(root / "run").release()


@pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
def test_a_lock_that_is_no_file_is_named(root, make):
    Run.create(root / "run")
    getattr(os, make)(root / "run" / ".lock")
    with pytest.raises(InputError, match="run/.lock: this is a folder or a pipe"):
        Run(root / "run").hold()


def test_a_folder_that_is_filled_before_it_is_locked(root, monkeypatch):
    monkeypatch.setattr("minibert.training.run_folder.lock_folder",
                        lambda folder: (folder / "baseline.json").write_text("another's"))
    with pytest.raises(InputError, match="exists already"):
        Run(root / "run").begin()
    assert (root / "run" / "baseline.json").read_text() == "another's"


def test_a_file_system_without_locks_takes_none(root, monkeypatch):
    monkeypatch.setattr("minibert.file_locks.try_lock", lambda file: None)
    Run.create(root / "run").hold()
    assert os.listdir(root / "run") == []
    Run(root / "run").release()


def test_a_run_that_was_begun_is_not_begun_again(root):
    trainer(Run.create(root / "run")).run(until=2)
    before = names(root / "run")
    with pytest.raises(InputError, match="holds a run already: call resume"):
        trainer(Run(root / "run")).run()
    assert names(root / "run") == before
    with pytest.raises(InputError, match="no run folder"):
        trainer().resume()


def test_a_folder_without_a_run_gets_no_lock(root):
    with pytest.raises(InputError, match="no checkpoint here"):
        trainer(Run(root)).resume()
    assert os.listdir(root) == []


# ---- signals -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run that was never stopped."""
    path = tmp_path_factory.mktemp("straight").resolve() / "run"
    go_on(path)
    return path


@pytest.fixture
def hangup():
    """SIGHUP as in a terminal, also where pytest runs under nohup, which ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("name, when", [
    ("SIGINT", "in the first evaluation"), ("SIGINT", "in a step"), ("SIGTERM", "in the last step"),
    ("SIGHUP", "in the last evaluation")])
def test_a_signal_stops_the_run_saved_wherever_it_comes(straight, hangup, root, name, when):
    training = trainer(Run.create(root / "run"))
    step, evaluate, number = training.step, training.evaluate, getattr(signal, name)

    def interrupted_step():
        if training.steps_done == {"in a step": 2, "in the last step": 5}.get(when):
            os.kill(os.getpid(), number)
        return step()

    def interrupted_evaluate():
        if training.steps_done == {"in the first evaluation": 0,
                                   "in the last evaluation": 6}.get(when):
            os.kill(os.getpid(), number)
        return evaluate()

    training.step, training.evaluate = interrupted_step, interrupted_evaluate
    before = signal.getsignal(number)
    assert training.run() is False and signal.getsignal(number) is before
    done = {"in the first evaluation": 0, "in a step": 3}.get(when, 6)
    assert training.run_folder.state()["step"] == done
    go_on(root / "run")
    assert Run(root / "run").records() == Run(straight).records()


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        training = trainer()
        step = training.step
        training.step = lambda: (os.kill(os.getpid(), signal.SIGINT), step())[1]
        assert training.run() is True and training.steps_done == 6
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_in_another_thread_takes_no_signals():
    training, ends = trainer(), []
    thread = threading.Thread(target=lambda: ends.append(training.run()))
    thread.start()
    thread.join()
    assert ends == [True]
