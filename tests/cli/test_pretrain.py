"""`pretrain`: a BERT, a GPT or both on a tiny text, what it leaves, and what it refuses."""

import json

import numpy as np
import pytest
from tests.cli.command_line import files_below, mistake, output_of, pretrain, write_text
from tests.training.momentum import Momentum

from minibert.checkpoints.safetensors import load_file
from minibert.training.optim import OPTIMIZERS
from minibert.training.run_folder import Run


def test_both_end_side_by_side(text, tmp_path, capsys):
    shown = output_of(capsys, *pretrain("both", text, tmp_path / "run", "--steps", "4",
                                        "--norm-first"))
    for words in ("seed 1", "first examples", "weight decay of 0.1 on bert.stack",
                  "no weight decay on",
                  "parameters, ", "held-out sentences also occur", "counting pairs of words",
                  "next sentence: this model", "BERT fills a gap", "BERT judges pairs",
                  "GPT writes"):
        assert words in shown, words
    assert shown.count("GPT writes") == 1 and shown.count("\n  - ") == 3
    summaries = {which: Run(tmp_path / "run" / which).summary() for which in ("bert", "gpt")}
    for name in ("loss", "mlm_loss", "mlm_accuracy", "nsp_accuracy"):
        assert np.isfinite(summaries["bert"]["held_out"][name])
    for name in ("loss", "bits_per_character"):
        assert np.isfinite(summaries["gpt"]["held_out"][name])
    assert set(summaries["gpt"]) == {"schema", "settings", "about", "parameters", "steps",
                                     "held_out",
                                     "best", "seconds", "tokens_per_second", "baselines", "oracle"}
    assert set(summaries["gpt"]["baselines"]) == {"uniform", "unigram", "bigram"}
    resume = ["pretrain", "both", "--resume", "--out", tmp_path / "run", "--steps", "5"]
    assert "5 steps" in output_of(capsys, *resume, "--norm-first"), "BERT's option alone"


