"""`generate`: what is shown, and that each option arrives."""

import pytest
from tests.cli.command_line import mistake, output_of

from minibert.__main__ import main


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


@pytest.mark.parametrize("command, words", [
    (("generate", "{both}/bert"), "holds BertForPreTraining"),
    (("generate", "{both}", "--temperature", "-1"), "temperature = -1"),
    (("generate", "{both}", "--repetition-penalty", "0"), "repetition_penalty = 0"),
    (("generate", "{both}", "--num-beams", "0"), "num_beams = 0"),
    (("generate", "{both}", "--tokens", "0"), "--tokens = 0"),
    (("generate", "{both}", "--num-beams", "2", "--top-k", "5"), "--top-k: --num-beams searches"),
    (("generate", "{both}", "--length-penalty", "2"), "--length-penalty: only --num-beams"),
    (("generate", "{both}", "--top-p", "0"), "top_p = 0"),
    (("generate", "{both}", "--top-k", "-1"), "top_k = -1"),
    (("generate", "{both}", "--seed", "-1"), "seed"),
])
def test_questions_that_cannot_be_answered(both, tmp_path, capsys, command, words):
    (tmp_path / "empty").mkdir()
    places = {"both": both, "no": tmp_path / "nothing", "empty": tmp_path / "empty"}
    assert words in mistake(capsys, *[word.format(**places) for word in command])


def test_every_option_is_passed_on(both, capsys, monkeypatch):
    passed = []

    def recorded(model, tokenizer, *arguments, **options):
        passed.append((type(model).__name__, arguments, options))
        return "the text"

    monkeypatch.setattr("minibert.cli.generate.continued", recorded)
    assert output_of(capsys, "generate", both, "--prompt", "a", "--tokens", "7", "--seed", "5",
                     "--temperature", "0.5", "--top-k", "3", "--top-p", "0.9",
                     "--repetition-penalty", "1.5") == ""
    assert output_of(capsys, "generate", both, "--num-beams", "2", "--length-penalty", "0.5",
                     "--repetition-penalty", "1.5") == "the text\n"
    assert passed == [
        ("GPT2LMHeadModel", ("a", 7), {"streamed": True, "rng": 5, "temperature": 0.5, "top_k": 3,
                                       "top_p": 0.9, "repetition_penalty": 1.5}),
        ("GPT2LMHeadModel", ("", 100), {"streamed": False, "rng": 0, "num_beams": 2,
                                        "length_penalty": 0.5, "repetition_penalty": 1.5})]


def test_the_order_of_two_texts_and_the_number_of_words_are_passed_on(both, capsys, monkeypatch):
    passed = []
    monkeypatch.setattr("minibert.cli.next_sentence.next_sentence_probability",
                        lambda model, tokenizer, *texts: passed.append(texts) or 0.25)
    monkeypatch.setattr("minibert.cli.fill_mask.fill_mask",
                        lambda model, tokenizer, *more: passed.append(more) or [])
    assert "25.0%: probably not" in output_of(capsys, "next-sentence", both, "one", "two")
    output_of(capsys, "fill-mask", both, "a [MASK]", "--top", "9")
    assert passed == [("one", "two"), ("a [MASK]", 9)]
