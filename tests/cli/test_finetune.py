"""`finetune`: all five tasks on tiny files."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from tests.cli.command_line import mistake, output_of
from tests.cli.labelled_world import FILES, SMALL, finetune

from minibert.checkpoints.safetensors import load_file
from minibert.cli.evaluate import summary_of
from minibert.cli.finetune import FinetuneOptions, settings_of
from minibert.cli.tasks import TaskOptions
from minibert.finetuning.build_model import fresh_model
from minibert.finetuning.encoding import Reading
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.sentences import Classification
from minibert.models.config import BertConfig
from minibert.pretraining.seeds import Purpose, generator
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.training.checkpoint import write_checkpoint
from minibert.training.run_folder import Run
from minibert.training.settings import TrainingSettings
from minibert.training.trainer import Trainer


@pytest.mark.parametrize("task, figures, words", [
    ("classify", {"accuracy", "macro_f1", "matthews"}, ["majority class", "classes in training",
                                                        "was taken for"]),
    ("pair", {"accuracy", "macro_f1", "matthews"}, ["majority class", "[SEP]"]),
    ("choice", {"accuracy"}, ["most frequent place", "<- right", "ending 1"]),
    ("tag", {"accuracy", "f1", "precision", "recall"}, ["each word's most frequent tag", "LOC",
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
    for text in (shown, output_of(capsys, "evaluate", out, "--file",
                                  world / f"dev.{FILES[task]}")):
        for name in figures:
            line = next(line for line in text.splitlines() if line.split()[:1] == [name])
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
    shown = output_of(capsys, *finetune("classify", world, tmp_path / "run", "--freeze-encoder"))
    before = load_file(world / "both" / "bert" / "best" / "model.safetensors")
    after = load_file(tmp_path / "run" / "latest" / "model.safetensors")
    same = [name for name in after if name in before and np.array_equal(after[name], before[name])]
    assert len(same) > 30 and all("encoder" in name or "embeddings" in name for name in same)
    assert not np.array_equal(after["bert.pooler.dense.weight"], before["bert.pooler.dense.weight"])
    trained = sum([array.size for name, array in after.items() if name not in same])
    assert f"{trained:,} of {sum([a.size for a in after.values()]):,} parameters are" in shown
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
    shown = output_of(capsys, *finetune(
        "classify", world, out, "--batch", "10", "--lr", "0.002", "--warmup", "1",
        "--weight-decay", "0.3", "--layer-decay", "0.5", "--freeze-layers", "1", "--dropout",
        "0.2", "--patience", "7", "--max-length", "16", "--stride", "3", "--seed", "9",
        "--metric", "matthews", "--class-weights", "--vote", "--workers", "2"))
    state = Run(out).state()
    expected = {"steps": 8, "lr": 0.002, "warmup": 1, "schedule": "linear", "weight_decay": 0.3,
                "layer_decay": 0.5, "patience": 7, "eval_every": 4, "seed": 9, "workers": 2}
    assert {name: state["settings"][name] for name in expected} == expected
    expected = {"batch": 10, "epochs": 2, "max_length": 16, "stride": 3, "freeze_layers": 1,
                "metric": "matthews", "vote": True, "labels": ["neg", "pos"]}
    assert {name: state["about"][name] for name in expected} == expected
    labels = [line.split("\t")[1] for line in (world / "train.tsv").read_text().splitlines()[1:]]
    assert state["about"]["weights"] == pytest.approx([20 / labels.count("neg"),
                                                       20 / labels.count("pos")])
    texts = [line.split("\t")[0] for line in (world / "train.tsv").read_text().splitlines()[1:]]
    order = generator(9, Purpose.EXAMPLES).permutation(40)
    first_examples = [line.split("[CLS] ")[1] for line in shown.replace(" ##", "").splitlines()
                      if line.startswith("  [CLS]")]
    assert first_examples == [f"{texts[place]} [SEP]" for place in order[:2]]
    config = json.loads((out / "latest" / "config.json").read_text())
    assert config["hidden_dropout_prob"] == config["attention_probs_dropout_prob"] == 0.2
    rates = [record["lr"] for record in Run(out).records() if record["kind"] == "step"]
    assert rates[0] == 0.001 and rates[1] == 0.002 and rates[-1] == pytest.approx(0.002 / 7)


def test_steps_and_warmup_follow_the_number_of_windows():
    objective = SimpleNamespace(rows=[[0] * 5] * 41, steps_per_epoch=11)
    options = FinetuneOptions(TaskOptions("tag", 9, 1, False), "x", "y", "z", threads=1, batch=4)
    settings = settings_of({}, options, objective, 16)
    assert (settings.steps, settings.warmup, settings.eval_every) == (31, 3, 11)  # 123 in fours
    assert settings_of({"warmup": 0}, options, objective, 16).warmup == 0


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


def test_tags_in_other_columns_with_words_counted_before_them(world, tmp_path, capsys):
    for part in ("train", "dev"):
        lines, number = ["# text = anna"], 0
        for line in (world / f"{part}.conll").read_text().splitlines()[2:]:
            number = number + 1 if line else 0
            lines.append("\t".join([str(number), *line.split(), "_"]) if line else "")
        (tmp_path / f"{part}.conllu").write_text("\n".join(lines) + "\n")
    files = ["--train", str(tmp_path / "train.conllu"), "--dev", str(tmp_path / "dev.conllu")]
    out = tmp_path / "run"
    line = mistake(capsys, *finetune("tag", world, out, *files))
    assert "train.conllu, line 2: the first column counts the words" in line
    output_of(capsys, *finetune("tag", world, out, *files, "--text-column", "2", "--label-column",
                                "3"))
    output_of(capsys, *finetune("tag", world, tmp_path / "plain"))
    assert Run(out).summary()["best"] == Run(tmp_path / "plain").summary()["best"]
    output_of(capsys, "evaluate", out, "--file", tmp_path / "dev.conllu")
    output_of(capsys, "predict", out, "--file", tmp_path / "dev.conllu", "--out", tmp_path / "tags")
    output_of(capsys, "evaluate", out, "--file", world / "dev.conll", "--text-column", "1",
              "--label-column", "2")
    words = [line.split("\t")[0] for line in (tmp_path / "tags").read_text().splitlines() if line]
    assert words[1:3] == ["lives", "in"]


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
    assert Run(tmp_path / "answer").state()["about"]["may_be_empty"] is False
    assert output_of(capsys, "tag", tmp_path / "tag", "苏轼住在眉山。") == ("[苏轼 PER]住在[眉山 LOC]。"
                                                                     "\n")
    answer = output_of(capsys, "answer", tmp_path / "answer", "--context",
                       tmp_path / "context.txt", "--question", "苏轼是哪里人？")
    assert answer.splitlines()[0].startswith("眉州眉山  (")
    assert answer.splitlines()[1] == "苏轼是[眉州眉山]人。他住在北京。"
    output_of(capsys, "predict", tmp_path / "answer", "--file", tmp_path / "train.json", "--out",
              tmp_path / "answers.json")
    assert "眉州眉山" in (tmp_path / "answers.json").read_text(encoding="utf-8")


def test_a_finetuned_run_gives_its_encoder_to_another_task(world, runs, tmp_path, capsys):
    path = tmp_path / "three.tsv"
    path.write_text("sentence\tlabel\nanna\tx\nbob\ty\ncarla\tz\n")
    files = ["--train", str(path), "--dev", str(path)]
    for start in ("tag", "classify"):
        out = tmp_path / start
        output_of(capsys, *finetune("classify", world, out, *files, start=f"run-{start}"))
        assert Run(out).state()["about"]["labels"] == ["x", "y", "z"]


def test_stopped_early_is_said(world, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, *finetune("tag", world, out, "--epochs", "30", "--patience", "1", "--lr",
                                "0.1"))
    summary = Run(out).summary()
    assert summary["steps"] < summary["settings"]["steps"] == 75
    assert summary["steps"] - summary["best"]["step"] == 3
    assert "stopped early" in output_of(capsys, "info", out)
