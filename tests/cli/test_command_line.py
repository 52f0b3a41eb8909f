"""The command line: every command on a tiny run, every mistake one line and exit status 2."""

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
from tests.cli.command_line import files_below, mistake, output_of, pretrain, write_text

from minibert.__main__ import main
from minibert.training.run_folder import Run

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "animals.txt")


@pytest.fixture(scope="module")
def both(text, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "both"
    assert main(pretrain("both", text, out, "--steps", "12", "--eval-every", "6")) == 0
    return out


# ---- what works ----------------------------------------------------------------------------------


def test_both_end_side_by_side(text, tmp_path, capsys):
    shown = output_of(capsys, *pretrain("both", text, tmp_path / "run", "--steps", "4"))
    for words in ("seed 1", "first examples", "weight decay of 0.1 on bert.stack",
                  "no weight decay on",
                  "parameters, ", "held-out sentences also occur", "counting pairs of words",
                  "next sentence: this model", "BERT fills a gap", "BERT judges pairs",
                  "GPT writes"):
        assert words in shown, words
    summaries = {which: Run(tmp_path / "run" / which).summary() for which in ("bert", "gpt")}
    for name in ("loss", "mlm_loss", "mlm_accuracy", "nsp_accuracy"):
        assert np.isfinite(summaries["bert"]["held_out"][name])
    for name in ("loss", "bits_per_character"):
        assert np.isfinite(summaries["gpt"]["held_out"][name])
    assert set(summaries["gpt"]) == {"schema", "settings", "about", "parameters", "steps",
                                     "held_out",
                                     "best", "seconds", "tokens_per_second", "baselines", "oracle"}
    assert set(summaries["gpt"]["baselines"]) == {"uniform", "unigram", "bigram"}


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


def test_info_and_compare(both, capsys):
    shown = output_of(capsys, "info", both / "bert")
    assert "12 of 12 steps" in shown and "held out: mlm_accuracy" in shown and "o held out" in shown
    shown = output_of(capsys, "compare", both / "bert", both / "gpt")
    assert "mlm_loss" in shown and "bits_per_character" in shown and "seconds" in shown


def test_questions_to_a_run_and_to_the_folder_of_both(both, capsys):
    for run in (both, both / "bert", both / "bert" / "best"):
        shown = output_of(capsys, "fill-mask", run, "the [MASK] eats [MASK] .", "--top", "3")
        lines = shown.splitlines()
        assert [line for line in lines if line.startswith("gap")] == ["gap 1", "gap 2"]
        first = [float(line.split("%")[0]) for line in lines[1:4]]
        assert len(lines) == 8 and first == sorted(first, reverse=True)
    assert "probability" in output_of(capsys, "next-sentence", both, "the cat sees milk .",
                                      "a dog .")
    texts = [output_of(capsys, "generate", both, "--prompt", "the cat", "--tokens", "12", "--seed",
                       seed)
             for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2] and texts[0].startswith("the cat")
    greedy = [output_of(capsys, "generate", both, "--temperature", "0", "--seed", seed)
              for seed in (1, 2)]
    assert greedy[0] == greedy[1]


def test_generate_is_shown_while_it_is_written(both, capsys, monkeypatch):
    written = []
    monkeypatch.setattr("sys.stdout.write", written.append)
    assert main(["generate", str(both), "--prompt", "the cat", "--tokens", "5", "--temperature",
                 "0"]) == 0
    parts = [part for part in written if part]
    assert len(parts) > 3 and parts[0] == "the cat" and "".join(parts).count("\n") == 1


def test_beams_and_penalties_reach_the_search(both, capsys):
    def generated(*options):
        return output_of(capsys, "generate", both, "--prompt", "the cat", "--tokens", "12",
                         "--temperature", "0", *options)

    greedy = generated()
    assert greedy != generated("--repetition-penalty", "5")
    texts = [output_of(capsys, "generate", both, "--prompt", "the cat", "--tokens", "12",
                       "--num-beams", "4", "--length-penalty", penalty) for penalty in (1, -9)]
    assert all([text.startswith("the cat") for text in texts])
    assert len(texts[0]) >= len(texts[1])


def test_score_adds_up(both, capsys):
    lines = output_of(capsys, "score", both, "the cat sees milk .").splitlines()
    *tokens, last = [float(line.split()[0]) for line in lines]
    assert last == pytest.approx(sum(tokens), abs=1e-3) and all([log_p < 0 for log_p in tokens])
    assert f"{len(tokens)} tokens" in lines[-1]
    perplexity = float(lines[-1].split()[-1])
    assert perplexity == pytest.approx(np.exp(-last / len(tokens)), rel=1e-3)


def test_trace_shows_both_directions(both, tmp_path, capsys):
    shown = output_of(capsys, "trace", both / "bert", "the cat", "--write",
                      tmp_path / "trace.jsonl")
    assert "forward" in shown and "backward" in shown and "layer_norm" in shown
    assert json.loads((tmp_path / "trace.jsonl").read_text().splitlines()[0])["schema"]
    written = files_below(tmp_path)
    assert "exists already" in mistake(capsys, "trace", both / "bert", "a", "--write",
                                       tmp_path / "trace.jsonl")
    assert files_below(tmp_path) == written


def test_gradcheck_passes_and_notices_a_wrong_gradient(capsys, monkeypatch):
    assert "all gradients are right" in output_of(capsys, "gradcheck")
    from minibert.cli import show
    monkeypatch.setattr(show, "check_all", lambda method: iter(()))
    models = show._small_models()
    model = models[0][2]
    monkeypatch.setattr(show, "_small_models", lambda: [
        ("wrong", lambda: models[0][1]() + float(np.real(model.nsp_head.bias.data[0])), model)])
    assert main(["gradcheck", "--method", "central"]) == 1
    assert "WRONG" in capsys.readouterr().out


# ---- resuming ------------------------------------------------------------------------------------


def test_a_finished_run_can_be_told_to_go_on(text, tmp_path, capsys):
    out = tmp_path / "run"
    output_of(capsys, *pretrain("gpt", text, out, "--steps", "4", "--schedule", "constant"))
    first = (out / "summary.json").read_bytes()
    output_of(capsys, "pretrain", "gpt", "--resume", "--out", out, "--steps", "7")
    assert Run(out).summary()["steps"] == 7 == Run(out).state()["settings"]["steps"]
    (out / "summary.json").write_bytes(first)  # as if it had been stopped before its new summary
    assert "not finished: go on with pretrain --resume" in output_of(capsys, "info", out)


def test_characters_that_a_terminal_cannot_show_do_not_end_a_command(text, tmp_path):
    snow = write_text(tmp_path / "snow.txt")
    snow.write_text(snow.read_text().replace("fish", "\u2603"), encoding="utf-8")
    arguments = pretrain("bert", snow, tmp_path / "run", "--steps", "2")
    done = subprocess.run([sys.executable, "-m", "minibert", *arguments], cwd=ROOT,
                          capture_output=True, env=dict(os.environ, PYTHONIOENCODING="latin-1"))
    assert done.returncode == 0 and b"\\u2603" in done.stdout, done.stderr


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


def test_killed_at_random_moments_and_resumed_it_leaves_the_same_bytes(text, tmp_path, capsys):
    steps = ["--steps", "36", "--eval-every", "4", "--dropout", "0.1"]
    output_of(capsys, *pretrain("both", text, tmp_path / "straight", *steps))
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "minibert"]
    killed, rng = tmp_path / "killed", random.Random(os.getpid())
    arguments = pretrain("both", text, killed, *steps)
    kills = 0
    for attempt in range(20):
        before = _log_sizes(killed)
        process = subprocess.Popen(command + arguments, env=environment, stdout=subprocess.DEVNULL)
        if attempt < 3:
            begun = _wait_until(lambda: _log_sizes(killed) != before or process.poll() is not None)
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


