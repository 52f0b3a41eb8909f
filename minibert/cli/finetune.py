"""`finetune`: a pre-trained model and labelled files in, a model for their task out."""

import argparse
import hashlib
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path

from minibert.autograd.fused.threads import set_blas_threads
from minibert.cli.arguments import (a_name, add_columns, add_run_options, flag_name, given,
                                    option_field, part_of, path)
from minibert.cli.evaluate import summary_of, verdict
from minibert.cli.folders import config_of, model_folders, tokenizer_of
from minibert.cli.info import current_summary
from minibert.cli.life_cycle import Training, prepare, train
from minibert.cli.memory import check_memory
from minibert.cli.resume import (check_digest, check_located, check_same, check_steps, located,
                                 options_from_state, state_to_resume, stored)
from minibert.cli.tasks import (METRICS, TaskOptions, learned_from, longest_windows, read_examples,
                                task_about, task_from_about, task_of)
from minibert.errors import InputError
from minibert.finetuning.build_model import freeze_below, head_class, pretrained_model
from minibert.finetuning.objective import FineTuningObjective
from minibert.training.data_parallel import default_workers
from minibert.training.machine import core_count, keep_freed_memory
from minibert.training.optim import OPTIMIZERS
from minibert.training.report import Report, in_words
from minibert.training.run_folder import Run
from minibert.training.settings import MOST_WORKERS, TrainingSettings, settings_from_state
from minibert.training.trainer import Trainer
from minibert.validate import check_fields, checked, flag, whole_number

TASK_SUMMARIES = {"classify": "The class of a text, or a number for it.",
                  "pair": "The class of a pair of texts, or a number for it.",
                  "choice": "Which of several endings goes on best.",
                  "tag": "A tag for every word, such as entities.",
                  "answer": "The span of a text that answers a question."}
NEEDED = {"from": "the run or the folder of a pre-trained model: `pretrain bert` makes one",
          "train": "a file of labelled examples to learn from",
          "dev": "a file of labelled examples that are not in --train, to be judged by"}
DEFAULT_SETTINGS = {"weight_decay": 0.01, "schedule": "linear", "seed": 1}
BERT_LR, BERT_WIDTH = 5e-5, 768  # the rate that the paper finds good for BERT's size
WARMUP_SHARE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(dest="task", required=True, metavar="task",
                                  parser_class=type(parser))
    for name, summary in TASK_SUMMARIES.items():
        task = tasks.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        task.add_argument("--from", type=path, metavar="RUN_OR_FOLDER",
                          help="the pre-trained model")
        task.add_argument("--train", type=path, metavar="FILE",
                          help="labelled examples to learn from; with --resume where they are now")
        task.add_argument("--dev", type=path, metavar="FILE",
                          help="labelled examples to be judged by")
        task.add_argument("--strict", action="store_true", default=None,
                          help="refuse a file with broken rows, misplaced answers and the like, "
                               "which are passed over with a note")
        if name in ("classify", "pair", "tag"):
            add_columns(task.add_argument_group("files"), pairs=name == "pair")
        if name in ("classify", "pair"):
            task.add_argument("--regression", action="store_true", default=None,
                              help="labels are numbers to be predicted")
            task.add_argument("--metric", choices=METRICS,
                              help="the figure that selects the best checkpoint (accuracy)")
        if name == "classify":
            task.add_argument("--vote", action="store_true", default=None,
                              help="a text in several windows has the class that most of them have "
                                   "(the one with the highest mean)")
        if name in ("classify", "pair", "tag"):
            task.add_argument("--class-weights", action="store_true", default=None,
                              help="let rare classes count as much as common ones")
        _add_training(task.add_argument_group("training"))
        add_run_options(task.add_argument_group("run"), "runs/TASK-TRAIN")


def _add_training(training) -> None:
    training.add_argument("--epochs", type=int, help="passes over all examples (3)")
    training.add_argument("--batch", type=int, help="examples, or windows, in a batch (16)")
    training.add_argument("--lr", type=float, help="the highest learning rate (5e-5 for BERT's "
                                                   "width of 768, more for a narrower model)")
    training.add_argument("--warmup", type=int, help="steps until the highest rate (a tenth)")
    training.add_argument("--optimizer", choices=tuple(OPTIMIZERS), help="(adamw)")
    training.add_argument("--weight-decay", type=float, help="(0.01)")
    training.add_argument("--layer-decay", type=float,
                          help="the rate of a layer as a share of that above it (1)")
    frozen = training.add_mutually_exclusive_group()
    frozen.add_argument("--freeze-layers", type=int, metavar="K",
                        help="do not train the embeddings and the first K blocks (none)")
    frozen.add_argument("--freeze-encoder", action="store_true", default=None,
                        help="train the head only")
    training.add_argument("--dropout", type=float, help="(as in pre-training)")
    training.add_argument("--patience", type=int, help="stop after so many epochs without a better "
                                                       "result on --dev (0: never)")
    training.add_argument("--max-length", type=int, help="tokens in a window (128; answer: 384)")
    training.add_argument("--stride", type=int,
                          help="tokens that a window shares with the one before (a third)")
    training.add_argument("--seed", type=int, help="(1)")


