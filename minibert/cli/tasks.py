"""Tasks of fine-tuning from options, from a run's state or from a model's folder."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, replace
from functools import partial
from pathlib import Path

from minibert.atomic_files import read_json
from minibert.cli.arguments import a_name, option_field
from minibert.cli.folders import config_of, find_run, kind_of, tokenizer_of
from minibert.cli.resume import options_from_state, stored
from minibert.errors import InputError
from minibert.finetuning.build_model import head_class
from minibert.finetuning.encoding import Reading
from minibert.finetuning.files.choices import read_choices
from minibert.finetuning.files.questions import read_questions
from minibert.finetuning.files.records import Columns
from minibert.finetuning.files.sentences import read_sentences
from minibert.finetuning.files.tags import read_tags
from minibert.finetuning.labels import balanced_weights, class_names
from minibert.finetuning.tasks.base import Task
from minibert.finetuning.tasks.multiple_choice import MultipleChoice
from minibert.finetuning.tasks.question_answering import QuestionAnswering
from minibert.finetuning.tasks.sentences import Classification, Regression
from minibert.finetuning.tasks.tagging import Tagging, tag_names
from minibert.models.architectures import Architecture, class_name
from minibert.models.config import ModelConfig
from minibert.models.pretrained_model import PretrainedModel
from minibert.tokenizers.base import Tokenizer
from minibert.training.run_folder import Run
from minibert.validate import check_fields, checked, flag, number, one_of, whole_number

TASKS = ("classify", "pair", "choice", "tag", "answer")
METRICS = ("accuracy", "macro_f1", "matthews")
LONGEST = {"answer": 384}  # tokens in a window, as in BERT's run_squad.py; for the other tasks:
LONGEST_OTHERS = 128  # as in its run_classifier.py


def _names(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, tuple) or not all([isinstance(label, str) for label in value]):
        raise InputError(f"{name} = {value!r:.60}: expected names")
    return value


@dataclass(frozen=True)
class TaskOptions:
    """The options of reading examples, and the task. Errors: InputError that names the field.

    `labels`, `weights` and `may_be_empty` follow from the training examples.
    """

    task: str = checked(partial(one_of, choices=TASKS), MISSING)
    max_length: int = option_field(whole_number)
    stride: int = option_field(whole_number)
    left_to_right: bool = checked(flag, MISSING)
    regression: bool = checked(flag, False)
    metric: str = checked(partial(one_of, choices=METRICS), METRICS[0])
    vote: bool = checked(flag, False)
    text_column: str | None = checked(a_name, None, optional=True)
    pair_column: str | None = checked(a_name, None, optional=True)
    label_column: str | None = checked(a_name, None, optional=True)
    labels: tuple[str, ...] | None = checked(_names, None, optional=True)
    weights: tuple[float, ...] | None = None
    may_be_empty: bool = checked(flag, False)
    strict: bool = checked(flag, False)  # refuse what is else passed over with a warning

    def __post_init__(self):
        check_fields(self)
        if self.weights is not None:
            if not isinstance(self.weights, tuple) or len(self.weights) != len(self.labels or ()):
                raise InputError(f"weights = {self.weights!r:.60}: expected one for each label")
            for weight in self.weights:
                number("weights", weight, above=0)

    def needs_labels(self) -> bool:
        """Whether there are classes or tags to choose from."""
        return self.task in ("classify", "pair", "tag") and not self.regression


def longest_windows(task: str, positions: int) -> dict[str, int]:
    """The default `max_length` for a model of so many positions, and the stride, a third of it."""
    longest = min(positions, LONGEST.get(task, LONGEST_OTHERS))
    return {"max_length": longest, "stride": longest // 3}


def read_examples(options: TaskOptions, name: str, labelled: bool = True) -> list:
    """The examples of the file `name`."""
    columns = Columns(options.text_column, options.pair_column, options.label_column)
    if options.task in ("classify", "pair"):
        return read_sentences(name, columns, options.task == "pair", options.regression, labelled,
                              options.strict)
    if options.task == "choice":
        return read_choices(name, labelled, options.strict)
    if options.task == "tag":
        return read_tags(name, columns, labelled, options.strict)
    return read_questions(name, labelled, options.strict)


def learned_from(options: TaskOptions, train: list, name: str, class_weights: bool = False
                 ) -> TaskOptions:
    """The options with what the training examples of the file `name` decide: the labels, with
    `class_weights` their weights; whether a question may have no answer. Errors: InputError,
    nothing to learn."""
    if options.task == "answer":
        if not any(example.answers for example in train):
            raise InputError(f"{name}: no question has an answer: there is nothing to learn")
        return replace(options, may_be_empty=any(not example.answers for example in train))
    if not options.needs_labels():
        return options
    if options.task == "tag":
        labels = tag_names(train, name)
        found = [tag for example in train for tag in example.tags]
    else:
        found = [example.label for example in train]
        labels = class_names(found, name)
    weights = tuple(balanced_weights(found, labels).tolist()) if class_weights else None
    return replace(options, labels=tuple(labels), weights=weights)


def task_of(options: TaskOptions, tokenizer: Tokenizer) -> Task:
    """The task that options describe; classes need their labels."""
    reading = Reading(tokenizer, options.max_length, options.stride, options.left_to_right)
    if options.task == "answer":
        return QuestionAnswering(reading, options.may_be_empty)
    if options.task == "choice":
        return MultipleChoice(reading)
    if options.task == "tag":
        return Tagging(reading, options.labels, options.weights)
    if options.regression:
        return Regression(reading, options.task)
    return Classification(reading, options.labels, options.task, options.metric, options.weights,
                          options.vote)


# ---- from a run's state --------------------------------------------------------------------------


def task_about(options: TaskOptions) -> dict:
    """The part of a run's state about a task: {name: value}."""
    weights = {"weights": options.weights} if options.needs_labels() else {}
    unused = ["may_be_empty"] if options.task != "answer" else []
    return stored(options, "weights", *unused) | weights


