"""`pretrain`: text in, a trained BERT, GPT or BART out, or the first two from the same text."""

import argparse
import re
from dataclasses import asdict, replace
from pathlib import Path

from minibert.autograd.fused.threads import blas_threads, set_blas_threads
from minibert.cli.arguments import add_run_options, flag_name, given, path
from minibert.cli.build_trainer import make_trainer, read_corpus, text_digest
from minibert.cli.final_report import final_report
from minibert.cli.folders import config_of
from minibert.cli.info import current_summary
from minibert.cli.life_cycle import Training, prepare, train
from minibert.cli.oracle_report import against_oracle, baselines, why_no_oracle
from minibert.cli.pretrain_options import (CORPUS, PretrainOptions, check_combination, folder_of,
                                           from_state, options_of_others, resolved, resolved_from)
from minibert.cli.resume import (check_digest, check_located, check_same, check_steps,
                                 state_to_resume)
from minibert.data.corpora import Corpus
from minibert.models.architectures import PRETRAINED_HERE
from minibert.models.config import option_fields, option_type
from minibert.training.machine import core_count, keep_freed_memory
from minibert.training.report import Report, in_words
from minibert.training.run_folder import Run
from minibert.training.optim import OPTIMIZERS
from minibert.training.schedules import SCHEDULES
from minibert.training.trainer import Trainer

BOTH = ("bert", "gpt")  # the runs in the folder of `pretrain both`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options without a default here have theirs in pretrain_options.py."""
    parser.add_argument("model", choices=("bert", "gpt", "bart", "both"), help="bart: an encoder-"
                        "decoder in BART's layout with T5's objective, span corruption")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--corpus", choices=("toy", "python-docs"), help="a built-in corpus (toy)")
    source.add_argument("--text", nargs="+", type=path, metavar="FILE_OR_FOLDER",
                        help="your own text; with --resume where it is now")
    parser.add_argument("--from", dest="from", type=path, metavar="FOLDER",
                        help="go on with the model and the tokenizer of a run, or of a folder in "
                             "Hugging Face's layout")
    text = parser.add_argument_group("text")
    text.add_argument("--format", choices=("lines", "prose"),
                      help="layout of --text: a sentence a line, or running text (prose)")
    text.add_argument("--tokenizer", choices=("wordpiece", "chars"))
    text.add_argument("--vocab-size", type=int, help="of a WordPiece tokenizer trained here")
    _add_model_options(parser.add_argument_group("model"))
    training = parser.add_argument_group("training")
    training.add_argument("--no-next-sentence", action="store_true", default=None,
                          help="train BERT on masked words alone")
    training.add_argument("--mlm-probability", type=float,
                          help="the share of the tokens that the training of BERT masks, or that "
                               "of BART takes out (at most 0.5); of the held-out ones it is "
                               "always 0.15")
    training.add_argument("--dupe-factor", type=int, metavar="N",
                          help="static masks: BERT reads the pairs and masks of the first N epochs "
                               "again and again (without it: new ones every epoch)")
    training.add_argument("--batch", type=int, help="windows or pairs in a batch")
    training.add_argument("--accumulate", type=int, help="batches in a step")
    training.add_argument("--steps", type=int)
    training.add_argument("--lr", type=float, help="the highest learning rate")
    training.add_argument("--min-lr", type=float, help="the rate at the end")
    training.add_argument("--warmup", type=int, help="steps until the highest rate")
    training.add_argument("--schedule", choices=tuple(SCHEDULES))
    training.add_argument("--optimizer", choices=tuple(OPTIMIZERS),
                          help="(muon for a new BERT, and for a BART on the toy world; else "
                               "adamw)")
    training.add_argument("--weight-decay", type=float)
    training.add_argument("--betas", type=float, nargs=2, metavar=("B1", "B2"))
    training.add_argument("--clip", type=float, help="largest norm of the gradient (0: no limit)")
    training.add_argument("--eval-every", type=int,
                          help="steps between evaluations (0: none on the way)")
    training.add_argument("--seed", type=int)
    training.add_argument("--film", type=int, metavar="N",
                          help="record N frames of the attention and the word vectors for `look`")
    add_run_options(parser.add_argument_group("run"), "runs/MODEL-CORPUS")


def _add_model_options(group) -> None:
    """The options of the models: see ModelOption."""
    kinds = {option: option_type(architecture.config_class, fields[0])
             for architecture in PRETRAINED_HERE
             for option, fields in option_fields(architecture.config_class).items() if option.help}
    for option, kind in kinds.items():
        group.add_argument(flag_name(option.name), help=option.help, default=None, **(
            {"action": "store_true"} if kind is bool else {"type": kind}))


