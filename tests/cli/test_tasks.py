"""From options to a task: each of them arrives."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.command_line import output_of

import minibert as mb
from minibert.cli.folders import tokenizer_of
from minibert.cli.tasks import TASKS, TaskOptions, learned_from, open_finetuned, task_of
from minibert.errors import InputError
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
    config = mb.GPT2Config(vocab_size=characters.vocab_size)
    assert tokenizer_of(tmp_path, config).encode("acb") == [
        *characters.encode("a"), characters.unk_token_id, *characters.encode("b")]


# ---- folders that no run of ours wrote -----------------------------------------------------------

WORDS = "the bank is muddy anna lives in rome".split()


@pytest.fixture
def folder_of(tmp_path):
    """A function: a folder as Hugging Face's classes write it, with a tokenizer."""
    def make(model_class, **config) -> Path:
        folder = tmp_path / f"{model_class.__name__}{len(list(tmp_path.iterdir()))}"
        tokenizer = BertTokenizer.from_words(WORDS)
        sizes = dict(vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1,
                     num_attention_heads=2, intermediate_size=16, max_position_embeddings=32)
        model_class(mb.BertConfig(**sizes, **config), rng=1).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


def test_labels_and_sizes_come_from_the_config_of_a_folder(folder_of):
    tags = {0: "O", 1: "B-LOC", 2: "I-LOC"}
    found = open_finetuned(str(folder_of(mb.BertForTokenClassification, id2label=tags)), TASKS,
                           "tag")
    assert (found.options.task, found.task.labels) == ("tag", ("O", "B-LOC", "I-LOC"))
    assert found.run is None and type(found.model) is mb.BertForTokenClassification
    assert (found.task.reading.max_length, found.task.reading.overlap) == (32, 10)
    classes = folder_of(mb.BertForSequenceClassification, id2label={0: "neg", 1: "pos"})
    for more, task in (({}, "classify"), ({"pair_column": "b"}, "pair")):
        found = open_finetuned(str(classes), TASKS, "predict", **more)
        assert (found.options.task, found.task.labels) == (task, ("neg", "pos"))
    for config in ({"num_labels": 1}, {"num_labels": 1, "problem_type": "regression"}):
        found = open_finetuned(str(folder_of(mb.BertForSequenceClassification, **config)), TASKS,
                               "predict")
        assert found.options.regression and found.options.labels is None
    for model_class, task in ((mb.BertForQuestionAnswering, "answer"),
                              (mb.BertForMultipleChoice, "choice")):
        assert open_finetuned(str(folder_of(model_class)), TASKS, "predict").task.name == task


@pytest.mark.parametrize("model_class, config, tasks, words", [
    (mb.BertModel, {}, TASKS, "holds BertModel: tag needs a model with the head of a task"),
    (mb.BertForQuestionAnswering, {}, ("tag",), "holds BertForQuestionAnswering: tag needs"),
    (mb.BertForSequenceClassification, {"problem_type": "multi_label_classification"}, TASKS,
     "multi_label_classification")])
def test_heads_that_are_none(folder_of, model_class, config, tasks, words):
    with pytest.raises(InputError, match=words):
        open_finetuned(str(folder_of(model_class, **config)), tasks, "tag")


def test_commands_on_folders_without_a_run(folder_of, tmp_path, capsys):
    tags = folder_of(mb.BertForTokenClassification, id2label={0: "O", 1: "B-LOC", 2: "I-LOC"})
    shown = output_of(capsys, "tag", tags, "Anna lives in Rome")
    assert "Anna" in shown and "Rome" in shown
    answers = folder_of(mb.BertForQuestionAnswering)
    (tmp_path / "text.txt").write_text("Anna lives in Rome")
    ask = ["answer", answers, "--context", tmp_path / "text.txt", "--question", "the bank"]
    assert "%" in output_of(capsys, *ask)
    assert "does not say" in output_of(capsys, *ask, "--null-threshold", "-1000")
    classes = folder_of(mb.BertForSequenceClassification, id2label={0: "neg", 1: "pos"})
    file = tmp_path / "file.tsv"
    file.write_text("sentence\tlabel\nthe bank\tpos\nis muddy\tneg\n")
    shown = output_of(capsys, "evaluate", classes, "--file", file)
    assert "accuracy" in shown and "majority" not in shown and "was taken for" in shown
    output_of(capsys, "predict", classes, "--file", file, "--out", tmp_path / "out")
    assert len((tmp_path / "out").read_text().splitlines()) == 2
    file.write_text("a\tb\tlabel\nthe bank\tis\tpos\nis muddy\tthe\tneg\n")
    output_of(capsys, "evaluate", classes, "--file", file, "--text-column", "a", "--pair-column",
              "b")
    shown = output_of(capsys, "info", classes)
    assert "BertForSequenceClassification" in shown and "neg pos" in shown and "layers" in shown
    shown = output_of(capsys, "compare", classes, answers)
    assert "BertForQuestionAnswering" in shown and "width" not in shown


def test_the_best_checkpoint_is_opened_by_the_runs_and_by_its_own_name(world, runs, tmp_path,
                                                                       capsys):
    """And nothing of the latest one."""
    shutil.copytree(runs["classify"], tmp_path / "run")
    for name in ("model.safetensors", "state.json", "config.json"):
        (tmp_path / "run" / "latest" / name).write_bytes(b"damaged")
    shown = [output_of(capsys, "evaluate", run, "--file", world / "dev.tsv")
             for run in (runs["classify"], tmp_path / "run")]
    assert shown[0] == shown[1] and "majority class" in shown[0]
    best = output_of(capsys, "evaluate", tmp_path / "run" / "best", "--file", world / "dev.tsv")
    assert "majority class" not in best and shown[0].splitlines()[-3:] == best.splitlines()[-3:]