@dataclass(frozen=True)
class FinetuneOptions:
    """All options of a fine-tuning but its settings. Errors: InputError that names the option.

    Relative paths in `train` and `dev` count from the folder `counted_from`. `data_digest` is that
    of both files (None before they were read).
    """

    task: TaskOptions
    begun_from: str = checked(a_name, MISSING)
    train: str = checked(a_name, MISSING)
    dev: str = checked(a_name, MISSING)
    threads: int = option_field(whole_number, at_least=1, at_most=max(MOST_WORKERS, core_count()))
    counted_from: str | None = checked(a_name, None, optional=True)
    epochs: int = option_field(whole_number, 3, at_least=1)
    batch: int = option_field(whole_number, 16, at_least=1)
    dropout: float | None = None
    freeze_layers: int = option_field(whole_number, 0)
    freeze_encoder: bool = option_field(flag, False)
    class_weights: bool = option_field(flag, False)
    gradient_checkpointing: bool = option_field(flag, False)
    data_digest: str | None = None

    def __post_init__(self):
        check_fields(self)

    def about(self) -> dict:
        """The part of a run's state besides the settings: {name: value}."""
        return stored(self, "task") | task_about(self.task)

    def file(self, part: str) -> str:
        """The path of the "train" or "dev" file."""
        return located(getattr(self, part), self.counted_from)


class FineTuning(Training):
    """The training of a model for a task. `words` are the settings of the trainer, by name, that do
    not depend on the examples; `folder` holds the model to begin or to go on with."""

    def __init__(self, run: Run, resume: bool, options: FinetuneOptions, words: dict, folder: Path):
        super().__init__(run, resume)
        self.options, self.words, self.folder = options, words, folder

    def make_trainer(self, report: Report) -> Trainer:
        options = self.options
        architecture, config = config_of(self.folder)
        check_memory(architecture.bare, config, options.batch, options.task.max_length)
        train, dev = (read_examples(options.task, options.file(part)) for part in ("train", "dev"))
        options = with_digest(options)
        if not self.resume:
            options = replace(options, task=learned_from(options.task, train, options.file("train"),
                                                         options.class_weights))
        task = task_of(options.task, tokenizer_of(self.folder, config))
        objective = FineTuningObjective(task, train, dev, options.batch, self.words["seed"])
        settings = settings_of(self.words, options, objective, config.hidden_size)
        if self.resume:
            check_steps("--epochs", options.epochs, settings.steps, self.run.state()["step"])
            model = head_class(task.name, architecture).from_pretrained(self.folder)
        else:
            model = pretrained_model(task, self.folder, self.words["seed"], options.dropout)
        layers = options.freeze_layers
        if options.freeze_encoder:
            layers = model.config.num_hidden_layers
        if layers:
            freeze_below(model, layers)
        model.gradient_checkpointing = options.gradient_checkpointing
        self.options = options
        return Trainer(model, objective, settings, tokenizer=task.reading.tokenizer,
                       about=options.about(), report=report)

    def write_beside(self) -> None:
        objective = self.trainer.objective
        self.run.write_baseline(objective.task.fit_baseline(objective.train))

    def title(self) -> list[str]:
        options = self.options
        return [f"finetune {options.task.task}: {options.begun_from} learns from {options.train}, "
                f"judged by {options.dev}"]

    def facts(self) -> list[str]:
        trainer = self.trainer
        trained = sum([parameter.size for parameter in trainer.parameters
                       if parameter.requires_grad])
        return [f"{trained:,} of {trainer.parameter_count():,} parameters are trained, at most at "
                f"a rate of {trainer.settings.lr:.2g}"]

    def finish(self, report: Report) -> None:
        trainer, run = self.trainer, self.run
        if current_summary(run) is None:
            run.write_summary(summary_of(trainer))
        summary = run.summary()
        report.line()
        report.line(f"judged by {self.options.dev}, the best checkpoint (step "
                    f"{summary['best']['step']}):")
        for line in verdict(summary["best"], summary["baselines"], summary, trainer.objective.task):
            report.line(line)
        report.line(f"{in_words(trainer.seconds)}; kept in {run.path}")


