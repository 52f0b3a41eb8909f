"""`pretrain`: text in, a trained BERT or GPT out, or both from the same text and the same block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from minibert.commands.answers import against_oracle, baselines
from minibert.commands.defaults import resolved
from minibert.commands.preparing import check_same_text, make_trainer, read_corpus
from minibert.commands.show import curve_of
from minibert.commands.side_by_side import final_report
from minibert.errors import InputError
from minibert.training.machine import core_count, keep_freed_memory, set_blas_threads
from minibert.training.report import Report, estimate, estimate_line, in_words
from minibert.training.runs import Run
from minibert.training.trainer import Trainer

# Options that say how to run, not what: they are no part of what a run is.
NOT_STORED = ("command", "model", "out", "resume")
FIRST_EXAMPLES = 2


@dataclass
class Training:
    """One of the one or two trainings of a command."""

    which: str  # "bert" or "gpt"
    folder: Path
    options: dict
    resumes: bool
    trainer: Trainer | None = None


def run_pretrain(given) -> int:
    """`pretrain bert|gpt|both`; exit status 130 if Ctrl-C stopped it."""
    options = {name: value for name, value in vars(given).items()
               if name not in NOT_STORED and value is not None}
    options["corpus"] = "text" if "text" in options else options.get("corpus", "toy")
    out = Path(given.out or f"runs/{given.model}-{options['corpus']}")
    trainings = planned(given.model, options, out, given.resume)
    report = Report()
    keep_freed_memory()
    threads = trainings[0].options["threads"]
    set_blas_threads(threads)
    corpus = read_corpus(trainings[0].options)
    report.line(f"text: {corpus.name}")
    for line in corpus.describe():
        report.line(f"  {line}")
    for training in trainings:
        training.trainer = make_trainer(training.which, training.options, corpus, report)
        if training.resumes:
            check_same_text(training.folder, Run(training.folder).state()["about"], corpus)
    report.line(f"seed {trainings[0].options['seed']}, {threads} threads, into {out}")
    for training in trainings:
        if not train(training, report):
            again = " ".join(["python -m minibert pretrain", given.model, "--resume", "--out", str(out)])
            report.line(f"stopped after step {training.trainer.steps_done}, all is saved; go on with: {again}")
            return 130
    for line in final_report([training.trainer for training in trainings]):
        report.line(line)
    return 0


def planned(model: str, options: dict, out: Path, resume: bool) -> list[Training]:
    """What is to be trained and where, with all options filled in: from the tables for a new run, from
    its checkpoint for one that is resumed. Errors: a folder in the way, options that contradict."""
    if not resume and "text" not in options and "format" in options:
        raise InputError("--format says how --text is laid out: give --text, too")
    whiches = ("bert", "gpt") if model == "both" else (model,)
    if not resume:
        _check_free(out)
    elif not out.is_dir():
        raise InputError(f"{out}: there is no run to resume in this folder")
    trainings = []
    for which in whiches:
        folder = out / which if model == "both" else out
        resumes = resume and Run(folder).checkpoint("latest") is not None
        if resumes:
            chosen = _as_begun(which, Run(folder), options)
        else:
            chosen = resolved(options, options["corpus"], which)
            chosen.setdefault("threads", core_count())
        if chosen["threads"] < 1:
            raise InputError(f"--threads is {chosen['threads']}: expected at least 1")
        trainings.append(Training(which, folder, chosen, resumes))
    return trainings


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already and is not touched: give another --out, or --resume to "
                         "go on with it")


def _as_begun(which: str, run: Run, given: dict) -> dict:
    """The options that a run was begun with; only `steps` may be given anew."""
    state = run.state()
    stored = {**state["about"], **state["settings"]}
    if stored.get("model") != which:
        raise InputError(f"{run.path}: holds a {stored.get('model')}, not a {which}")
    for name, value in given.items():
        before = stored.get(name)
        before = tuple(before) if isinstance(before, list) else before
        value = tuple(value) if isinstance(value, list) else value
        if name == "corpus" and value == "toy" and "text" not in given:
            continue  # the default, not something asked for
        if name != "steps" and value != before:
            raise InputError(f"--{name.replace('_', '-')} is {value}, but {run.path} was begun with "
                             f"{before}: leave the option out, or begin a new run in another --out")
    if "steps" in given:
        stored["steps"] = given["steps"]
    return stored


def train(training: Training, report: Report) -> bool:
    """Run one training to its end and write its summary. False if Ctrl-C stopped it."""
    trainer = training.trainer
    report.line()
    report.line(f"{training.which}: {_size(training.options)}")
    if training.resumes:
        trainer.run_folder = Run(training.folder)
        trainer.resume()
        report.line(f"resumed at step {trainer.steps_done}")
    else:
        _introduce(trainer, report)
        trainer.run_folder = _new_folder(training.folder)
    if not trainer.run():
        return False
    run = trainer.run_folder
    for line in curve_of(run.records()):
        report.line(line)
    if run.summary() is None or run.summary()["steps"] != trainer.steps_done:
        summary = trainer.summary() | {"baselines": baselines(trainer.objective), "oracle": None}
        if training.options["corpus"] == "toy":
            report.line("asking the oracle for the best possible figures (its time does not count)")
            summary["oracle"] = against_oracle(trainer.model, trainer.objective)
        run.write_summary(summary)
    report.line(f"{training.which}: {in_words(trainer.seconds)}, "
                f"{run.summary()['tokens_per_second']:,} tokens/s; kept in {run.path}")
    return True


def _new_folder(folder: Path) -> Run:
    """The run's folder. One with nothing but the log of a run that was killed before its first
    checkpoint is begun anew."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"log.jsonl", "best", "best.new",
                                                                        "latest.new"}:
        run = Run(folder)
        run.cut_log(0)
        return run
    return Run.create(folder)


def _introduce(trainer: Trainer, report: Report) -> None:
    """What is learned from, which parameters decay, and what it will cost."""
    for line in trainer.objective.describe():
        report.line(f"  {line}")
    report.line("first examples:")
    for example in trainer.objective.first_examples(FIRST_EXAMPLES):
        for line in example.splitlines():
            report.line(f"  {line}")
    report.line(f"weight decay of {trainer.settings.weight_decay} on {_names(trainer.decayed)}")
    report.line(f"no weight decay on {_names(trainer.exempt)}")
    report.line(estimate_line(estimate(trainer), trainer.settings.steps))


def _size(options: dict) -> str:
    return (f"{options['layers']} layers, {options['heads']} heads, width {options['width']}, context "
            f"{options['context']}, batches of {options['batch']}, {options['steps']:,} steps")


def _names(names: list[str]) -> str:
    """Names of parameters, those of all blocks in one: blocks.*."""
    return ", ".join(dict.fromkeys([re.sub(r"blocks\.\d+\.", "blocks.*.", name) for name in names])) or "none"
