"""From stored options to a task: each of them arrives; the other commands' own lines."""

import pytest
from tests.cli.command_line import output_of

import minibert as mb
from minibert.cli.predict import open_finetuned
from minibert.cli.tasks import learned_from, task_of, tokenizer_of
from minibert.finetuning.examples import Answer, QuestionExample
from minibert.finetuning.tasks.question_answering import Found
from minibert.tokenizers.wordpiece import BertTokenizer

OPTIONS = {"max_length": 16, "stride": 3, "left_to_right": False, "labels": ["O", "B-X"],
           "weights": [1.0, 2.5], "metric": "matthews", "vote": False, "regression": False}
TOKENIZER = BertTokenizer.from_words("abc")


@pytest.mark.parametrize("name", ["classify", "pair", "tag"])
def test_a_task_is_what_its_options_say(name):
    task = task_of({**OPTIONS, "task": name}, TOKENIZER)
    assert task.name == name and (task.reading.max_length, task.reading.stride) == (16, 3)
    assert task.labels == ("O", "B-X") and task.weights.tolist() == [1.0, 2.5]
    assert task.metric_for_best_model == ("f1" if name == "tag" else "matthews")
    if name != "tag":
        assert task_of({**OPTIONS, "task": name, "regression": True}, TOKENIZER).name == name


def test_whether_questions_may_have_no_answer_is_seen_in_training():
    asked = [QuestionExample(id, "?", "a", answers)
             for id, answers in (("1", (Answer("a", 0),)), ("2", ()))]
    for examples, may_be_empty in ((asked, True), (asked[:1], False)):
        learned = learned_from({"task": "answer", "train": "x"}, examples)
        assert learned == {"may_be_empty": may_be_empty}
        task = task_of({**OPTIONS, "task": "answer", **learned}, TOKENIZER)
        assert task.may_be_empty is may_be_empty


def test_characters_that_a_gpt_never_saw_are_unknown(tmp_path):
    characters = mb.CharTokenizer.train(["ab"])
    characters.save_pretrained(tmp_path)
    assert tokenizer_of(tmp_path, characters.vocab_size).encode("acb") == [
        *characters.encode("a"), characters.unk_token_id, *characters.encode("b")]


@pytest.mark.parametrize("found, shown", [
    ("Anna", "[Anna] lives here."), ("Bob", "Where is [Bob]?"), ("Carla", "[Carla] is there.")])
def test_the_line_of_an_answer_is_shown(runs, tmp_path, capsys, monkeypatch, found, shown):
    context = "Anna lives here.\nNothing.\nWhere is Bob?\nNobody knows.\nCarla is there."
    answer = Answer(found, context.index(found))
    monkeypatch.setattr("minibert.cli.predict.predict",
                        lambda *_: [Found(answer, answer, 0.5, 0.0)])
    (tmp_path / "text.txt").write_text(context)
    assert output_of(capsys, "answer", runs["answer"], "--context", tmp_path / "text.txt",
                     "--question", "who ?") == f"{found}  (50.0%)\n{shown}\n"


def test_a_text_without_words_has_no_other_answer(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minibert.cli.predict.predict",
                        lambda *_: [Found(None, None, 1.0, float("inf"))])
    (tmp_path / "text.txt").write_text("\u200d")
    assert output_of(capsys, "answer", runs["answer"], "--context", tmp_path / "text.txt",
                     "--question", "who ?") == "the text does not say (100.0%)\n"


def test_tags_that_are_no_entities_are_shown_at_every_word(runs, capsys, monkeypatch):
    def opened(*arguments):
        options, task, model = open_finetuned(*arguments)
        task.metric_for_best_model = "accuracy"
        return options, task, model

    monkeypatch.setattr("minibert.cli.predict.open_finetuned", opened)
    monkeypatch.setattr("minibert.cli.predict.predict", lambda *_: [("DT", "NN")])
    assert output_of(capsys, "tag", runs["tag"], "anna  lives") == "[anna DT]  [lives NN]\n"