class Pretraining(Training):
    """The training of one model by `pretrain`."""

    def __init__(self, run: Run, resume: bool, options: PretrainOptions):
        super().__init__(run, resume)
        self.options = options
        self.name = options.architecture.name
        self.corpus: Corpus | None = None  # set before prepare(): both models read the same

    def make_trainer(self, report: Report) -> Trainer:
        begun = None
        if self.resume:
            check_digest(text_digest(self.corpus), self.run.state()["about"].get("text_digest"),
                         f"{self.run.path}: the text is no longer the one that",
                         "it anew with --text if it was moved")
            begun = self.run.checkpoint("latest")
        elif self.options.begun_from is not None:
            begun = folder_of(self.options.begun_from, self.name)
        return make_trainer(self.options, self.corpus, report, begun)

    def title(self) -> list[str]:
        config, steps = self.options.config, self.options.settings.steps
        return ["", f"{self.name}: {config.num_hidden_layers} layers, "
                    f"{config.num_attention_heads} heads, width {config.hidden_size}, context "
                    f"{self.options.context}, batches of {self.options.batch}, {steps:,} steps"]

    def facts(self) -> list[str]:
        trainer = self.trainer
        return [f"weight decay of {trainer.settings.weight_decay} on {_names(trainer.decayed)}",
                f"no weight decay on {_names(trainer.exempt)}"]

    def finish(self, report: Report) -> None:
        trainer, run = self.trainer, self.run
        if current_summary(run) is None:
            oracle = self._oracle(report) if self.options.corpus == "toy" else None
            run.write_summary(trainer.summary() | {"baselines": baselines(trainer.objective),
                                                   "oracle": oracle})
        report.line(f"{self.name}: {in_words(trainer.seconds)}, "
                    f"{run.summary()['tokens_per_second']:,} tokens/s; kept in {run.path}")

    def _oracle(self, report: Report) -> dict | None:
        reason = why_no_oracle(self.trainer.objective)
        if reason is not None:
            report.line(f"no figures of the oracle: {reason}")
            return None
        report.line("computing the best possible figures (this time does not count)")
        return against_oracle(self.trainer.model, self.trainer.objective)


def _names(names: list[str]) -> str:
    """Names of parameters, those of all blocks in one: blocks.*."""
    shortened = [re.sub(r"blocks\.\d+\.", "blocks.*.", name) for name in names]
    return ", ".join(dict.fromkeys(shortened)) or "none"


def run(model: str, out: str | None, resume: bool, **options) -> int:
    """Train; exit status 130 if a signal stopped it. `options` say what is trained and how, by
    the names of the command line; None: not given."""
    named = given(options)
    if "text" in named:
        named["corpus"] = "text"
    folder = Path(out or f"runs/{model}-{named.get('corpus', CORPUS)}")
    report = Report()
    trainings = resumed(model, folder, named) if resume else new(model, folder, named, report)
    first = trainings[0].options
    keep_freed_memory()
    set_blas_threads(first.threads)
    corpus = read_corpus(first)
    for line in [f"text: {corpus.name}", *[f"  {line}" for line in corpus.describe()]]:
        report.line(line)
    for training in trainings:
        training.corpus = corpus
    prepare(trainings, report)
    report.line(f"seed {first.settings.seed}, {first.threads} threads, into {folder}")
    for training in trainings:
        if training.options.settings.workers > 1:
            report.line(f"{training.name}: {training.options.settings.workers} workers share each "
                        "batch")
    if not train(trainings, report, f"python -m minibert pretrain {model} --resume --out {folder}"):
        return 130
    for line in final_report([training.trainer for training in trainings]):
        report.line(line)
    return 0


def new(model: str, folder: Path, named: dict, report: Report) -> list[Pretraining]:
    """The trainings of a new run, the tables filling in what is not named. Errors: InputError, a
    folder in the way, options that contradict each other."""
    Run(folder).check_free(BOTH if model == "both" else ())
    check_combination(model, named)
    if blas_threads() is None and named.get("workers", core_count()) > 1:
        report.line("the number of threads of this BLAS cannot be set: one worker")
        named = named | {"workers": 1}
    resolve = resolved_from if "from" in named else resolved
    return [Pretraining(run, False, resolve(part, named)) for part, run in _parts(model, folder)]


def resumed(model: str, folder: Path, named: dict) -> list[Pretraining]:
    """The trainings of a run, with the options that it was begun with. Errors: InputError, nothing
    to resume, options that were others then, fewer steps than were made."""
    trainings = []
    for part, run in _parts(model, folder):
        state = state_to_resume(run, f"pretrain {part}")
        latest = run.checkpoint("latest")
        architecture, config = config_of(latest)
        begun = from_state(state, config, architecture, latest / "state.json")
        of_the_other = options_of_others(part) if model == "both" else ()
        check_same(run.path, begun.about() | asdict(begun.settings), named,
                   ("steps", "text", *of_the_other))
        if "steps" in named:
            check_steps("--steps", named["steps"], named["steps"], state["step"])
            begun = replace(begun, settings=replace(begun.settings, steps=named["steps"]))
        if "text" in named:
            begun = replace(begun, text=named["text"], counted_from=str(Path.cwd()))
        else:
            for name in begun.text or ():
                check_located("--text", name, begun.counted_from)
        trainings.append(Pretraining(run, True, begun))
    return trainings


def _parts(model: str, folder: Path) -> list[tuple[str, Run]]:
    """(model, run) of each training: `both` has two, in folders below."""
    if model == "both":
        return [(part, Run(folder / part)) for part in BOTH]
    return [(model, Run(folder))]
