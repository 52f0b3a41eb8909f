"""New, resumed, killed, stopped: the life cycle of `pretrain`."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.command_line import (files_below, log_sizes, mistake, output_of, pretrain,
                                    wait_until, write_text)

from minibert.__main__ import main
from minibert.training.run_folder import Run
from minibert.training.trainer import Trainer

ROOT = Path(__file__).parents[2]


def test_a_finished_run_can_be_told_to_go_on(text, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, *pretrain("gpt", text, out, "--steps", "4", "--schedule", "constant"))
    first = (out / "summary.json").read_bytes()
    output_of(capsys, "pretrain", "gpt", "--resume", "--out", out, "--steps", "7")
    assert Run(out).summary()["steps"] == 7 == Run(out).state()["settings"]["steps"]
    (out / "summary.json").write_bytes(first)  # as if it had been stopped before its new summary
    assert "not finished: go on with pretrain --resume" in output_of(capsys, "info", out)


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_it_leaves_the_same_bytes(text, tmp_path, capsys):
    steps = ["--steps", "36", "--eval-every", "4", "--dropout", "0.1"]
    output_of(capsys, *pretrain("both", text, tmp_path / "straight", *steps))
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "minibert"]
    killed, rng = tmp_path / "killed", random.Random(os.getpid())
    arguments = pretrain("both", text, killed, *steps)
    kills = 0
    for attempt in range(20):
        before = log_sizes(killed)
        process = subprocess.Popen(command + arguments, env=environment, stdout=subprocess.DEVNULL)
        if attempt < 3:
            begun = wait_until(lambda: log_sizes(killed) != before or process.poll() is not None)
            time.sleep(rng.uniform(0.0, 0.25))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
            assert begun, "the run never began"
        elif process.wait() == 0:
            break
        arguments = ["pretrain", "both", "--resume", "--out", str(killed)]
    assert process.returncode == 0 and kills
    straight, resumed = files_below(tmp_path / "straight"), files_below(killed)
    assert straight.keys() == resumed.keys()
    for name in straight:
        if name.endswith(("log.jsonl", ".safetensors", "config.json", "vocab.txt")):
            assert straight[name] == resumed[name], name
    for which in ("bert", "gpt"):
        one, other = (Run(path / which).summary() for path in (tmp_path / "straight", killed))
        assert one["held_out"] == other["held_out"] and one["best"] == other["best"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to a process of its own")
def test_ctrl_c_says_how_to_go_on(text, tmp_path):
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "minibert"] + pretrain("gpt", text, out, "--steps", "100000"),
        env=dict(os.environ, PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    log = out / "log.jsonl"
    assert wait_until(lambda: log.exists() and log.stat().st_size > 3000)
    process.send_signal(signal.SIGINT)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors == ""
    assert f"python -m minibert pretrain gpt --resume --out {out}" in shown.splitlines()[-1]
    assert Run(out).state()["step"] == Run(out).records()[-1]["step"] > 0


def test_resuming_what_is_not_there_or_something_else(text, both, tmp_path, capsys):
    before = files_below(both)
    assert "no run to resume" in mistake(capsys, "pretrain", "gpt", "--resume", "--out",
                                         tmp_path / "no")
    assert "no run to resume" in mistake(capsys, "pretrain", "gpt", "--resume", "--out", both)
    line = mistake(capsys, "pretrain", "gpt", "--resume", "--out", both / "bert")
    assert "holds a run of pretrain bert, not of pretrain gpt" in line
    line = mistake(capsys, "pretrain", "both", "--resume", "--out", both, "--lr", "0.5")
    assert "--lr is 0.5" in line and "begun with" in line
    assert files_below(both) == before


def test_resuming_with_a_text_that_has_changed(text, tmp_path, capsys):
    own = write_text(tmp_path / "own.txt")
    output_of(capsys, *pretrain("gpt", own, tmp_path / "run", "--steps", "2"))
    own.write_text(own.read_text().replace("milk", "wine"))
    line = mistake(capsys, "pretrain", "gpt", "--resume", "--out", tmp_path / "run", "--steps", "4")
    assert "the text is no longer the one" in line


def test_a_full_disk_leaves_nothing_behind(text, tmp_path, capsys, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr("minibert.training.checkpoint.save_file", full)
    line = mistake(capsys, *pretrain("both", text, tmp_path / "deep" / "run"))
    assert "model.safetensors: No space left on device: free some space" in line
    assert not any(tmp_path.iterdir())


def state_of(run: Path, **changes) -> None:
    """Change fields of a run's latest state, at the top or in a part of it."""
    path = run / "latest" / "state.json"
    state = json.loads(path.read_text())
    for name, value in changes.items():
        part = next((state[part] for part in ("about", "settings") if name in state[part]), state)
        part[name] = value
    path.write_text(json.dumps(state))