def _log_sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in sorted(folder.glob("*/log.jsonl"))]


def _wait_until(happened, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to a process of its own")
def test_ctrl_c_says_how_to_go_on(text, tmp_path):
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "minibert"] + pretrain("gpt", text, out, "--steps", "100000"),
        env=dict(os.environ, PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    log = out / "log.jsonl"
    assert _wait_until(lambda: log.exists() and log.stat().st_size > 3000)
    process.send_signal(signal.SIGINT)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors == ""
    assert f"python -m minibert pretrain gpt --resume --out {out}" in shown.splitlines()[-1]
    assert Run(out).state()["step"] == Run(out).records()[-1]["step"] > 0


def test_info_of_a_run_that_was_stopped_before_its_first_step(text, tmp_path, capsys, monkeypatch):
    def stopped(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("minibert.training.trainer.Trainer.run", stopped)
    assert main(pretrain("gpt", text, tmp_path / "run", "--steps", "9")) == 130
    monkeypatch.undo()
    capsys.readouterr()
    assert "0 of 9 steps, not finished" in output_of(capsys, "info", tmp_path / "run")
    output_of(capsys, "pretrain", "gpt", "--resume", "--out", tmp_path / "run")
    assert "9 of 9 steps" in output_of(capsys, "info", tmp_path / "run")


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, words", [
    ((), "required: command"),
    (("train",), "invalid choice: 'train'"),
    (("pretrain",), "required: model"),
    (("pretrain", "elmo"), "invalid choice: 'elmo'"),
    (("pretrain", "gpt", "--layers", "two"), "invalid int value: 'two'"),
    (("pretrain", "gpt", "--resume", "false"), "unrecognized arguments: false"),
    (("pretrain", "bert", "--norm-first", "false"), "unrecognized arguments: false"),
    (("pretrain", "gpt", "--step", "3"), "unrecognized arguments: --step"),
    (("pretrain", "gpt", "--betas", "0.9"), "expected 2 arguments"),
    (("pretrain", "gpt", "--corpus", "toy", "--text", "x"), "not allowed with"),
    (("info",), "required: RUN"),
    (("compare", "x"), "required: RUN"),
    (("generate", "x", "--top-k", "1.5"), "invalid int value"),
    (("gradcheck", "--method", "guess"), "invalid choice: 'guess'"),
])
def test_words_that_are_not_understood(capsys, arguments, words):
    assert words in mistake(capsys, *arguments)


