"""From options to a task: each of them arrives."""

from dataclasses import replace

import pytest

import minibert as mb
from minibert.cli.folders import tokenizer_of
from minibert.cli.tasks import TaskOptions, learned_from, task_of
from minibert.finetuning.examples import Answer, QuestionExample
from minibert.tokenizers.wordpiece import BertTokenizer

OPTIONS = TaskOptions("tag", 16, 3, False, labels=("O", "B-X"), weights=(1.0, 2.5),
                      metric="matthews")
TOKENIZER = BertTokenizer.from_words("abc")


@pytest.mark.parametrize("name", ["classify", "pair", "tag"])
def test_a_task_is_what_its_options_say(name):
    task = task_of(replace(OPTIONS, task=name), TOKENIZER)
    assert task.name == name and (task.reading.max_length, task.reading.overlap) == (16, 3)
    assert task.labels == ("O", "B-X") and task.weights.tolist() == [1.0, 2.5]
    assert task.metric_for_best_model == ("f1" if name == "tag" else "matthews")
    if name != "tag":
        assert task_of(replace(OPTIONS, task=name, regression=True), TOKENIZER).name == name


def test_whether_questions_may_have_no_answer_is_seen_in_training():
    asked = [QuestionExample(id, "?", "a", answers)
             for id, answers in (("1", (Answer("a", 0),)), ("2", ()))]
    for examples, may_be_empty in ((asked, True), (asked[:1], False)):
        options = replace(OPTIONS, task="answer")
        task = task_of(learned_from(options, examples, "x"), TOKENIZER)
        assert task.may_be_empty is may_be_empty


def test_characters_that_a_gpt_never_saw_are_unknown(tmp_path):
    characters = mb.CharTokenizer.train(["ab"])
    characters.save_pretrained(tmp_path)
    assert tokenizer_of(tmp_path, characters.vocab_size).encode("acb") == [
        *characters.encode("a"), characters.unk_token_id, *characters.encode("b")]
