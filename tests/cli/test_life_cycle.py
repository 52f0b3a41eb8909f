"""New, resumed, killed, stopped: the life cycle of `pretrain`."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.command_line import (files_below, log_sizes, mistake, output_of, pretrain,
                                    wait_until, write_text)

from minibert.training.run_folder import Run

ROOT = Path(__file__).parents[2]


def test_a_finished_run_can_be_told_to_go_on(text, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, *pretrain("gpt", text, out, "--steps", "4", "--schedule", "constant"))
    first = (out / "summary.json").read_bytes()
    output_of(capsys, "pretrain", "gpt", "--resume", "--out", out, "--steps", "7")
    assert Run(out).summary()["steps"] == 7 == Run(out).state()["settings"]["steps"]
    (out / "summary.json").write_bytes(first)  # as if it had been stopped before its new summary
    assert "not finished: go on with pretrain --resume" in output_of(capsys, "info", out)


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