@pytest.mark.parametrize("model, more, words", [
    ("gpt", ("--layers", "0"), "--layers is 0"),
    ("gpt", ("--width", "15"), "15 cannot be split into 2 heads"),
    ("gpt", ("--width", "0"), "--width is 0"),
    ("gpt", ("--steps", "0"), "--steps is 0"),
    ("gpt", ("--batch", "-1"), "--batch is -1"),
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
    ("gpt", ("--threads", "0"), "--threads is 0"),
    ("gpt", ("--workers", "0"), "--workers is 0"),
    ("gpt", ("--context", "100000"), "too short"),
    ("bert", ("--context", "4"), "context 4"),
    ("bert", ("--vocab-size", "6"), "--vocab-size"),
    ("gpt", ("--norm-first",), "--norm-first"),
    ("gpt", ("--no-next-sentence",), "--no-next-sentence"),
    ("gpt", ("--width", "100000000000"), "not enough memory"),
])
def test_options_that_cannot_be(text, tmp_path, capsys, model, more, words):
    line = mistake(capsys, *pretrain(model, text, tmp_path / "run", *more))
    assert words in line or "vocab" in line and words == "--vocab-size"
    assert not (tmp_path / "run").exists(), "nothing is left behind"


@pytest.mark.parametrize("content, words", [
    (None, "no such file"), (b"", "empty"), (b"  \n\n", "empty"), (b"\x00\x01\x02", "binary"),
    (b"caf\xe9 au lait", "UTF-8"), (b"word", "text")])
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


