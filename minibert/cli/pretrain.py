"""`pretrain`: text in, a trained BERT or GPT out, or both from the same text and the same block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from minibert.autograd.fused.threads import blas_threads, set_blas_threads
from minibert.cli.build_trainer import check_same_text, make_trainer, read_corpus
from minibert.cli.defaults import resolved
from minibert.cli.final_report import final_report
from minibert.cli.from_pretrained import folder_of, settled_by
from minibert.cli.oracle_report import against_oracle, baselines, why_no_oracle
from minibert.cli.resume import as_begun
from minibert.cli.show import curve_of, introduction
from minibert.data.corpora import Corpus
from minibert.errors import InputError
from minibert.training.machine import core_count, keep_freed_memory
from minibert.training.report import Report, estimate, estimate_line, in_words
from minibert.training.run_folder import Run, new_runs
from minibert.training.trainer import Trainer

# Options that say how to run, not what: they are no part of what a run is.
NOT_STORED = ("command", "model", "out", "resume")
DEFAULT_CORPUS = "toy"
BOTH = ("bert", "gpt")  # the runs in the folder of `pretrain both`


@dataclass
class Training:
    """One of the one or two trainings of a command."""

    which: str  # "bert" or "gpt"
    run: Run
    options: dict
    trainer: Trainer | None = None
    estimate: str | None = None  # None where it is resumed


def run_pretrain(given) -> int:
    """`pretrain bert|gpt|both`; exit status 130 if Ctrl-C stopped it."""
    options = {name: value for name, value in vars(given).items()
               if name not in NOT_STORED and value is not None}
    if "text" in options:
        options["corpus"] = "text"
    out = Path(given.out or f"runs/{given.model}-{options.get('corpus', DEFAULT_CORPUS)}")
    report = Report()
    trainings = (resumed(given.model, options, out) if given.resume
                 else new(given.model, options, out, report))
    keep_freed_memory()
    threads = trainings[0].options["threads"]
    set_blas_threads(threads)
    corpus = read_corpus(trainings[0].options)
    for line in [f"text: {corpus.name}", *[f"  {line}" for line in corpus.describe()]]:
        report.line(line)
    prepare(trainings, corpus, report, given.resume)
    report.line(f"seed {trainings[0].options['seed']}, {threads} threads, into {out}")
    for training in trainings:
        if training.options["workers"] > 1:
            report.line(f"{training.which}: {training.options['workers']} workers share each batch")
    for training in trainings:
        if not train(training, report):
            for other in trainings:
                other.run.release()
            again = f"python -m minibert pretrain {given.model} --resume --out {out}"
            report.line(f"stopped after step {training.trainer.steps_done}, all is saved; go on "
                        f"with: {again}")
            return 130
    for line in final_report([training.trainer for training in trainings]):
        report.line(line)
    return 0


def new(model: str, options: dict, out: Path, report: Report) -> list[Training]:
    """What is to be trained and where, the tables filling in what was not given. Errors: a folder
    in the way, options that contradict each other."""
    Run(out).check_free(BOTH if model == "both" else ())
    options = {"corpus": DEFAULT_CORPUS, **options}
    if blas_threads() is None and options.get("workers", core_count()) > 1:
        report.line("this BLAS cannot be told how many threads to use: one worker")
        options["workers"] = 1
    _check_combination(model, options)
    if "from" in options:
        return [Training(model, Run(out), _continued(model, options))]
    return [Training(which, run, resolved(options, options["corpus"], which))
            for which, run in _places(model, out)]


def _continued(model: str, options: dict) -> dict:
    """The options of a training that goes on with somebody's model, which settles some of them."""
    settled = settled_by(options["from"], model, options)
    positions = settled.pop("positions")
    options = resolved(options | settled, options["corpus"], model)
    return options | {"context": min(options["context"], positions)}


def resumed(model: str, options: dict, out: Path) -> list[Training]:
    """What goes on, with the options that it was begun with. Errors: nothing to resume, options
    that were others then."""
    trainings = []
    for which, run in _places(model, out):
        needed = resolved({}, DEFAULT_CORPUS, which)
        begun = as_begun(run, f"pretrain {which}", needed, options, may_grow="steps")
        trainings.append(Training(which, run, begun))
    return trainings