def test_options_reach_what_they_name(text, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, *pretrain(
        "bert", text, out, "--steps", "3", "--lr", "0.002", "--min-lr", "0.0005", "--warmup", "1",
        "--schedule", "linear", "--weight-decay", "0.3", "--betas", "0.8", "0.9", "--clip", "0.5",
        "--dropout", "0.2", "--accumulate", "2", "--eval-every", "2", "--seed", "9", "--norm-first",
        "--no-next-sentence"))
    state = Run(out).state()
    expected = {"steps": 3, "lr": 0.002, "min_lr": 0.0005, "warmup": 1, "schedule": "linear",
                "weight_decay": 0.3, "betas": [0.8, 0.9], "clip": 0.5, "accumulate": 2,
                "eval_every": 2,
                "seed": 9}
    assert {name: state["settings"][name] for name in expected} == expected
    config = json.loads((out / "latest" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["num_attention_heads"],
            config["hidden_size"]) == (1, 2, 16)
    assert config["intermediate_size"] == 64 and config["max_position_embeddings"] == 24
    assert config["hidden_dropout_prob"] == config["attention_probs_dropout_prob"] == 0.2
    assert config["norm_first"] is True and config["vocab_size"] <= 80
    assert "nsp_accuracy" not in state["held_out"] and "mlm_accuracy" in state["held_out"]
    rates = [record["lr"] for record in Run(out).records() if record["kind"] == "step"]
    assert rates == pytest.approx([0.001, 0.002, 0.00125])


def test_static_masks_survive_a_resume_to_the_bit(text, tmp_path, capsys):
    more = ("--schedule", "constant", "--warmup", "0", "--dupe-factor", "1")
    weights = {}
    for name, steps in (("straight", (9,)), ("resumed", (5, 9))):
        out = tmp_path / name
        output_of(capsys, *pretrain("bert", text, out, "--steps", steps[0], *more))
        for further in steps[1:]:
            resume = ["pretrain", "bert", "--resume", "--out", out]
            assert "--dupe-factor is 2, but" in mistake(capsys, *resume, "--dupe-factor", 2)
            output_of(capsys, *resume, "--steps", further)
        weights[name] = (out / "latest" / "model.safetensors").read_bytes()
        assert Run(out).state()["about"]["dupe_factor"] == 1
    assert "dupe_factor" in output_of(capsys, "info", out)
    assert weights["straight"] == weights["resumed"]


def test_what_is_not_given_follows_what_is(text, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, *pretrain("gpt", text, out, "--steps", "20", "--lr", "0.001"))
    settings = Run(out).state()["settings"]
    assert settings["min_lr"] == pytest.approx(1e-4)
    assert settings["warmup"] == 2 and settings["eval_every"] == 4


def test_characters_for_gpt(text, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, "pretrain", "gpt", "--text", text, "--steps", "2", "--out", out, "--layers",
              "1",
              "--width", "16", "--heads", "2", "--threads", "1")
    assert (out / "latest" / "characters.json").exists()
    generated = output_of(capsys, "generate", out, "--prompt", "the c", "--tokens", "150")
    assert generated.startswith("the c"), "longer than the context: the window slides"


def test_the_same_seed_the_same_files(text, tmp_path, capsys):
    logs = []
    for name in ("one", "two"):
        output_of(capsys, *pretrain("bert", text, tmp_path / name, "--steps", "3"))
        logs.append(((tmp_path / name / "log.jsonl").read_bytes(),
                     (tmp_path / name / "latest/model.safetensors").read_bytes()))
    assert logs[0] == logs[1]


def test_another_optimizer_is_a_line_in_the_table(text, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "momentum", Momentum)
    output_of(capsys, *pretrain("gpt", text, tmp_path, "--steps", "3", "--optimizer", "momentum"))
    assert Run(tmp_path).state()["settings"]["optimizer"] == "momentum"
    arrays = load_file(tmp_path / "latest" / "optimizer.safetensors")
    assert {name.split(".")[0] for name in arrays} == {"momentum_buffer", "step"}
    assert "invalid choice: 'sgd'" in mistake(capsys, *pretrain("gpt", text, tmp_path / "other",
                                                                "--optimizer", "sgd"))


def test_workers_are_stored_and_reused(text, tmp_path, capsys, monkeypatch):
    """For a given number of workers the same bits, also after a resume that does not name it."""
    more = ["--steps", "6", "--dropout", "0.1", "--workers", "2"]
    monkeypatch.setattr("minibert.cli.pretrain.blas_threads", lambda: 2)
    shown = output_of(capsys, *pretrain("both", text, tmp_path / "straight", *more))
    assert "bert: 2 workers share each batch" in shown and "gpt: 2 workers" in shown
    stopped = tmp_path / "stopped"
    output_of(capsys, *pretrain("both", text, stopped, *more, "--eval-every", "0"))
    output_of(capsys, "pretrain", "both", "--resume", "--out", stopped, "--steps", "9")
    output_of(capsys, "pretrain", "both", "--resume", "--out", tmp_path / "straight",
              "--steps", "9")
    for which in ("bert", "gpt"):
        assert Run(stopped / which).state()["settings"]["workers"] == 2
        one, other = [path / which / "latest/model.safetensors"
                      for path in (tmp_path / "straight", stopped)]
        assert one.read_bytes() == other.read_bytes()
    assert "--workers is 3, but" in mistake(capsys, "pretrain", "both", "--resume", "--out",
                                            stopped, "--workers", "3")
    monkeypatch.setattr("minibert.cli.pretrain.blas_threads", lambda: None)
    shown = output_of(capsys, *pretrain("gpt", text, tmp_path / "unknown", *more))
    assert shown.count("one worker") == 1 and "workers share" not in shown
    assert Run(tmp_path / "unknown").state()["settings"]["workers"] == 1


@pytest.mark.parametrize("model, more, words", [
    ("gpt", ("--layers", "0"), "--layers = 0"),
    ("gpt", ("--width", "15"), "15 cannot be split into 2 heads"),
    ("gpt", ("--width", "0"), "--width = 0"),
    ("gpt", ("--steps", "0"), "--steps = 0"),
    ("gpt", ("--batch", "-1"), "--batch = -1"),
    ("gpt", ("--lr", "0"), "lr = 0.0"),
    ("gpt", ("--lr", "nan"), "lr = nan"),
    ("gpt", ("--lr", "inf"), "lr = inf: expected a finite number"),
    ("gpt", ("--min-lr", "1"), "min_lr = 1.0"),
    ("gpt", ("--warmup", "-1"), "warmup = -1"),
    ("gpt", ("--dropout", "1"), "1.0"),
    ("gpt", ("--clip", "-1"), "clip = -1.0"),
    ("gpt", ("--betas", "0.9", "1"), "betas"),
    ("gpt", ("--accumulate", "0"), "accumulate = 0"),
    ("gpt", ("--eval-every", "-2"), "eval_every = -2"),
    ("gpt", ("--seed", "-2"), "seed = -2"),
    ("gpt", ("--threads", "0"), "--threads = 0"),
    ("gpt", ("--workers", "0"), "workers = 0"),
    ("gpt", ("--context", "100000"), "too short"),
    ("bert", ("--context", "4"), "= 4: expected a whole number from 5"),
    ("bert", ("--vocab-size", "6"), "--vocab-size"),
    ("gpt", ("--norm-first",), "--norm-first"),
    ("gpt", ("--no-next-sentence",), "--no-next-sentence"),
    ("bert", ("--dupe-factor", "0"), "--dupe-factor = 0"),
    ("gpt", ("--width", "100000000000"), "not enough memory"),
])
def test_options_that_cannot_be(text, tmp_path, capsys, model, more, words):
    line = mistake(capsys, *pretrain(model, text, tmp_path / "run", *more))
    assert words in line or "vocab" in line and words == "--vocab-size"
    assert not (tmp_path / "run").exists(), "nothing is left behind"


@pytest.mark.parametrize("content, words", [
    (None, "no such file"), (b"", "empty"), (b"  \n\n", "empty"),
    (b"\x89PNG\r\n\x00\x00\x00\rIHDR", "binary"), (b"caf\xe9 au lait", "UTF-8"), (b"word", "text")])
def test_texts_that_cannot_be_read(tmp_path, capsys, content, words):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    for model in ("bert", "gpt"):
        assert words in mistake(capsys, *pretrain(model, path, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_one_document_offers_masked_words_alone(tmp_path, capsys):
    path = write_text(tmp_path / "one.txt", documents=1)
    assert "alone" in mistake(capsys, *pretrain("bert", path, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_options_that_would_be_ignored(tmp_path, capsys):
    assert "--format" in mistake(capsys, "pretrain", "gpt", "--format", "lines", "--out",
                                 tmp_path / "a")
    assert "--vocab-size" in mistake(capsys, "pretrain", "gpt", "--vocab-size", "9", "--out",
                                     tmp_path / "a")
    assert "chars" in mistake(capsys, "pretrain", "bert", "--tokenizer", "chars", "--out",
                              tmp_path / "a")


def test_an_existing_folder_is_not_touched(text, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    assert "exists already" in mistake(capsys, *pretrain("gpt", text, tmp_path / "run"))
    assert "exists already" in mistake(capsys,
                                       *pretrain("both", text, tmp_path / "run" / "thesis.txt"))
    assert files_below(tmp_path) == {"run/thesis.txt": b"years of work"}


def test_a_rate_that_destroys_the_model_says_what_to_do(text, tmp_path, capsys):
    line = mistake(capsys, *pretrain("gpt", text, tmp_path / "run", "--lr", "1e18", "--clip", "0",
                                     "--warmup", "0", "--steps", "50"))
    assert "last good checkpoint" in line and "detect_anomaly" in line
    assert Run(tmp_path / "run").state()["step"] == 0
