"""Fine-tuning that was killed, stopped or finished, and goes on."""

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
from tests.cli.command_line import files_below, mistake, output_of
from tests.cli.labelled_world import finetune

from minibert.__main__ import main
from minibert.nn import block
from minibert.training.run_folder import Run

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
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


def test_files_that_were_moved_are_named_anew(world, tmp_path, capsys, monkeypatch):
    """The digest vouches for the content; relative paths count from where the run was begun."""
    for name in ("begun", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "begun")
    for part in ("train", "dev"):
        Path(f"{part}.tsv").write_bytes((world / f"{part}.tsv").read_bytes())
    output_of(capsys, *finetune("classify", world, "run", "--train", "train.tsv", "--dev",
                                "dev.tsv"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume = ["finetune", "classify", "--resume", "--out", "../begun/run"]
    output_of(capsys, *resume, "--epochs", "3")
    (tmp_path / "begun" / "train.tsv").rename("moved.tsv")
    before = files_below(tmp_path)
    line = mistake(capsys, *resume, "--epochs", "4")
    assert "train.tsv: no longer there" in line and "anew with --train" in line
    line = mistake(capsys, *resume, "--epochs", "4", "--train", str(world / "dev.tsv"))
    assert "no longer what this run was begun with" in line
    assert files_below(tmp_path) == before
    output_of(capsys, *resume, "--epochs", "4", "--train", "moved.tsv")
    about = Run("../begun/run").state()["about"]
    assert about["train"] == "moved.tsv" and about["counted_from"] == str(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    output_of(capsys, "finetune", "classify", "--resume", "--out", "begun/run", "--epochs", "5")
    assert Run("begun/run").summary()["about"]["epochs"] == 5


def test_fewer_epochs_than_were_made_are_refused(runs, capsys):
    before = files_below(runs["tag"])
    line = mistake(capsys, "finetune", "tag", "--resume", "--out", runs["tag"], "--epochs", "1")
    assert "--epochs is 1, which ends at step 3, but 5 steps are done already" in line
    assert files_below(runs["tag"]) == before


def test_a_missing_best_checkpoint_is_named_before_training(runs, tmp_path, capsys):
    shutil.copytree(runs["tag"], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "best")
    before = files_below(tmp_path)
    line = mistake(capsys, "finetune", "tag", "--resume", "--out", tmp_path / "run", "--epochs",
                   "3")
    assert "best/, the checkpoint of step" in line and "is missing" in line
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("changes, words", [
    ({"batch": 10**12}, "not enough memory"), ({"epochs": 0}, "--epochs = 0"),
    ({"max_length": 10**12}, "not enough memory"), ({"labels": "abc"}, "labels = 'abc'"),
    ({"labels": ["O", 3]}, "labels = "), ({"weights": [1.0]}, "expected one for each label"),
    ({"train": 3}, "train = 3: expected a name"), ({"freeze_encoder": "yes"}, "--freeze-encoder"),
    ({"metric": "loss"}, "metric = 'loss'"), ({"stride": -1}, "--stride = -1")])
def test_sizes_in_a_state_are_held_against_model_and_machine(runs, tmp_path, capsys, changes,
                                                             words):
    shutil.copytree(runs["tag"], tmp_path / "run")
    path = tmp_path / "run" / "latest" / "state.json"
    state = json.loads(path.read_text())
    state["about"] |= changes
    path.write_text(json.dumps(state))
    before = files_below(tmp_path)
    assert words in mistake(capsys, "finetune", "tag", "--resume", "--out", tmp_path / "run")
    assert files_below(tmp_path) == before


def test_labels_that_are_not_the_models_are_refused(runs, tmp_path, capsys):
    shutil.copytree(runs["tag"], tmp_path / "run")
    path = tmp_path / "run" / "best" / "state.json"
    state = json.loads(path.read_text())
    state["about"]["labels"].append("B-ORG")
    path.write_text(json.dumps(state))
    line = mistake(capsys, "tag", tmp_path / "run", "anna")
    assert "labels, but the model beside it has" in line and "state.json" in line


def test_gradient_checkpointing_changes_no_bit(world, tmp_path, capsys, monkeypatch):
    calls, plain = [], block.recomputed
    monkeypatch.setattr(block, "recomputed", lambda *inputs: calls.append(1) or plain(*inputs))
    for name, more in (("plain", ()), ("checkpointed", ("--gradient-checkpointing",))):
        assert not calls
        output_of(capsys, *finetune("classify", world, tmp_path / name, *more))
    assert calls
    one, other = ((tmp_path / name / "latest" / "model.safetensors").read_bytes()
                  for name in ("plain", "checkpointed"))
    assert one == other
    assert Run(tmp_path / "checkpointed").state()["about"]["gradient_checkpointing"] is True
