"""Runs that were damaged or tampered with: one line that names the file, and nothing is changed."""

import json
import shutil

import pytest
from tests.cli.command_line import files_below, mistake

from minibert.checkpoints.safetensors import load_file, save_file


def changed(path, **values):
    """Another value for some fields of a JSON file; ... takes one out."""
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({name: value for name, value in content.items()
                                if value is not ...}))


@pytest.mark.parametrize("damage, words", [
    ({"step": ...}, "state.json: there is no step in it: the file is damaged"),
    ({"step": "many"}, "step = 'many'"), ({"settings": ...}, "no settings"),
    ({"settings": {}}, "no steps"), ({"about": ...}, "no about"), ({"about": [1]}, "about = [1]"),
    ({"about": {}}, "holds a run of an unknown kind, not of pretrain bert"),
    ({"tokens": None}, "tokens = None"),
    ({"about": {"model": "bert", "corpus": "toy"}}, "there is no tokenizer"),
    ({"schema": "minibert.state.9"}, "schema 'minibert.state.9'")])
def test_a_state_that_cannot_be_gone_on_from(world, tmp_path, capsys, damage, words):
    shutil.copytree(world / "both" / "bert", tmp_path / "run")
    changed(tmp_path / "run" / "latest" / "state.json", **damage)
    before = files_below(tmp_path)
    resume = ["pretrain", "bert", "--resume", "--out", tmp_path / "run", "--steps", "6"]
    assert words in mistake(capsys, *resume)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("name, content, words", [
    ("log.jsonl", b"\xff\xfe\x00" * 2000, "log.jsonl, line 1"),
    ("log.jsonl", b"no json\n" * 2000, "log.jsonl, line 1"),
    ("log.jsonl", b'{"kind": "step"}\n' * 2000, "line 1: there is no step in it"),
    ("log.jsonl", b"", "fewer than the"),
    ("latest/optimizer.safetensors", None, "optimizer.safetensors: there is no such file"),
    ("latest/optimizer.safetensors", b"oops", "optimizer.safetensors"),
    ("latest/model.safetensors", b"oops", "model.safetensors")])
def test_files_that_a_resume_reads(world, tmp_path, capsys, name, content, words):
    shutil.copytree(world / "both" / "bert", tmp_path / "run")
    path = tmp_path / "run" / name
    path.unlink() if content is None else path.write_bytes(content)
    before = files_below(tmp_path)
    resume = ["pretrain", "bert", "--resume", "--out", tmp_path / "run", "--steps", "6"]
    assert words in mistake(capsys, *resume)
    assert files_below(tmp_path) == before


def test_the_optimizer_of_another_model(world, tmp_path, capsys):
    shutil.copytree(world / "both" / "bert", tmp_path / "run")
    shutil.copy(world / "both" / "gpt" / "latest" / "optimizer.safetensors",
                tmp_path / "run" / "latest")
    resume = ["pretrain", "bert", "--resume", "--out", tmp_path / "run", "--steps", "6"]
    assert "holds other parameters than the model" in mistake(capsys, *resume)
    own = load_file(world / "both" / "bert" / "latest" / "optimizer.safetensors")
    renamed = {name.replace("exp_avg.nsp_head.bias", "exp_avg.other"): array
               for name, array in own.items()}
    save_file(renamed, tmp_path / "run" / "latest" / "optimizer.safetensors")
    assert "holds other parameters than the model" in mistake(capsys, *resume)


def test_the_weights_of_another_architecture(world, tmp_path, capsys):
    folder = tmp_path / "mixed"
    shutil.copytree(world / "both" / "bert" / "best", folder)
    shutil.copy(world / "both" / "gpt" / "best" / "model.safetensors", folder)
    line = mistake(capsys, "fill-mask", folder, "a [MASK]")
    assert "says bert, but model.safetensors holds no layer of such a model" in line


