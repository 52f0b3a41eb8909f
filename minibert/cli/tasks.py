"""From the options of a fine-tuning run to its examples, its task and its model."""

from __future__ import annotations

from pathlib import Path

from minibert.checkpoints.hugging_face import load_folder
from minibert.cli.folders import find_run
from minibert.cli.resume import check_said
from minibert.errors import InputError
from minibert.finetuning.build_model import head_class
from minibert.finetuning.encoding import Reading
from minibert.finetuning.files.choices import read_choices
from minibert.finetuning.files.questions import read_questions
from minibert.finetuning.files.sentences import Columns, read_sentences
from minibert.finetuning.files.tags import read_tags
from minibert.finetuning.labels import balanced_weights, class_names
from minibert.finetuning.tasks.base import Task
from minibert.finetuning.tasks.classification import Classification
from minibert.finetuning.tasks.multiple_choice import MultipleChoice
from minibert.finetuning.tasks.question_answering import QuestionAnswering
from minibert.finetuning.tasks.regression import Regression
from minibert.finetuning.tasks.tagging import Tagging, tag_names
from minibert.models.config import BertConfig, GPT2Config, config_from_dict
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.characters import CharTokenizer, load_tokenizer

# What the options of a run say of how files and texts are read, and what training examples decided.
READ_WITH = ("max_length", "stride", "left_to_right", "regression", "metric", "vote",
             "text_column", "pair_column", "label_column")
LABELS = ("labels", "weights")
LEARNED = {"answer": ("may_be_empty",), "choice": ()}  # the other tasks have labels, or numbers


def read_examples(options: dict, path: str, labelled: bool = True) -> list:
    """The examples of a file, for the task of the options."""
    task = options["task"]
    if task in ("classify", "pair"):
        columns = Columns(options["text_column"], options["pair_column"], options["label_column"])
        return read_sentences(path, columns, task == "pair", options["regression"], labelled)
    if task == "choice":
        return read_choices(path, labelled)
    if task == "tag":
        return read_tags(path, labelled, options["text_column"], options["label_column"])
    return read_questions(path, labelled)


def learned_from(options: dict, train: list) -> dict:
    """What the training examples decide: the names of the labels and their weights; whether a
    question may have no answer."""
    task = options["task"]
    if task == "answer":
        if not any(example.answers for example in train):
            raise InputError(f"{options['train']}: no question has an answer: there is nothing to "
                             "learn")
        return {"may_be_empty": any(not example.answers for example in train)}
    if task == "choice" or options["regression"]:
        return {}
    if task == "tag":
        labels = tag_names(train, options["train"])
        found = [tag for example in train for tag in example.tags]
    else:
        found = [example.label for example in train]
        labels = class_names(found, options["train"])
    weights = balanced_weights(found, labels).tolist() if options["class_weights"] else None
    return {"labels": list(labels), "weights": weights}


def task_of(options: dict, tokenizer: Tokenizer) -> Task:
    """The task that options with `learned_from` describe."""
    reading = Reading(tokenizer, options["max_length"], options["stride"],
                      options["left_to_right"])
    name = options["task"]
    if name == "answer":
        return QuestionAnswering(reading, options["may_be_empty"])
    if name == "choice":
        return MultipleChoice(reading)
    if name == "tag":
        return Tagging(reading, options["labels"], options["weights"])
    if options["regression"]:
        return Regression(reading, name)
    return Classification(reading, options["labels"], name, options["metric"], options["weights"],
                          options["vote"])


def config_of(folder: str | Path) -> BertConfig | GPT2Config:
    """The config of a model's folder, whatever the model is for."""
    values, _ = load_folder(folder)
    return config_from_dict(GPT2Config if values["model_type"] == "gpt2" else BertConfig, values)


def tokenizer_of(folder: Path, vocab_size: int) -> Tokenizer:
    """The tokenizer of a model's folder. A character that its text did not have is unknown, as when
    it was trained."""
    tokenizer = load_tokenizer(folder, vocab_size)
    if isinstance(tokenizer, CharTokenizer):
        tokenizer.errors = "replace"
    return tokenizer


def open_finetuned(path: str, tasks: tuple[str, ...], purpose: str) -> tuple[dict, Task, object]:
    """(options, task, model in eval mode) of the best checkpoint of a fine-tuning run. Errors:
    another kind of run, or a task that is none of `tasks`, which `purpose` needs."""
    run = find_run(path)
    state, folder = run.state("best"), run.checkpoint("best")
    options = state["about"]
    task = options.get("task")
    if task not in tasks:
        holds = "a pre-training run" if task is None else f"a run of finetune {task}"
        raise InputError(f"{path}: holds {holds}: {purpose} needs one of finetune "
                         f"{' or '.join(tasks)}")
    check_said(run.path, options, READ_WITH)
    check_said(run.path, options, LEARNED.get(task, () if options["regression"] else LABELS))
    model = head_class(task, options["left_to_right"]).from_pretrained(folder)
    return options, task_of(options, tokenizer_of(folder, model.config.vocab_size)), model