def task_from_about(about: Mapping, file: Path) -> TaskOptions:
    """The TaskOptions in the state.json `file` of a run. Errors: InputError that names the file:
    something is missing or wrong."""
    options = options_from_state(TaskOptions, about, file)
    learned = {"labels", "weights"} if options.needs_labels() else set()
    learned = {"may_be_empty"} if options.task == "answer" else learned
    said = {name for name, value in about.items() if value or name != "labels"}
    if missing := learned - said:
        raise InputError(f"{file}: there is no {', '.join(sorted(missing))} in it: the file is "
                         "damaged")
    return options


# ---- trained models ------------------------------------------------------------------------------


@dataclass
class FineTuned:
    """A model with the head of a task, in eval mode. `run` is None for a folder that no run of
    ours wrote: it has no baseline."""

    options: TaskOptions
    task: Task
    model: PretrainedModel
    run: Run | None


def open_finetuned(name: str, tasks: tuple[str, ...], purpose: str, **changes) -> FineTuned:
    """The best checkpoint of a fine-tuning run, or a model's folder with the head of a task.

    `tasks` are those that `purpose` can use; `changes` replace options (columns). A folder of
    Hugging Face's has its labels in config.json. Errors: InputError, another kind of run or head.
    """
    folder, run = Path(name), None
    if not (folder / "config.json").exists():
        run = find_run(name)
        folder = run.existing_checkpoint("best")
    architecture, config = config_of(folder)
    if run is not None or (folder / "state.json").exists():
        about = Run(folder.parent).state(folder.name)["about"]
        task = about.get("task")
        if task not in tasks:
            holds = "a pre-training run" if task is None else f"a run of finetune {task}"
            raise InputError(f"{name}: holds {holds}: {purpose} needs one of finetune "
                             f"{' or '.join(tasks)}")
        options = task_from_about(about, folder / "state.json")
        if options.labels is not None and len(options.labels) != config.num_labels:
            raise InputError(f"{folder / 'state.json'}: names {len(options.labels)} labels, but "
                             f"the model beside it has {config.num_labels}: the file is damaged")
    else:
        options = _options_of_head(name, folder, architecture, config, tasks, purpose,
                                   changes.get("pair_column") is not None)
    options = replace(options, **changes)
    model = head_class(options.task, architecture).from_pretrained(folder)
    return FineTuned(options, task_of(options, tokenizer_of(folder, config)), model, run)


def _options_of_head(name: str, folder: Path, architecture: Architecture, config: ModelConfig,
                     tasks: tuple[str, ...], purpose: str, pairs: bool) -> TaskOptions:
    """The options of a folder that Hugging Face's classes wrote: the class says what the head is
    for. A text or a pair have the same head: `pairs` chooses."""
    values = read_json(folder / "config.json")
    found = [task for task, one in architecture.heads.items()
             if one.__name__ == class_name(values) and task in tasks]
    if not found:
        raise InputError(f"{name}: holds {kind_of(values)}: {purpose} needs a model with the head "
                         f"of a task ({', '.join(tasks)})")
    task = "pair" if pairs and "pair" in found else found[0]
    if config.problem_type == "multi_label_classification":
        raise InputError(f"{name}: holds a model for several labels of a text at once "
                         f"(multi_label_classification): {purpose} needs one label a text")
    is_sentence = task in ("classify", "pair")
    regression = is_sentence and (config.problem_type == "regression" or config.num_labels == 1)
    labels = tuple(config.id2label.values()) if is_sentence or task == "tag" else None
    return TaskOptions(task, **longest_windows(task, config.context_length),
                       left_to_right=architecture.left_to_right, regression=regression,
                       labels=None if regression else labels)