@pytest.mark.parametrize("name, content, words", [
    ("summary.json", b"[]", "expected a JSON object"),
    ("summary.json", b"\xff\xfe\x00", "summary.json"),
    ("summary.json", b'{"schema": "minibert.summary.1"}', "summary.json: there is no settings"),
    ("summary.json", b'{"schema": "minibert.summary.1", "settings": 3}', "settings = 3"),
    ("log.jsonl", b"\xff\xfe\x00\n", "log.jsonl, line 1"), ("log.jsonl", b"[1]\n", "line 1"),
    ("log.jsonl", b'{"schema": "minibert.log.1", "kind": "step", "step": 1}\n', "no loss in it")])
def test_what_info_and_compare_show(world, tmp_path, capsys, name, content, words):
    shutil.copytree(world / "both" / "gpt", tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(content)
    assert words in mistake(capsys, "info", tmp_path / "run")
    if name == "summary.json":
        assert words in mistake(capsys, "compare", world / "both" / "bert", tmp_path / "run")


@pytest.mark.parametrize("task, guess", [
    ("classify", "unheard of"), ("classify", [1]), ("tag", 3), ("tag", {"other": "O"}),
    ("tag", {"other": 0.5, "words": {}}),
    ("choice", "first")])
def test_a_baseline_that_is_none(world, runs, tmp_path, capsys, task, guess):
    shutil.copytree(runs[task], tmp_path / "run")
    changed(tmp_path / "run" / "baseline.json", guess=guess)
    file = next(world.glob({"classify": "dev.tsv", "tag": "dev.conll",
                            "choice": "dev.jsonl"}[task]))
    line = mistake(capsys, "evaluate", tmp_path / "run", "--file", file)
    assert "baseline.json: the guess " in line and "damaged" in line
    changed(tmp_path / "run" / "baseline.json", guess=...)
    assert "no guess in it" in mistake(capsys, "evaluate", tmp_path / "run", "--file", file)


@pytest.mark.parametrize("name", ["max_length", "left_to_right", "labels", "weights", "task"])
def test_a_finetuned_run_that_does_not_say_how_it_reads(world, runs, tmp_path, capsys, name):
    shutil.copytree(runs["tag"], tmp_path / "run")
    path = tmp_path / "run" / "best" / "state.json"
    about = json.loads(path.read_text())["about"]
    changed(path, about={key: value for key, value in about.items() if key != name})
    line = mistake(capsys, "tag", tmp_path / "run", "anna")
    assert f"there is no {name} in it" in line or name == "task" and "a pre-training run" in line
    if name == "labels":
        for nothing in (None, []):
            changed(path, about=about | {name: nothing, "weights": None})
            assert "there is no labels in it" in mistake(capsys, "tag", tmp_path / "run", "anna")


def test_a_finetuned_run_that_cannot_be_resumed(runs, tmp_path, capsys):
    shutil.copytree(runs["tag"], tmp_path / "run")
    changed(tmp_path / "run" / "latest" / "state.json", about={"task": "tag"})
    line = mistake(capsys, "finetune", "tag", "--resume", "--out", tmp_path / "run")
    assert "there is no max_length" in line


@pytest.mark.parametrize("damage, words", [
    ({"threads": ...}, "state.json: there is no threads in it"),
    ({"counted_from": {}}, "state.json: counted_from = {}: expected a name"),
    ({"freeze_layers": "one"}, "state.json: --freeze-layers = 'one'")])
def test_options_of_a_finetuned_run_that_are_damaged(runs, tmp_path, capsys, damage, words):
    shutil.copytree(runs["tag"], tmp_path / "run")
    path = tmp_path / "run" / "latest" / "state.json"
    about = json.loads(path.read_text())["about"] | damage
    changed(path, about={name: value for name, value in about.items() if value is not ...})
    assert words in mistake(capsys, "finetune", "tag", "--resume", "--out", tmp_path / "run")


def test_where_the_text_of_a_run_was_counted_from(world, tmp_path, capsys):
    shutil.copytree(world / "both" / "bert", tmp_path / "run")
    path = tmp_path / "run" / "latest" / "state.json"
    changed(path, about=json.loads(path.read_text())["about"] | {"counted_from": 3})
    line = mistake(capsys, "pretrain", "bert", "--resume", "--out", tmp_path / "run")
    assert "state.json: counted_from = 3: expected a name" in line