def test_a_full_disk_leaves_no_half_trace(both, tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minibert.atomic_files.os.fsync", full)
    line = mistake(capsys, "trace", both / "gpt", "the cat", "--write", tmp_path / "ops.jsonl")
    assert "ops.jsonl: No space left on device: free some space" in line
    assert not any(tmp_path.iterdir())


def test_a_rate_that_destroys_the_model_says_what_to_do(text, tmp_path, capsys):
    line = mistake(capsys, *pretrain("gpt", text, tmp_path / "run", "--lr", "1e18", "--clip", "0",
                                     "--warmup", "0", "--steps", "50"))
    assert "last good checkpoint" in line and "detect_anomaly" in line
    assert Run(tmp_path / "run").state()["step"] == 0


@pytest.mark.parametrize("command, words", [
    (("info", "{no}"), "no such folder"),
    (("info", "{both}"), "name one of its runs"),
    (("info", "{empty}"), "no run is in this folder"),
    (("compare", "{both}/bert", "{no}"), "no such folder"),
    (("fill-mask", "{no}", "a [MASK]"), "no such folder"),
    (("fill-mask", "{empty}", "a [MASK]"), "neither a run nor a model"),
    (("fill-mask", "{both}", "no gap"), "[MASK]"),
    (("fill-mask", "{both}", "a [MASK]", "--top", "0"), "--top is 0"),
    (("fill-mask", "{both}", "[MASK] " * 40), "positions"),
    (("fill-mask", "{both}/gpt", "a [MASK]"), "holds GPT2LMHeadModel"),
    (("next-sentence", "{both}/gpt", "a", "b"), "holds GPT2LMHeadModel"),
    (("next-sentence", "{both}", " ", "b"), "A is empty"),
    (("next-sentence", "{both}", "a", ""), "B is empty"),
    (("generate", "{both}/bert"), "holds BertForPreTraining"),
    (("generate", "{both}", "--temperature", "-1"), "temperature is -1"),
    (("generate", "{both}", "--repetition-penalty", "0"), "repetition_penalty is 0"),
    (("generate", "{both}", "--num-beams", "0"), "num_beams is 0"),
    (("generate", "{both}", "--tokens", "0"), "--tokens is 0"),
    (("generate", "{both}", "--num-beams", "2", "--top-k", "5"), "--top-k: --num-beams searches"),
    (("generate", "{both}", "--length-penalty", "2"), "--length-penalty: only --num-beams"),
    (("generate", "{both}", "--top-p", "0"), "top_p is 0"),
    (("generate", "{both}", "--top-k", "-1"), "top_k is -1"),
    (("generate", "{both}", "--seed", "-1"), "seed"),
    (("score", "{both}", ""), "empty"),
    (("score", "{both}", "cat " * 60), "positions"),
    (("score", "{both}/bert", "a"), "holds BertForPreTraining"),
    (("trace", "{both}/gpt", "cat " * 60), "positions"),
    (("trace", "{both}/gpt", "cat", "--write", "{no}/file"), "No such file"),
])
def test_questions_that_cannot_be_answered(both, tmp_path, capsys, command, words):
    (tmp_path / "empty").mkdir()
    places = {"both": both, "no": tmp_path / "nothing", "empty": tmp_path / "empty"}
    assert words in mistake(capsys, *[word.format(**places) for word in command])


@pytest.mark.parametrize("name, damage", [
    ("model.safetensors", lambda data: data[:len(data) // 2]),
    ("model.safetensors", lambda data: b"oops"),
    ("config.json", lambda data: b"{"), ("config.json", lambda data: b"[]"),
    ("config.json", lambda data: data.replace(b'"gpt2"', b'"llama"')),
    ("config.json", lambda data: data.replace(b'"n_embd": 16', b'"n_embd": 18')),
    ("vocab.txt", lambda data: data[:9])])
def test_damaged_checkpoints_are_named(both, tmp_path, capsys, name, damage):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for source in (both / "gpt" / "best").iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    line = mistake(capsys, "score", folder, "the cat")
    assert "damaged" in line or "vocabulary" in line
