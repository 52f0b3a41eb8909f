"""`finetune`: a pre-trained model and labelled files in, a model for their task out."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path

from minibert.autograd.fused.threads import set_blas_threads
from minibert.cli.finetune_options import OF_A_RUN, WARMUP_SHARE, resolved
from minibert.cli.folders import model_folders
from minibert.cli.metrics_report import summary_of, verdict
from minibert.cli.resume import as_begun
from minibert.cli.show import curve_of, introduction
from minibert.cli.tasks import config_of, learned_from, read_examples, task_of, tokenizer_of
from minibert.errors import InputError
from minibert.finetuning.build_model import freeze_below, head_class, pretrained_model
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import Task
from minibert.models.pretrained_model import PretrainedModel
from minibert.training.data_parallel import default_workers
from minibert.training.machine import keep_freed_memory
from minibert.training.report import Report, estimate, estimate_line, in_words
from minibert.training.run_folder import Run, new_runs
from minibert.training.trainer import Trainer, TrainingSettings

# Options that say how to run, not what: they are no part of what a run is.
NOT_STORED = ("command", "out", "resume")
SETTINGS = {field.name for field in fields(TrainingSettings)}
NEEDED = {"from": "the run or the folder of a pre-trained model: `pretrain bert` makes one",
          "train": "a file of labelled examples to learn from",
          "dev": "a file of labelled examples that are not in --train, to be judged by"}


def run_finetune(given) -> int:
    """`finetune TASK`; exit status 130 if Ctrl-C stopped it."""
    options = {name: value for name, value in vars(given).items()
               if name not in NOT_STORED and value is not None}
    report = Report()
    if given.resume:
        run, options = resumed(given, options)
        folder = run.checkpoint("latest")
    else:
        run, options, folder = begun(given, options)
    keep_freed_memory()
    set_blas_threads(options["threads"])
    trainer = make_trainer(options, folder, report, given.resume)
    introduce(trainer, report)
    start(trainer, run, report, given.resume)
    if not trainer.run():
        report.line(f"stopped after step {trainer.steps_done}, all is saved; go on with: python -m "
                    f"minibert finetune {given.task} --resume --out {run.path}")
        return 130
    finish(trainer, report)
    return 0


def begun(given, options: dict) -> tuple[Run, dict, Path]:
    """A new run, all of its options, and the folder of the model to start from. Errors: files or
    the model not named, a folder in the way, an option out of range."""
    for name, what in NEEDED.items():
        if name not in options:
            raise InputError(f"--{name} is missing: name {what}")
    for name in ("metric", "class_weights", "vote"):
        if "regression" in options and name in options:
            raise InputError(f"--{name.replace('_', '-')} is about classes, and --regression "
                             "predicts numbers: leave one out")
    run = Run(given.out or f"runs/{given.task}-{Path(given.train).stem}")
    run.check_free()
    folder = model_folders(options["from"])[0]
    config = config_of(folder)
    options = resolved(options, config.max_position_embeddings, config.hidden_size)
    options["left_to_right"] = config.model_type == "gpt2"
    for name in ("epochs", "batch", "threads", "workers"):
        if options.get(name, 1) < 1:
            raise InputError(f"--{name} is {options[name]}: expected at least 1")
    if options["max_length"] > config.max_position_embeddings:
        raise InputError(f"--max-length is {options['max_length']}, but the model in {folder} has "
                         f"{config.max_position_embeddings} positions: expected at most as many")
    return run, options, folder


def resumed(given, options: dict) -> tuple[Run, dict]:
    """The run in --out and the options that it was begun with."""
    if given.out is None:
        raise InputError("--resume goes on with the run in --out: name its folder")
    run = Run(given.out)
    return run, as_begun(run, f"finetune {given.task}", (*NEEDED, *OF_A_RUN), options,
                         may_grow="epochs")


def make_trainer(options: dict, folder: Path, report: Report, resume: bool) -> Trainer:
    """A trainer on the model in `folder`; no folder is touched. Errors: whatever does not fit."""
    config = config_of(folder)
    train, dev = (read_examples(options, options[part]) for part in ("train", "dev"))
    check_same_files(options)
    if not resume:
        options |= learned_from(options, train)
    task = task_of(options, tokenizer_of(folder, config.vocab_size))
    objective = FineTuningObjective(task, train, dev, options["batch"], options["seed"])
    settings = settings_of(options, objective, config.hidden_size)
    about = {name: value for name, value in options.items() if name not in SETTINGS}
    return Trainer(make_model(task, options, folder, resume), objective, settings,
                   tokenizer=task.reading.tokenizer, about=about, report=report)


def check_same_files(options: dict) -> None:
    """A run goes on with the files that it began with: their digest is one of its options."""
    digest = hashlib.sha256()
    for part in ("train", "dev"):
        digest.update(hashlib.sha256(Path(options[part]).read_bytes()).digest())
    found = digest.hexdigest()[:16]
    if options.setdefault("data_digest", found) != found:
        raise InputError(f"{options['train']} and {options['dev']} are no longer what this run was "
                         f"begun with (digest {found}, then {options['data_digest']}): begin a new "
                         "run")


def settings_of(options: dict, objective: FineTuningObjective, width: int) -> TrainingSettings:
    """The trainer's settings, an evaluation after every epoch; what depends on the number and the
    length of the rows is added to the options."""
    rows = objective.rows
    options["steps"] = -(-len(rows) * options["epochs"] // options["batch"])
    options["eval_every"] = objective.steps_per_epoch
    options.setdefault("warmup", int(WARMUP_SHARE * options["steps"]))
    length = sum(map(len, rows)) // len(rows)
    options.setdefault("workers", default_workers(options["batch"], length, width,
                                                  options["threads"]))
    return TrainingSettings(**{name: options[name] for name in SETTINGS if name in options})


def make_model(task: Task, options: dict, folder: Path, resume: bool) -> PretrainedModel:
    """The run's own model, or one with a new head; with what is frozen in it."""
    if resume:
        model = head_class(task.name, options["left_to_right"]).from_pretrained(folder)
    else:
        model = pretrained_model(task, folder, options["seed"], options["dropout"])
    layers = options["freeze_layers"]
    if options["freeze_encoder"]:
        layers = model.config.num_hidden_layers
    if layers:
        freeze_below(model, layers)
    return model


