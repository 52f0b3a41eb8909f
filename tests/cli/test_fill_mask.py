"""`fill-mask` and `next-sentence` on runs and on the folder of both."""

import pytest
from tests.cli.command_line import mistake, output_of


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


@pytest.mark.parametrize("command, words", [
    (("fill-mask", "{no}", "a [MASK]"), "no such folder"),
    (("fill-mask", "{empty}", "a [MASK]"), "neither a run nor a model"),
    (("fill-mask", "{both}", "no gap"), "[MASK]"),
    (("fill-mask", "{both}", "a [MASK]", "--top", "0"), "--top = 0"),
    (("fill-mask", "{both}", "[MASK] " * 40), "positions"),
    (("fill-mask", "{both}/gpt", "a [MASK]"), "holds GPT2LMHeadModel"),
    (("next-sentence", "{both}/gpt", "a", "b"), "holds GPT2LMHeadModel"),
    (("next-sentence", "{both}", " ", "b"), "A is empty"),
    (("next-sentence", "{both}", "a", ""), "B is empty"),
])
def test_questions_that_cannot_be_answered(both, tmp_path, capsys, command, words):
    (tmp_path / "empty").mkdir()
    places = {"both": both, "no": tmp_path / "nothing", "empty": tmp_path / "empty"}
    assert words in mistake(capsys, *[word.format(**places) for word in command])