def run(task: str, out: str | None, resume: bool, **options) -> int:
    """Fine-tune; exit status 130 if a signal stopped it. `options` say what is trained and how, by
    the names of the command line; None: not given."""
    named = given(options)
    training = resumed(task, out, named) if resume else new(task, out, named)
    keep_freed_memory()
    set_blas_threads(training.options.threads)
    report = Report()
    prepare([training], report)
    command = f"python -m minibert finetune {task} --resume --out {training.run.path}"
    return 0 if train([training], report, command) else 130


def new(name: str, out: str | None, named: dict) -> FineTuning:
    """A new run of the task `name`. Errors: InputError, files or the model not named, a folder in
    the way, an option out of range."""
    for option, what in NEEDED.items():
        if option not in named:
            raise InputError(f"--{option} is missing: name {what}")
    for option in ("metric", "class_weights", "vote"):
        if "regression" in named and option in named:
            raise InputError(f"{flag_name(option)} is about classes, and --regression predicts "
                             "numbers: leave one out")
    run = Run(out or f"runs/{name}-{Path(named['train']).stem}")
    run.check_free()
    folder = model_folders(named["from"])[0]
    architecture, config = config_of(folder)
    positions = config.context_length
    head_class(name, architecture)  # raises where there is none
    task = {"task": name, "left_to_right": architecture.left_to_right,
            **longest_windows(name, positions)}
    if "max_length" in named:
        task["stride"] = named["max_length"] // 3
    task |= part_of(named, TaskOptions)
    if task["max_length"] > positions:
        raise InputError(f"--max-length is {task['max_length']}, but the model in {folder} has "
                         f"{positions} positions: expected at most as many")
    chosen = FinetuneOptions(TaskOptions(**task), named["from"], counted_from=os.getcwd(),
                             **{"threads": core_count(), **part_of(named, FinetuneOptions)})
    words = {**DEFAULT_SETTINGS, "lr": BERT_LR * BERT_WIDTH / config.hidden_size,
             **part_of(named, TrainingSettings)}
    TrainingSettings(**words)  # refuses a value before the files are read
    return FineTuning(run, False, chosen, words, folder)


def resumed(name: str, out: str | None, named: dict) -> FineTuning:
    """The run in --out, with the options that it was begun with. Errors: InputError, nothing to
    resume, options that were others then."""
    if out is None:
        raise InputError("--resume goes on with the run in --out: name its folder")
    run = Run(out)
    state = state_to_resume(run, f"finetune {name}")
    folder = run.checkpoint("latest")
    file = folder / "state.json"
    begun = options_from_state(FinetuneOptions, state["about"], file,
                               task=task_from_about(state["about"], file))
    settings = settings_from_state(state, file)
    check_same(run.path, begun.about() | asdict(settings), named, ("epochs", "train", "dev"))
    moved = {part: named[part] for part in ("train", "dev") if part in named}
    if moved:
        here = {part: os.path.abspath(begun.file(part)) for part in ("train", "dev")}
        begun = replace(begun, **here | moved, counted_from=os.getcwd())
    for part in {"train", "dev"} - named.keys():
        check_located(f"--{part}", getattr(begun, part), begun.counted_from)
    begun = replace(begun, epochs=named.get("epochs", begun.epochs))
    return FineTuning(run, True, begun, asdict(settings), folder)


def settings_of(words: Mapping, options: FinetuneOptions, objective: FineTuningObjective,
                width: int) -> TrainingSettings:
    """The trainer's settings: `words`, and what follows from the number and the length of the
    rows. An evaluation follows every epoch."""
    rows = objective.rows
    steps = -(-len(rows) * options.epochs // options.batch)
    length = sum(map(len, rows)) // len(rows)
    workers = default_workers(options.batch, length, width, options.threads)
    return TrainingSettings(**{"warmup": int(WARMUP_SHARE * steps), "workers": workers, **words,
                               "steps": steps, "eval_every": objective.steps_per_epoch})


def with_digest(options: FinetuneOptions) -> FinetuneOptions:
    """The options with the digest of both files. Errors: InputError, another one is there: a run
    goes on with the files that it began with."""
    digest = hashlib.sha256()
    for part in ("train", "dev"):
        digest.update(hashlib.sha256(Path(options.file(part)).read_bytes()).digest())
    found = digest.hexdigest()[:16]
    if options.data_digest is not None:
        check_digest(found, options.data_digest,
                     f"{options.train} and {options.dev} are no longer what",
                     "them anew with --train and --dev if they were moved")
    return replace(options, data_digest=found)