def introduce(trainer: Trainer, report: Report) -> None:
    """What is learned from, and what is trained."""
    options = trainer.about
    report.line(f"finetune {options['task']}: {options['from']} learns from {options['train']}, "
                f"judged by {options['dev']}")
    for line in introduction(trainer.objective):
        report.line(line)
    trained = sum([parameter.size for parameter in trainer.parameters if parameter.requires_grad])
    report.line(f"{trained:,} of {trainer.parameter_count():,} parameters are trained, at most at "
                f"a rate of {trainer.settings.lr:.2g}")


def start(trainer: Trainer, run: Run, report: Report, resume: bool) -> None:
    """Go back to where the run stood; or try a step, and only then make the run's folder, with a
    first checkpoint, so that it can be resumed whenever it is killed."""
    if resume:
        trainer.run_folder = run
        trainer.resume()
        report.line(f"resumed at step {trainer.steps_done}")
        return
    report.line(estimate_line(estimate(trainer), trainer.settings.steps))
    with new_runs([run.path]) as [trainer.run_folder]:
        objective = trainer.objective
        run.write_baseline(objective.task.guess(objective.train))
        trainer.save()


def finish(trainer: Trainer, report: Report) -> None:
    """Judge the best checkpoint, write the summary, and say what it reached."""
    run = trainer.run_folder
    for line in curve_of(run.records()):
        report.line(line)
    summary = run.summary()
    if summary is None or summary["steps"] != trainer.steps_done:
        summary = summary_of(trainer)
        run.write_summary(summary)
    report.line()
    report.line(f"judged by {trainer.about['dev']}, the best checkpoint (step "
                f"{summary['best']['step']}):")
    for line in verdict(summary["best"], summary["baselines"], summary, trainer.objective.task):
        report.line(line)
    report.line(f"{in_words(trainer.seconds)}; kept in {run.path}")