def test_a_text_that_was_moved_is_named_anew(text, tmp_path, capsys, monkeypatch):
    """The digest vouches for the content; relative paths count from where the run was begun."""
    for name in ("begun", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "begun")
    (tmp_path / "begun" / "own.txt").write_bytes(text.read_bytes())
    output_of(capsys, *pretrain("both", "own.txt", "run", "--steps", "2"))
    assert Run("run/gpt").state()["about"]["counted_from"] == str(tmp_path / "begun")
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume = ["pretrain", "both", "--resume", "--out", "../begun/run"]
    (tmp_path / "elsewhere" / "own.txt").write_text("a decoy of the same name")
    output_of(capsys, *resume, "--steps", "3")
    (tmp_path / "elsewhere" / "own.txt").unlink()
    (tmp_path / "begun" / "own.txt").rename("moved.txt")
    before = files_below(tmp_path)
    line = mistake(capsys, *resume, "--steps", "5")
    assert "own.txt: no longer there" in line and "anew with --text" in line
    Path("other.txt").write_text("another text . it has\n\nother words .\n" * 20)
    assert "no longer the one" in mistake(capsys, *resume, "--steps", "5", "--text", "other.txt")
    Path("other.txt").unlink()
    assert files_below(tmp_path) == before
    output_of(capsys, *resume, "--steps", "5", "--text", "moved.txt")
    about = Run("../begun/run/gpt").state()["about"]
    assert (about["text"], about["counted_from"]) == (["moved.txt"], str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    output_of(capsys, "pretrain", "both", "--resume", "--out", "begun/run", "--steps", "6")
    assert Run("begun/run/bert").summary()["steps"] == 6


def test_fewer_steps_than_were_made_are_refused(both, capsys):
    before = files_below(both)
    line = mistake(capsys, "pretrain", "both", "--resume", "--out", both, "--steps", "11")
    assert "--steps is 11" in line and "12 steps are done already" in line
    assert files_below(both) == before


def test_resuming_a_finished_run_writes_its_summary_only_once(text, tmp_path, capsys):
    steps = ["--eval-every", "3", "--schedule", "constant", "--warmup", "0"]
    for name, count in (("straight", "8"), ("grown", "5")):
        output_of(capsys, *pretrain("gpt", text, tmp_path / name, *steps, "--steps", count))
    run = tmp_path / "grown"
    before = files_below(run)
    shown = output_of(capsys, "pretrain", "gpt", "--resume", "--out", run)
    assert "resumed at step 5" in shown and files_below(run) == before
    output_of(capsys, "pretrain", "gpt", "--resume", "--out", run, "--steps", "8")
    one, other = (Run(tmp_path / name).summary() for name in ("straight", "grown"))
    for name in ("steps", "held_out", "baselines", "settings", "parameters"):
        assert one[name] == other[name], name
    evaluated = [record["step"] for record in Run(tmp_path / "straight").records()
                 if record["kind"] == "eval"]
    assert evaluated == [0, 3, 6, 8]


@pytest.mark.parametrize("where", ["step", "evaluate"])
def test_a_signal_in_berts_last_step_does_not_begin_gpts_training(text, tmp_path, capsys,
                                                                  monkeypatch, where):
    """Also in its last evaluation; the same bytes as without it once the run went on."""
    arguments = ["--steps", "7", "--eval-every", "3", "--dropout", "0.1"]
    output_of(capsys, *pretrain("both", text, tmp_path / "straight", *arguments))
    original = getattr(Trainer, where)

    def interrupted(self):
        if self.steps_done == (6 if where == "step" else 7):
            os.kill(os.getpid(), signal.SIGINT)
        return original(self)

    monkeypatch.setattr(Trainer, where, interrupted)
    out = tmp_path / "stopped"
    assert main(pretrain("both", text, out, *arguments)) == 130
    shown = capsys.readouterr().out
    assert f"go on with: python -m minibert pretrain both --resume --out {out}" in shown
    assert Run(out / "bert").state()["step"] == 7 and Run(out / "bert").summary() is None
    assert Run(out / "gpt").state()["step"] == 0 and "gpt: 1 layers" not in shown
    monkeypatch.undo()
    output_of(capsys, "pretrain", "both", "--resume", "--out", out)
    straight, resumed = files_below(tmp_path / "straight"), files_below(out)
    assert straight.keys() == resumed.keys()
    for name in straight:
        if name.endswith(("log.jsonl", ".safetensors")):
            assert straight[name] == resumed[name], name
    for which in ("bert", "gpt"):
        one, other = (Run(path / which).summary() for path in (tmp_path / "straight", out))
        assert one["held_out"] == other["held_out"] and one["best"] == other["best"]


@pytest.mark.parametrize("error, status", [
    (KeyboardInterrupt(), 130), (OSError(28, "No space left on device", "log.jsonl"), 2)])
@pytest.mark.parametrize("method", ["step", "summary"])
def test_whatever_stops_a_run_says_how_to_go_on(text, tmp_path, capsys, monkeypatch, error, status,
                                                method):
    original = getattr(Trainer, method)

    def stopped(self):
        if self.steps_done >= 2:
            raise error
        return original(self)

    monkeypatch.setattr(Trainer, method, stopped)
    assert main(pretrain("gpt", text, tmp_path / "run", "--steps", "4", "--eval-every", "2")) == \
        status
    captured = capsys.readouterr()
    assert f"pretrain gpt --resume --out {tmp_path / 'run'}" in captured.out.splitlines()[-1]
    assert ("log.jsonl: No space left" in captured.err) == (status == 2)
    monkeypatch.undo()
    output_of(capsys, "pretrain", "gpt", "--resume", "--out", tmp_path / "run")
    assert Run(tmp_path / "run").summary()["steps"] == 4


def test_a_missing_best_checkpoint_is_named_before_training(both, tmp_path, capsys):
    shutil.copytree(both / "gpt", tmp_path / "run")
    (tmp_path / "run" / "best").rename(tmp_path / "aside")
    before = files_below(tmp_path)
    line = mistake(capsys, "pretrain", "gpt", "--resume", "--out", tmp_path / "run", "--steps",
                   "20")
    assert "best/, the checkpoint of step" in line and "is missing" in line
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("changes, words", [
    ({"workers": 10**6}, "workers = 1000000"), ({"batch": 10**9}, "not enough memory"),
    ({"layers": 10**9}, "layers is 1000000000, but the model beside it has 1"),
    ({"width": 10**9}, "width is 1000000000"), ({"context": 10**9}, "--context = 1000000000"),
    ({"threads": 10**6}, "--threads = 1000000"), ({"vocab_size": "many"}, "--vocab-size = 'many'"),
    ({"corpus": "wiki"}, "--corpus = 'wiki'"), ({"text": None}, "--text = None"),
    ({"text": [1]}, "--text"), ({"text": {"a": 1}}, "--text"), ({"lr": "fast"}, "lr = 'fast'")])
def test_sizes_in_a_state_are_held_against_model_and_machine(both, tmp_path, capsys, changes,
                                                             words):
    shutil.copytree(both / "gpt", tmp_path / "run")
    state_of(tmp_path / "run", **changes)
    before = files_below(tmp_path)
    assert words in mistake(capsys, "pretrain", "gpt", "--resume", "--out", tmp_path / "run")
    assert files_below(tmp_path) == before


def test_a_run_that_is_older_than_an_option_has_its_default(both, tmp_path, capsys):
    shutil.copytree(both / "bert", tmp_path / "run")
    path = tmp_path / "run" / "latest" / "state.json"
    state = json.loads(path.read_text())
    for name in ("norm_first", "gradient_checkpointing", "no_next_sentence", "counted_from",
                 "position_initializer_range", "dropout"):
        del state["about"][name]
    path.write_text(json.dumps(state))
    resume = ["pretrain", "bert", "--resume", "--out", tmp_path / "run"]
    assert "--norm-first is True, but" in mistake(capsys, *resume, "--norm-first")
    output_of(capsys, *resume, "--steps", "14")
    about = Run(tmp_path / "run").state()["about"]
    assert (about["norm_first"], about["gradient_checkpointing"], about["dropout"]) == (
        False, False, 0.0)


def test_gradient_checkpointing_changes_no_bit_and_survives_a_resume(text, tmp_path, capsys):
    arguments = ["--steps", "3", "--dropout", "0.1"]
    for name, more in (("plain", ()), ("checkpointed", ("--gradient-checkpointing",))):
        output_of(capsys, *pretrain("both", text, tmp_path / name, *arguments, *more))
        output_of(capsys, "pretrain", "both", "--resume", "--out", tmp_path / name, "--steps", "5")
    for which in ("bert", "gpt"):
        one, other = ((tmp_path / name / which / "latest" / "model.safetensors").read_bytes()
                      for name in ("plain", "checkpointed"))
        assert one == other
        about = Run(tmp_path / "checkpointed" / which).state()["about"]
        assert about["gradient_checkpointing"] is True