def _places(model: str, out: Path) -> list[tuple[str, Run]]:
    if model == "both":
        return [(which, Run(out / which)) for which in BOTH]
    return [(model, Run(out))]


def _check_combination(model: str, options: dict) -> None:
    """An option that would be ignored is a mistake."""
    if model == "both" and "from" in options:
        raise InputError("--from goes on with one model: pretrain bert or gpt")
    if options["corpus"] != "text" and "format" in options:
        raise InputError("--format says how --text is laid out: give --text, too")
    if "vocab_size" in options and (options["corpus"] == "toy"
                                    or options.get("tokenizer") == "chars"):
        raise InputError("--vocab-size: only a WordPiece tokenizer that is trained here has one to "
                         "choose; the toy world's words and a text's characters are as many as "
                         "they are")
    for name in ("norm_first", "no_next_sentence"):
        if model == "gpt" and name in options:
            raise InputError(f"--{name.replace('_', '-')} is about BERT: train bert or both")


def prepare(trainings: list[Training], corpus: Corpus, report: Report, resume: bool) -> None:
    """Make the trainers; try a step of each; only then make the folders, with a first checkpoint,
    so that a run can be resumed whenever it is killed. What goes wrong leaves no folder behind."""
    for training in trainings:
        training.trainer = make_trainer(training.which, training.options, corpus, report,
                                        _begun_from(training, resume))
        if resume:
            check_same_text(training.run.path, training.run.state()["about"], corpus)
            training.trainer.run_folder = training.run
            training.trainer.resume()
        else:
            training.estimate = estimate_line(estimate(training.trainer), training.options["steps"])
    if resume:
        return
    with new_runs([training.run.path for training in trainings]) as runs:
        for training, run in zip(trainings, runs):
            training.trainer.run_folder = run
            training.trainer.save()


def _begun_from(training: Training, resume: bool) -> Path | None:
    """The folder whose model and tokenizer are to be trained on; None where all is new."""
    if "from" not in training.options:
        return None
    if resume:  # the run has them itself
        return training.run.checkpoint("latest")
    return folder_of(training.options["from"], training.which)


def train(training: Training, report: Report) -> bool:
    """Run one training to its end and write its summary. False if Ctrl-C stopped it."""
    trainer, run = training.trainer, training.run
    report.line()
    report.line(f"{training.which}: {_size(training.options)}")
    if training.estimate is None:
        report.line(f"resumed at step {trainer.steps_done}")
    else:
        _introduce(trainer, report)
        report.line(training.estimate)
    if not trainer.run():
        return False
    for line in curve_of(run.records()):
        report.line(line)
    if run.summary() is None or run.summary()["steps"] != trainer.steps_done:
        run.write_summary(trainer.summary() | {
            "baselines": baselines(trainer.objective),
            "oracle": _oracle(trainer, report) if training.options["corpus"] == "toy" else None})
    report.line(f"{training.which}: {in_words(trainer.seconds)}, "
                f"{run.summary()['tokens_per_second']:,} tokens/s; kept in {run.path}")
    return True


def _oracle(trainer: Trainer, report: Report) -> dict | None:
    reason = why_no_oracle(trainer.objective)
    if reason is not None:
        report.line(f"the oracle cannot be asked: {reason}")
        return None
    report.line("asking the oracle for the best possible figures (its time does not count)")
    return against_oracle(trainer.model, trainer.objective)


def _introduce(trainer: Trainer, report: Report) -> None:
    """What is learned from, and which parameters decay."""
    for line in introduction(trainer.objective):
        report.line(line)
    report.line(f"weight decay of {trainer.settings.weight_decay} on {_names(trainer.decayed)}")
    report.line(f"no weight decay on {_names(trainer.exempt)}")


def _size(options: dict) -> str:
    return (f"{options['layers']} layers, {options['heads']} heads, width {options['width']}, "
            f"context {options['context']}, batches of {options['batch']}, "
            f"{options['steps']:,} steps")


def _names(names: list[str]) -> str:
    """Names of parameters, those of all blocks in one: blocks.*."""
    shortened = [re.sub(r"blocks\.\d+\.", "blocks.*.", name) for name in names]
    return ", ".join(dict.fromkeys(shortened)) or "none"
