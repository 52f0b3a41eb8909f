"""Fine-tuning on the command line: all five tasks on tiny files, resuming, and mistakes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minibert.__main__ import main
from minibert.commands.marks import can_colour, marked
from minibert.commands.verdict import summary_of
from minibert.finetuning.classification import Classification
from minibert.finetuning.encoding import Reading
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.starting import fresh_model
from minibert.models.config import BertConfig
from minibert.text.wordpiece import BertTokenizer
from minibert.training.checkpoint import write_checkpoint
from minibert.training.runs import Run
from minibert.training.trainer import Trainer, TrainingSettings

ROOT = Path(__file__).parents[2]
NAMES, PLACES = "anna bob carla dan".split(), "rome paris oslo bern".split()
SMALL = ["--epochs", "2", "--threads", "1", "--lr", "0.003"]
FILES = {"classify": "tsv", "pair": "csv", "choice": "jsonl", "tag": "conll", "answer": "json"}


def write_files(folder: Path, part: str, count: int, rng: random.Random) -> None:
    """The same small world as labelled files of all five kinds."""
    sentences, pairs, choices, tagged, paragraphs = ["sentence\tlabel"], [
        "sentence1,sentence2,label"], [], ["-DOCSTART- O\n"], []
    for i in range(count):
        who, other = rng.sample(NAMES, 2)
        where, elsewhere = rng.sample(PLACES, 2)
        happy = rng.random() < 0.5
        sentences.append(f"{who} {'likes' if happy else 'hates'} {where} .\t"
                         f"{'pos' if happy else 'neg'}")
        same = rng.random() < 0.5
        pairs.append(f'"{who} lives in {where}, too .",{who if same else other} sleeps .,'
                     f"{int(same)}")
        label = rng.randrange(2)
        endings = [f"{who} sleeps .", f"{other} sleeps ."]
        choices.append(json.dumps({"context": f"{who} lives in {where} .", "start": "then",
                                   "endings": endings if label == 0 else endings[::-1],
                                   "label": label}))
        tagged.append(f"{who} B-PER\nlives O\nin O\nnew B-LOC\n{where} I-LOC\n. O\n")
        context = f"{who} lives in {where} . {other} lives in {elsewhere} ."
        asks = [{"id": f"{i}", "question": f"where does {other} live ?", "answers": [
            {"text": elsewhere, "answer_start": context.index(elsewhere)}]}]
        if i % 3 == 0:
            asks.append({"id": f"{i}n", "question": "where does nobody live ?", "answers": [],
                         "is_impossible": True})
        paragraphs.append({"context": context, "qas": asks})
    for ending, text in (("tsv", "\n".join(sentences)), ("csv", "\n".join(pairs)),
                         ("jsonl", "\n".join(choices)), ("conll", "\n".join(tagged)),
                         ("json", json.dumps({"data": [{"paragraphs": paragraphs}]}))):
        (folder / f"{part}.{ending}").write_text(text + "\n", encoding="utf-8")


@pytest.fixture(scope="module", autouse=True)
def quick_disk():
    """What is written need not have reached the disk: that is not what these tests are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A pre-trained BERT and GPT, and labelled files, in one folder."""
    folder = tmp_path_factory.mktemp("world")
    rng = random.Random(4)
    lines = [f"{rng.choice(NAMES)} {rng.choice(['likes', 'hates', 'lives in', 'sleeps in new'])} "
             f"{rng.choice(PLACES)} , too then where does nobody live ? ." for _ in range(120)]
    blocks = ["\n".join(lines[i:i + 4]) for i in range(0, 120, 4)]
    (folder / "text.txt").write_text("\n\n".join(blocks))
    assert main(["pretrain", "both", "--text", str(folder / "text.txt"), "--format", "lines",
                 "--out", str(folder / "both"), "--layers", "2", "--heads", "2", "--width", "16",
                 "--context", "32", "--batch", "4", "--threads", "1", "--steps", "3",
                 "--tokenizer", "wordpiece", "--vocab-size", "90", "--dropout", "0.1"]) == 0
    write_files(folder, "train", 40, rng)
    write_files(folder, "dev", 20, rng)
    return folder


@pytest.fixture(scope="module")
def runs(world) -> dict[str, Path]:
    """One run of each task."""
    made = {}
    for task in FILES:
        made[task] = world / f"run-{task}"
        assert main(finetune(task, world, made[task])) == 0
    return made


def finetune(task: str, world: Path, out: Path, *more: str, start: str = "both") -> list[str]:
    ending = FILES[task]
    return ["finetune", task, "--from", str(world / start), "--train",
            str(world / f"train.{ending}"), "--dev", str(world / f"dev.{ending}"), "--out",
            str(out), *SMALL, *more]


def output_of(capsys, *arguments) -> str:
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def mistake(capsys, *arguments) -> str:
    """The one line on stderr of a command that must fail with status 2."""
    try:
        status = main(list(map(str, arguments)))
    except SystemExit as leaving:
        status = leaving.code
    errors = [line for line in capsys.readouterr().err.splitlines()
              if not line.startswith("minibert: note")]
    assert status == 2 and len(errors) == 1 and errors[0].startswith("minibert"), errors
    return errors[0]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


# ---- what works ----------------------------------------------------------------------------------


@pytest.mark.parametrize("task, figures, words", [
    ("classify", {"accuracy", "macro_f1", "matthews"}, ["majority class", "classes in training",
                                                        "was taken for"]),
    ("pair", {"accuracy", "macro_f1", "matthews"}, ["majority class", "[SEP]"]),
    ("choice", {"accuracy"}, ["commonest place", "<- right", "ending 1"]),
    ("tag", {"accuracy", "f1", "precision", "recall"}, ["each word's commonest tag", "LOC",
                                                        "/B-PER"]),
    ("answer", {"exact_match", "f1"}, ["no answer", "with an answer", "without one",
                                       "--null-threshold"])])
def test_each_task_from_files_to_a_verdict(world, tmp_path, capsys, task, figures, words):
    out = tmp_path / "run"
    shown = output_of(capsys, *finetune(task, world, out))
    for word in ["first examples", "parameters are trained", "the best checkpoint", *words]:
        assert word in shown, word
    summary = Run(out).summary()
    assert set(summary["held_out"]) == figures | {"loss"} == set(summary["best"]) - {"step"}
    assert set(summary["baselines"]) == figures and summary["per_class"]
    assert ("confusion" in summary) == (task in ("classify", "pair", "choice"))
    assert summary["about"]["task"] == task and summary["steps"] == summary["settings"]["steps"]
    rows = 54 if task == "answer" else 40
    assert summary["settings"]["eval_every"] == -(-rows // 16)
    assert summary["settings"]["steps"] == -(-2 * rows // 16)
    shown = output_of(capsys, "evaluate", out, "--file", world / f"dev.{FILES[task]}")
    for name in figures:
        line = next(line for line in shown.splitlines() if line.split()[:1] == [name])
        assert line.split() == [name, f"{summary['best'][name]:.4f}",
                                f"{summary['baselines'][name]:.4f}"]
    assert f"best: {min(figures)}" in output_of(capsys, "info", out)


def test_the_verdict_is_about_the_best_checkpoint(tmp_path):
    reading = Reading(BertTokenizer.from_words("abc"), 8, 2)
    task = Classification(reading, ("neg", "pos"))
    dev = [SentenceExample(text, label="pos") for text in "aabc"]
    model = fresh_model(task, BertConfig(
        vocab_size=8, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=4, max_position_embeddings=8))
    trainer = Trainer(model, FineTuningObjective(task, dev, dev, 2), TrainingSettings(steps=1),
                      run=Run.create(tmp_path / "run"), tokenizer=reading.tokenizer)
    trainer.run_folder.write_baseline("neg")
    for name, bias in (("best", [0, 9]), ("latest", [9, 0])):
        model.classifier.bias.data = np.array(bias, np.float32)
        write_checkpoint(trainer, name)
    summary = summary_of(trainer)
    assert summary["confusion"] == [[0, 0], [0, 4]]
    assert summary["baselines"]["accuracy"] == 0.0


def test_the_head_stands_on_the_pretrained_encoder(world, tmp_path, capsys):
    output_of(capsys, *finetune("classify", world, tmp_path / "run", "--freeze-encoder"))
    from minibert.checkpoints.safetensors import load_file
    before = load_file(world / "both" / "bert" / "best" / "model.safetensors")
    after = load_file(tmp_path / "run" / "latest" / "model.safetensors")
    same = [name for name in after if name in before and np.array_equal(after[name], before[name])]
    assert len(same) > 30 and all("encoder" in name or "embeddings" in name for name in same)
    assert not np.array_equal(after["bert.pooler.dense.weight"], before["bert.pooler.dense.weight"])
    config = json.loads((tmp_path / "run" / "best" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "neg", "1": "pos"}


def test_a_gpt_reads_sentences_and_pairs(world, tmp_path, capsys):
    for task in ("classify", "pair"):
        out = tmp_path / task
        output_of(capsys, *finetune(task, world, out, start="both/gpt"))
        config = json.loads((out / "best" / "config.json").read_text())
        assert config["architectures"] == ["GPT2ForSequenceClassification"]
        assert "majority class" in output_of(capsys, "evaluate", out, "--file",
                                             world / f"dev.{FILES[task]}")
    assert "give a BERT for tag" in mistake(capsys, *finetune("tag", world, tmp_path / "tag",
                                                              start="both/gpt"))


def test_options_reach_what_they_name(world, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, *finetune(
        "classify", world, out, "--batch", "10", "--lr", "0.002", "--warmup", "1",
        "--weight-decay", "0.3", "--layer-decay", "0.5", "--freeze-layers", "1", "--dropout",
        "0.2", "--patience", "7", "--max-length", "16", "--stride", "3", "--seed", "9",
        "--metric", "matthews", "--class-weights", "--workers", "2"))
    state = Run(out).state()
    expected = {"steps": 8, "lr": 0.002, "warmup": 1, "schedule": "linear", "weight_decay": 0.3,
                "layer_decay": 0.5, "patience": 7, "eval_every": 4, "seed": 9, "workers": 2}
    assert {name: state["settings"][name] for name in expected} == expected
    expected = {"batch": 10, "epochs": 2, "max_length": 16, "stride": 3, "freeze_layers": 1,
                "metric": "matthews", "labels": ["neg", "pos"]}
    assert {name: state["about"][name] for name in expected} == expected
    labels = [line.split("\t")[1] for line in (world / "train.tsv").read_text().splitlines()[1:]]
    assert state["about"]["weights"] == pytest.approx([20 / labels.count("neg"),
                                                       20 / labels.count("pos")])
    config = json.loads((out / "latest" / "config.json").read_text())
    assert config["hidden_dropout_prob"] == config["attention_probs_dropout_prob"] == 0.2
    rates = [record["lr"] for record in Run(out).records() if record["kind"] == "step"]
    assert rates[0] == 0.001 and rates[1] == 0.002 and rates[-1] == pytest.approx(0.002 / 7)


def test_what_is_not_given_suits_the_model(world, runs):
    state = Run(runs["answer"]).state()
    assert (state["about"]["max_length"], state["about"]["stride"]) == (32, 10)
    assert state["settings"]["lr"] == 0.003 and state["settings"]["warmup"] == 0
    assert state["about"]["batch"] == 16 and state["about"]["may_be_empty"] is True


def test_regression_and_other_columns(world, tmp_path, capsys):
    rows = [line.replace("neg", "-1.5").replace("pos", "2.5")
            for line in (world / "train.tsv").read_text().splitlines()[1:]]
    path = tmp_path / "numbers.tsv"
    path.write_text("\n".join(rows) + "\n")
    dev = tmp_path / "dev.tsv"
    dev.write_text("\n".join([row for row in rows if row.endswith("\t2.5")]) + "\n")
    out = tmp_path / "run"
    shown = output_of(capsys, "finetune", "classify", "--from", world / "both", "--train", path,
                      "--dev", dev, "--out", out, "--regression", "--text-column", "1",
                      "--label-column", "2", *SMALL)
    assert "always the mean" in shown and "numbers in training: -1.5 to 2.5" in shown
    assert "100.0% of the dev windows also occur in training" in shown
    assert set(Run(out).summary()["best"]) == {"step", "loss", "pearson", "spearman",
                                               "mean_squared_error"}
    assert Run(out).baseline() == pytest.approx(np.mean([float(row.split("\t")[1])
                                                         for row in rows]))
    named = tmp_path / "named.csv"
    named.write_text("said,grade\nanna likes rome .,1\nbob hates oslo .,2\n")
    assert "grade" in mistake(capsys, "evaluate", out, "--file", named)
    assert "pearson" in output_of(capsys, "evaluate", out, "--file", named, "--text-column",
                                  "said", "--label-column", "grade")


def test_predictions_are_written_whole_in_the_form_of_the_field(world, runs, tmp_path, capsys):
    written = {}
    for task, ending in FILES.items():
        out = tmp_path / f"predicted-{task}"
        output_of(capsys, "predict", runs[task], "--file", world / f"dev.{ending}", "--out", out)
        written[task] = out.read_text(encoding="utf-8")
        before = files_below(tmp_path)
        assert "exists already" in mistake(capsys, "predict", runs[task], "--file",
                                           world / f"dev.{ending}", "--out", out)
        assert files_below(tmp_path) == before
    for task in ("classify", "pair", "choice"):
        lines = [json.loads(line) for line in written[task].splitlines()]
        assert len(lines) == 20 and all(set(line) == {"label", "probabilities"} for line in lines)
    assert written["tag"].count("\n\n") == 19 and "lives\t" in written["tag"]
    answers = json.loads(written["answer"])
    assert len(answers) == 27 and "0n" in answers
    other = tmp_path / "other.tsv"
    other.write_text("sentence\tlabel\nanna sleeps .\tunheard of\n")
    output_of(capsys, "predict", runs["classify"], "--file", other, "--out", tmp_path / "other")
    assert json.loads((tmp_path / "other").read_text())["label"] in ("neg", "pos")
    unlabelled = tmp_path / "words.txt"
    unlabelled.write_text("anna\nsleeps\n")
    output_of(capsys, "predict", runs["tag"], "--file", unlabelled, "--out", tmp_path / "tags.txt")
    assert (tmp_path / "tags.txt").read_text().startswith("anna\t")


def test_a_full_disk_leaves_no_predictions(world, runs, tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minibert.checkpoints.files.os.fsync", full)
    mistake(capsys, "predict", runs["tag"], "--file", world / "dev.conll", "--out",
            tmp_path / "tags.txt")
    assert files_below(tmp_path) == {}


def test_questions_on_the_command_line(world, runs, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("\ufeffAnna lives in Rome.\nBob lives in Oslo, too.\n", encoding="utf-8")
    shown = output_of(capsys, "answer", runs["answer"], "--context", text, "--question",
                      "where does bob live ?", "--null-threshold", "1e9")
    answer, line = shown.splitlines()
    found = answer.rsplit("  (", 1)[0]
    assert f"[{found}]" in line and line.replace("[", "").replace("]", "") in text.read_text()
    shown = output_of(capsys, "answer", runs["answer"], "--context", text, "--question", "where ?",
                      "--null-threshold", "-1000")
    assert shown.startswith("the text does not say (")


def test_entities_are_marked(runs, capsys, monkeypatch):
    def tags(task, model, examples):
        assert examples[0].words == ("Anna", "lives", "in", "New", "Rome", ".")
        return [("B-PER", "O", "O", "B-LOC", "I-LOC", "O")]

    monkeypatch.setattr("minibert.commands.predict.predict", tags)
    text = "Anna lives  in New\tRome."
    assert output_of(capsys, "tag", runs["tag"], text) == ("[Anna PER] lives  in [New\tRome LOC]."
                                                           "\n")
    monkeypatch.setattr("minibert.commands.predict.can_colour", lambda stream: True)
    coloured = output_of(capsys, "tag", runs["tag"], text)
    assert "[Anna" not in coloured and coloured.count("\x1b[0m") == 2


def test_colours_only_where_they_can_and_may_be():
    class Terminal:
        def isatty(self):
            return True

    assert can_colour(Terminal(), {"TERM": "xterm"}) and can_colour(Terminal(), {"NO_COLOR": ""})
    assert not can_colour(Terminal(), {"NO_COLOR": "1"}) and not can_colour(sys.stdout, {})
    assert not can_colour(Terminal(), {"TERM": "dumb"})
    marks = [(0, 1, "B"), (2, 3, "A"), (3, 5, "B")]
    assert marked("a bcd.", marks, False) == "[a B] [b A][cd B]."
    assert marked("a bcd.", marks, True) == ("\x1b[1;35ma B\x1b[0m \x1b[1;32mb A\x1b[0m"
                                             "\x1b[1;35mcd B\x1b[0m.")
    assert marked("", [], True) == ""


def test_chinese_from_end_to_end(tmp_path, capsys):
    """Characters are tokens; the answers are stretches of the text."""
    text = "苏轼是眉州眉山人。他住在北京。\n谁住在眉山？苏轼住在眉山。"
    (tmp_path / "text.txt").write_text("\n\n".join([text] * 6), encoding="utf-8")
    output_of(capsys, "pretrain", "bert", "--text", tmp_path / "text.txt", "--format", "lines",
              "--out", tmp_path / "bert", "--layers", "1", "--heads", "2", "--width", "32",
              "--context", "32", "--batch", "4", "--threads", "1", "--steps", "2", "--tokenizer",
              "wordpiece", "--vocab-size", "60")
    (tmp_path / "train.txt").write_text(
        "苏\tB-PER\n轼\tI-PER\n住\tO\n在\tO\n眉\tB-LOC\n山\tI-LOC\n。\tO\n\n" * 12,
        encoding="utf-8")
    context = "苏轼是眉州眉山人。他住在北京。"
    answers = [{"text": "眉州眉山", "answer_start": 3}]
    asks = [{"id": f"{i}", "question": "苏轼是哪里人？", "answers": answers} for i in range(12)]
    (tmp_path / "train.json").write_text(json.dumps(
        {"data": [{"paragraphs": [{"context": context, "qas": asks}]}]}, ensure_ascii=False))
    (tmp_path / "context.txt").write_text(context, encoding="utf-8")
    for task, ending in (("tag", "txt"), ("answer", "json")):
        path = tmp_path / f"train.{ending}"
        output_of(capsys, "finetune", task, "--from", tmp_path / "bert", "--train", path, "--dev",
                  path, "--out", tmp_path / task, "--epochs", "5", "--lr", "0.01", "--threads",
                  "1", "--batch", "1")
    assert output_of(capsys, "tag", tmp_path / "tag", "苏轼住在眉山。") == ("[苏轼 PER]住在[眉山 LOC]。"
                                                                     "\n")
    answer = output_of(capsys, "answer", tmp_path / "answer", "--context",
                       tmp_path / "context.txt", "--question", "苏轼是哪里人？")
    assert answer.splitlines()[0].startswith("眉州眉山  (")
    assert answer.splitlines()[1] == "苏轼是[眉州眉山]人。他住在北京。"
    output_of(capsys, "predict", tmp_path / "answer", "--file", tmp_path / "train.json", "--out",
              tmp_path / "answers.json")
    assert "眉州眉山" in (tmp_path / "answers.json").read_text(encoding="utf-8")


# ---- resuming ------------------------------------------------------------------------------------


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
    import shutil
    shutil.copytree(world / "both" / "bert", tmp_path / "bert")
    output_of(capsys, *finetune("tag", world, tmp_path / "run", "--from", str(tmp_path / "bert")))
    shutil.rmtree(tmp_path / "bert")
    output_of(capsys, "finetune", "tag", "--resume", "--out", tmp_path / "run", "--epochs", "3")
    assert Run(tmp_path / "run").summary()["steps"] == 8


def test_a_finetuned_run_gives_its_encoder_to_another_task(world, runs, tmp_path, capsys):
    path = tmp_path / "three.tsv"
    path.write_text("sentence\tlabel\nanna\tx\nbob\ty\ncarla\tz\n")
    files = ["--train", str(path), "--dev", str(path)]
    for start in ("tag", "classify"):
        out = tmp_path / start
        output_of(capsys, *finetune("classify", world, out, *files, start=f"run-{start}"))
        assert Run(out).state()["about"]["labels"] == ["x", "y", "z"]


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


def test_stopped_early_is_said(world, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, *finetune("tag", world, out, "--epochs", "30", "--patience", "1", "--lr",
                                "0.1"))
    summary = Run(out).summary()
    assert summary["steps"] < summary["settings"]["steps"] == 75
    assert summary["steps"] - summary["best"]["step"] == 3
    assert "stopped early" in output_of(capsys, "info", out)


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("task, more, words", [
    ("classify", ("--epochs", "0"), "--epochs is 0"), ("tag", ("--batch", "0"), "--batch is 0"),
    ("tag", ("--lr", "nan"), "lr is nan"), ("tag", ("--layer-decay", "0"), "layer_decay is 0.0"),
    ("tag", ("--freeze-layers", "3"), "3 layers cannot be frozen: the model has 2"),
    ("tag", ("--freeze-layers", "-1"), "-1 layers"), ("tag", ("--dropout", "1"), "1.0"),
    ("tag", ("--max-length", "33"), "--max-length is 33, but the model in"),
    ("tag", ("--max-length", "4"), "max_length is 4"), ("tag", ("--stride", "30"), "stride is 30"),
    ("tag", ("--patience", "-1"), "patience is -1"), ("tag", ("--seed", "-1"), "seed is -1"),
    ("tag", ("--workers", "0"), "--workers is 0"),
    ("tag", ("--regression",), "unrecognized arguments: --regression"),
    ("answer", ("--class-weights",), "unrecognized arguments"),
    ("classify", ("--regression", "--class-weights"), "--class-weights is about classes"),
    ("classify", ("--regression",), "line 2: the label ('label') is "),
    ("classify", ("--text-column", "no"), "name the right one with --text-column"),
    ("tag", ("--freeze-layers", "1", "--freeze-encoder"), "not allowed with"),
    ("classify", ("--from", "{world}/nothing"), "no such folder"),
    ("classify", ("--from", "{world}"), "neither a run nor a model"),
    ("classify", ("--train", "{world}/no.tsv"), "no.tsv: there is no such file"),
    ("classify", ("--dev", "{world}/dev.conll"), "ending '.conll'"),
    ("answer", ("--dev", "{world}/dev.tsv"), "no JSON"),
])
def test_options_that_cannot_be(world, tmp_path, capsys, task, more, words):
    out = tmp_path / "run"
    more = [word.format(world=world) for word in more]
    assert words in mistake(capsys, *finetune(task, world, out, *more))
    assert not out.exists(), "nothing is left behind"


@pytest.mark.parametrize("name", ["from", "train", "dev"])
def test_what_must_be_named(world, tmp_path, capsys, name):
    arguments = finetune("tag", world, tmp_path / "run")
    at = arguments.index(f"--{name}")
    assert f"--{name} is missing: name " in mistake(capsys, *arguments[:at], *arguments[at + 2:])


@pytest.mark.parametrize("task, part, content, words", [
    ("classify", "train", "sentence\tlabel\na\tpos\nb\tpos\n", "'pos' is the only class"),
    ("classify", "dev", "sentence\tlabel\na\tpos\nb\tso-so\n", "line 3: the label 'so-so' did not"),
    ("classify", "dev", "sentence\tlabel\na\tpos\nb\t\n", "line 3: the label ('label') is empty"),
    ("tag", "train", "a O\nb O\n", "'O' is the only tag there"),
    ("tag", "dev", "a O\nb B-ORG\n", "word 2 ('b'): the label 'B-ORG' did not occur"),
    ("tag", "dev", "a O\n\nb X O\n", "line 3: 3 columns"),
    ("tag", "train", "a B-PER\nb I-LOC\nc O\n", "line 2: I-LOC begins an entity"),
    ("choice", "dev", '{"context": "a", "endings": ["b", "c"], "label": 2}', "line 1: the label"),
    ("choice", "train", '{"context": "a", "endings": ["b", "c"], "label": 1}\n{"context": "a", '
     '"endings": ["b", "c", "d"], "label": 1}', "line 2: 3 endings"),
    ("answer", "train", json.dumps({"data": [{"paragraphs": [{"context": "a", "qas": [
        {"id": "1", "question": "b", "answers": [], "is_impossible": True}]}]}]}),
     "no question has an answer"),
    ("answer", "train", '{"data": [{"paragraphs": [{"context": "", "qas": []}]}]}',
     "data[0].paragraphs[0]: the context is empty"),
])
def test_files_that_cannot_be_learned_from(world, tmp_path, capsys, task, part, content, words):
    path = tmp_path / f"bad.{FILES[task]}"
    path.write_text(content)
    line = mistake(capsys, *finetune(task, world, tmp_path / "run", f"--{part}", str(path)))
    assert words in line and "bad" in line
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_is_not_touched(world, runs, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "exists already" in mistake(capsys, *finetune("tag", world, tmp_path))
    assert files_below(tmp_path) == {"thesis.txt": b"years of work"}
    before = files_below(runs["tag"])
    assert "exists already" in mistake(capsys, *finetune("tag", world, runs["tag"]))
    resume = ["finetune", "tag", "--resume", "--out", runs["tag"]]
    assert "--lr is 0.5, but" in mistake(capsys, *resume, "--lr", "0.5")
    assert "--train is x.conll, but" in mistake(capsys, *resume, "--train", "x.conll")
    assert "holds a tag, not a pair" in mistake(capsys, "finetune", "pair", "--resume", "--out",
                                                runs["tag"])
    assert "holds a bert, not a tag" in mistake(capsys, "finetune", "tag", "--resume", "--out",
                                                world / "both" / "bert")
    assert "no run to resume" in mistake(capsys, "finetune", "tag", "--resume", "--out", tmp_path)
    assert "name its folder" in mistake(capsys, "finetune", "tag", "--resume")
    assert files_below(runs["tag"]) == before


def test_files_that_have_changed_since(world, tmp_path, capsys):
    own = tmp_path / "train.tsv"
    own.write_text((world / "train.tsv").read_text())
    output_of(capsys, *finetune("classify", world, tmp_path / "run", "--train", str(own)))
    own.write_text(own.read_text().replace("rome", "oslo"))
    line = mistake(capsys, "finetune", "classify", "--resume", "--out", tmp_path / "run",
                   "--epochs", "3")
    assert "no longer what this run was begun with" in line


@pytest.mark.parametrize("command, words", [
    (("evaluate", "{tag}", "--file", "{world}/no.txt"), "no such file"),
    (("evaluate", "{bert}", "--file", "x"), "holds a pre-training run: evaluate needs one of"),
    (("evaluate", "{world}/nothing", "--file", "x"), "no such folder"),
    (("evaluate", "{tag}", "--file", "{world}/dev.conll", "--text-column", "1"), "of their own"),
    (("evaluate", "{tag}", "--file", "{world}/dev.conll", "--null-threshold", "1"), "no answer"),
    (("predict", "{tag}", "--file", "{world}/dev.conll", "--out", "{world}/no/file"), "No such"),
    (("tag", "{answer}", "a"), "holds a run of finetune answer: tag needs one of finetune tag"),
    (("tag", "{tag}", " "), "nothing to tag"),
    (("answer", "{tag}", "--context", "x", "--question", "y"), "answer needs one of finetune"),
    (("answer", "{answer}", "--context", "{world}/no.txt", "--question", "y"), "no such file"),
    (("answer", "{answer}", "--context", "{world}/text.txt", "--question", " "), "--question is"),
    (("fill-mask", "{tag}", "a [MASK]"), "BertForTokenClassification"),
])
def test_questions_that_cannot_be_answered(world, runs, capsys, command, words):
    places = {"world": world, "bert": world / "both" / "bert", **runs}
    assert words in mistake(capsys, *[word.format(**places) for word in command])
