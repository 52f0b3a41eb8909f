"""Fine-tuning that was killed, stopped or finished, and goes on."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.command_line import files_below, mistake, output_of
from tests.cli.labelled_world import finetune

from minibert.__main__ import main
from minibert.training.run_folder import Run

ROOT = Path(__file__).parents[2]


def test_killed_at_random_moments_and_resumed_it_leaves_the_same_bytes(world, tmp_path, capsys):
    more = ["--epochs", "14", "--layer-decay", "0.7", "--class-weights", "--patience", "9",
            "--freeze-layers", "1"]
    output_of(capsys, *finetune("classify", world, tmp_path / "straight", *more))
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTHONPATH=str(ROOT))
    killed, rng, kills = tmp_path / "killed", random.Random(os.getpid()), 0
    arguments = finetune("classify", world, killed, *more)
    for attempt in range(20):
        log = killed / "log.jsonl"
        before = log.stat().st_size if log.exists() else 0
        process = subprocess.Popen([sys.executable, "-m", "minibert", *arguments],
                                   env=environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        if attempt < 2:
            end = time.monotonic() + 30
            while process.poll() is None and time.monotonic() < end and (
                    not log.exists() or log.stat().st_size == before):
                time.sleep(0.005)
            time.sleep(rng.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        elif process.wait() == 0:
            break
        arguments = ["finetune", "classify", "--resume", "--out", str(killed)]
    assert process.returncode == 0 and kills
    straight, resumed = files_below(tmp_path / "straight"), files_below(killed)
    assert straight.keys() == resumed.keys()
    for name in straight:
        if name.endswith(("log.jsonl", ".safetensors", "config.json", "vocab.txt",
                          "baseline.json")):
            assert straight[name] == resumed[name], name
    one, other = (Run(path).summary() for path in (tmp_path / "straight", killed))
    for name in ("held_out", "best", "baselines", "per_class", "confusion", "about"):
        assert one[name] == other[name], name


def test_a_finished_run_can_be_told_to_go_on_without_the_model_it_came_from(world, tmp_path,
                                                                            capsys):
    shutil.copytree(world / "both" / "bert", tmp_path / "bert")
    output_of(capsys, *finetune("tag", world, tmp_path / "run", "--from", str(tmp_path / "bert")))
    shutil.rmtree(tmp_path / "bert")
    output_of(capsys, "finetune", "tag", "--resume", "--out", tmp_path / "run", "--epochs", "3")
    assert Run(tmp_path / "run").summary()["steps"] == 8


def test_info_of_a_run_that_was_stopped_before_its_first_step(world, tmp_path, capsys, monkeypatch):
    def stopped(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("minibert.training.trainer.Trainer.run", stopped)
    assert main(finetune("tag", world, tmp_path / "run")) == 130
    monkeypatch.undo()
    assert "not finished: go on with finetune --resume" in output_of(capsys, "info",
                                                                     tmp_path / "run")
    assert "expected a folder best/" in mistake(capsys, "tag", tmp_path / "run", "anna")
    output_of(capsys, "finetune", "tag", "--resume", "--out", tmp_path / "run")
    assert Run(tmp_path / "run").summary()["steps"] == 5
