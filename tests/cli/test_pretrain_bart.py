"""`pretrain bart`: a tiny encoder-decoder, resumed to the same bits, described, and asked."""

import json

import pytest
from tests.cli.command_line import files_below, mistake, output_of, pretrain

from minibert.__main__ import main
from minibert.cli.samples import FilledSpans
from minibert.pretraining.span_corruption import SpanCorruptionObjective, with_sentinels
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.training.run_folder import Run


@pytest.fixture(scope="module")
def bart(text, tmp_path_factory):
    out = tmp_path_factory.mktemp("bart") / "run"
    assert main(pretrain("bart", text, out, "--steps", "6", "--eval-every", "3")) == 0
    return out


def test_what_is_written_and_shown(bart, text, tmp_path, capsys):
    config = json.loads((bart / "latest" / "config.json").read_text())
    assert config["model_type"] == "bart" and config["decoder_layers"] == 1
    assert config["d_model"] == 16 and config["decoder_ffn_dim"] == 64
    assert config["decoder_start_token_id"] == config["eos_token_id"] == 3
    summary = Run(bart).summary()
    assert set(summary["held_out"]) == {"loss"} and set(summary["baselines"]) == {"uniform"}
    resume = ["pretrain", "bart", "--resume", "--out"]
    output_of(capsys, *pretrain("bart", text, tmp_path / "run", "--steps", "3", "--eval-every",
                                "3", "--warmup", "0", "--schedule", "constant"))
    shown = output_of(capsys, *resume, tmp_path / "run", "--steps", "6")
    assert "BART fills spans" in shown and "spans and sentinels" in shown
    output_of(capsys, *pretrain("bart", text, tmp_path / "once", "--steps", "6", "--eval-every",
                                "3", "--warmup", "0", "--schedule", "constant"))
    weights = [files_below(tmp_path / run / "latest")["model.safetensors"]
               for run in ("run", "once")]
    assert weights[0] == weights[1]
    assert "bart" in output_of(capsys, "info", bart)


@pytest.mark.parametrize("context", [3, 8])
def test_a_context_shorter_than_the_sample_is_trained_to_its_end(text, tmp_path, capsys, context):
    shown = output_of(capsys, *pretrain("bart", text, tmp_path, "--steps", "1", "--context",
                                        str(context)))
    assert "BART fills spans" in shown


def test_the_sample_is_the_text_whose_spans_are_nearest_to_8_tokens():
    tokenizer = with_sentinels(BertTokenizer.from_words("abcd."), 24)
    documents = [["a b c d ."] * 40]
    objective = SpanCorruptionObjective(tokenizer, documents, documents, 24, 4)
    lengths = (next(objective.held_out_batches()).targets != -100).sum(axis=1)
    sample = FilledSpans(objective, tokenizer)
    assert lengths[0] != 8 and len(sample.target) == 8 in lengths


def test_it_answers_a_text(bart, capsys):
    asked = ("generate", bart, "--prompt", "the cat <extra_id_0> milk .", "--tokens", "5")
    greedy = output_of(capsys, *asked, "--temperature", "0")
    assert greedy == output_of(capsys, *asked, "--temperature", "0") and "[SEP]" not in greedy
    output_of(capsys, *asked, "--num-beams", "2")
    assert output_of(capsys, *asked) == output_of(capsys, *asked)


@pytest.mark.parametrize("command, words", [
    (("generate", "{bart}"), "--prompt: an encoder-decoder answers a text"),
    (("score", "{bart}", "a cat"), "holds BartForConditionalGeneration: score needs"),
    (("fill-mask", "{bart}", "a [MASK]"), "holds BartForConditionalGeneration: fill-mask needs"),
    (("look", "{bart}", "a cat"), "; generate and info read it"),
    (("pretrain", "bart", "--film", "3"), "--film is about"),
    (("pretrain", "bart", "--no-next-sentence"), "--no-next-sentence is about BERT"),
    (("pretrain", "bart", "--from", "{both}/bert"), "pretrain bart --from needs a BART"),
    (("pretrain", "bart", "--text", "{text}", "--tokenizer", "chars", "--out", "{no}"),
     "which BART needs; use wordpiece")])
def test_mistakes(bart, both, text, tmp_path, capsys, command, words):
    places = {"bart": bart, "both": both, "text": text, "no": tmp_path / "no"}
    assert words in mistake(capsys, *[part.format(**places) for part in command])
