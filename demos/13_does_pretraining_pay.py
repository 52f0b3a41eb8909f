"""Demo 13: does pre-training pay? Five tasks, few labelled examples, the same search for all.

    python demos/13_does_pretraining_pay.py                            all of it: many hours
    python demos/13_does_pretraining_pay.py --tasks same-topic --sizes 50 --seeds 1

The models differ in their initial weights and are fine-tuned alike: the same examples, epochs and
learning rates (chosen on dev; the table shows test scores):

    scratch     BERT with random weights
    both        BERT pre-trained on the toy world's text, masked LM and next-sentence prediction
    frozen      ... with all weights but the head's frozen
    mlm, nsp    BERT pre-trained with one of the two objectives
    gpt         a GPT of the same size, pre-trained on the same text (sentences and pairs only)

The table also has the majority baseline, a bag-of-words classifier ("counting") and the best
possible score. A seed determines the pre-training, the labelled examples, the head and the order.
Each score is computed once and stored in the folder --out: an interrupted run continues with the
same command.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from operator import itemgetter
from pathlib import Path

import numpy as np

from minibert.atomic_files import write_json
from minibert.autograd.fused.threads import set_blas_threads
from minibert.cli.build_trainer import make_trainer
from minibert.cli.folders import config_of
from minibert.cli.pretrain_options import PretrainOptions, resolved
from minibert.data.corpora import TOY_DOCUMENTS, Corpus, toy_corpus
from minibert.errors import InputError
from minibert.finetuning.bag_of_words import BagOfWords
from minibert.finetuning.build_model import freeze_below, fresh_model, pretrained_model
from minibert.finetuning.encoding import Reading
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.toy.sentences import Endings, Mood, SameTopic
from minibert.finetuning.toy.stories import ToyStories
from minibert.finetuning.toy.words import Entities, Questions
from minibert.pretraining.bert_objective import PretrainingObjective
from minibert.tokenizers.characters import load_tokenizer
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld
from minibert.training.machine import keep_freed_memory
from minibert.training.report import Report, in_words
from minibert.training.run_folder import Run
from minibert.training.run_records import read_record
from minibert.training.trainer import Trainer, TrainingSettings

TASKS = {"mood": Mood, "same-topic": SameTopic, "endings": Endings, "entities": Entities,
         "questions": Questions}
SOURCES = ("scratch", "both", "frozen", "mlm", "nsp", "gpt")
FOR_GPT = ("classify", "pair")
RATES = (3e-4, 1e-3, 3e-3)
BATCH = 16
SCHEMA = "minibert.pretraining_pays.1"
TASK_SEED = 2018  # of the labelled examples


def epochs_for(examples: int) -> int:
    """Returns 100 epochs for up to 80 examples, 40 from 200 on."""
    return max(40, min(100, 8000 // examples))


@dataclass
class Experiment:
    """The settings of the comparison, and the folder with its scores."""

    out: Path
    steps: int | None  # of pre-training; None: as many as `pretrain` makes
    epochs: int | None  # None: by the number of examples
    largest: int  # number of training examples
    dev: int
    test: int
    documents: int  # of the text for pre-training; a tenth as many are held out

    @cached_property
    def settings(self) -> dict:
        return {"steps": self.steps, "epochs": self.epochs, "largest": self.largest,
                "dev": self.dev, "test": self.test, "documents": self.documents}

    @cached_property
    def scores(self) -> dict:
        """The stored scores, by name. Errors: InputError for a folder of other settings."""
        path = self.out / "figures.json"
        if not path.exists():
            return {}
        kept = read_record(path, SCHEMA, {"settings": dict, "figures": dict})
        if {"documents": TOY_DOCUMENTS} | kept["settings"] != self.settings:  # older: no such key
            raise InputError(f"{path}: computed with {kept['settings']}, now it is "
                             f"{self.settings}: give another --out")
        return kept["figures"]

    def figure(self, name: str, compute: Callable[[], dict]) -> dict:
        """Returns the scores of this name; computes and stores them where they are missing."""
        if name not in self.scores:
            started = time.perf_counter()
            found = compute()
            seconds = time.perf_counter() - started
            self.scores[name] = {**found, "seconds": round(seconds, 1)}
            self.out.mkdir(parents=True, exist_ok=True)
            write_json(self.out / "figures.json", {"schema": SCHEMA, "settings": self.settings,
                                                   "figures": self.scores})
            shown = ", ".join([f"{part} {value:.1%}" for part, value in found.items()])
            print(f"  {name}: {shown}  ({in_words(seconds)})", flush=True)
        return self.scores[name]

    # ---- pre-training ----

    @cached_property
    def corpus(self) -> Corpus:
        return toy_corpus(self.documents, self.documents // 10)

    def pretrained(self, kind: str, seed: int) -> Path:
        """Returns the folder of a pre-trained model ("both", "mlm", "nsp" or "gpt"); trains it, or
        resumes its training, where needed."""
        run = Run(self.out / "pretrained" / f"{kind}-{seed}")
        which = "gpt" if kind == "gpt" else "bert"
        given = {"seed": seed, "no_next_sentence": kind == "mlm", "corpus": "toy"}
        if self.steps is not None:
            given["steps"] = self.steps if which == "bert" else max(self.steps // 5, 1)
        options = resolved(which, given)
        known = run.path.exists()
        if known and run.state()["step"] == options.settings.steps:
            return run.checkpoint("latest")
        trainer = make_trainer(options, self.corpus, Report())
        if kind == "nsp":
            trainer = Trainer(trainer.model, self._pairs_only(trainer.tokenizer, options),
                              trainer.settings, tokenizer=trainer.tokenizer,
                              about={**trainer.about, "masked_lm": False}, report=trainer.report)
        trainer.run_folder = run if known else Run.create(run.path)
        if known:
            trainer.resume()
        else:
            trainer.save()
        print(f"pre-training {kind}, seed {seed}", flush=True)
        if not trainer.run():
            raise SystemExit(130)  # Ctrl-C: all is saved
        return run.checkpoint("latest")

    def _pairs_only(self, tokenizer, options: PretrainOptions) -> PretrainingObjective:
        corpus = self.corpus
        return PretrainingObjective(
            tokenizer, corpus.train_documents, corpus.held_out_documents, options.context,
            options.batch, options.settings.seed, masked_lm=False,
            sentences_per_segment=corpus.sentences_per_segment)

    # ---- the labelled examples ----

    @cached_property
    def stories(self) -> ToyStories:
        return ToyStories(ToyWorld(), self.corpus.train_documents)

    @cached_property
    def _drawn(self) -> dict:
        return {}

    def parts(self, name: str, seed: int) -> tuple:
        """Returns the toy task and disjoint training, dev and test examples; dev and test are the
        same for all seeds."""
        count = self.test + self.dev + seed * self.largest
        if name not in self._drawn or len(self._drawn[name][1]) < count:
            toy = TASKS[name](self.stories)
            self._drawn[name] = toy, toy.draw(count, np.random.default_rng(TASK_SEED))
        toy, examples = self._drawn[name]
        dev_end = self.test + self.dev
        return (toy, examples[count - self.largest:count], examples[self.test:dev_end],
                examples[:self.test])

    # ---- scores ----

    def model(self, name: str, source: str, size: int, seed: int, rate: float) -> dict:
        """Returns the dev and test scores of a model fine-tuned with one learning rate."""
        toy, train, dev, test = self.parts(name, seed)
        folder = self.pretrained({"scratch": "both", "frozen": "both"}.get(source, source), seed)
        _, config = config_of(folder)
        task = toy.task(Reading(load_tokenizer(folder), config.max_position_embeddings,
                                left_to_right=source == "gpt"))
        if source == "scratch":
            model = fresh_model(task, config, seed)
        else:
            model = pretrained_model(task, folder, seed)
        if source == "frozen":
            freeze_below(model, config.num_hidden_layers)
        objective = FineTuningObjective(task, train[:size], dev, BATCH, seed)
        steps = -(-size * (self.epochs or epochs_for(size)) // BATCH)
        settings = TrainingSettings(steps=steps, lr=rate, warmup=steps // 10, schedule="linear",
                                    betas=(0.9, 0.98), seed=seed)
        trainer = Trainer(model, objective, settings)
        for _ in range(steps):
            trainer.step()
        return {part: task.compute_metrics(examples, predict(task, model, examples))[toy.metric]
                for part, examples in (("dev", dev), ("test", test))}

    def counting(self, name: str, size: int, seed: int) -> dict:
        """Returns the test scores of the bag of words and of the majority baseline."""
        toy, train, dev, test = self.parts(name, seed)
        task = toy.task(self.reading)
        found = BagOfWords(toy).fit(train[:size], dev).predict(test)
        guessed = task.predict_baseline(task.fit_baseline(train[:size]), test)
        return {"test": task.compute_metrics(test, found)[toy.metric],
                "baseline": task.compute_metrics(test, guessed)[toy.metric]}

    def best(self, name: str) -> dict:
        """Returns the best possible score: its expectation, and its value on the test examples."""
        toy, _, _, test = self.parts(name, 1)
        best = toy.best(test)
        return {"expected": best.expected,
                "test": toy.task(self.reading).compute_metrics(test, best.predictions)[toy.metric]}

    @cached_property
    def reading(self) -> Reading:
        """An encoding for the baselines, which use no token ids."""
        return Reading(BertTokenizer.from_words(self.corpus.words), 48)


def compute(experiment: Experiment, arguments: argparse.Namespace) -> dict:
    """Returns {(task, source, size): test scores of all seeds}, each with the learning rate that is
    best on dev. "counting", "baseline" and "best" are sources as well."""
    table: dict[tuple, list[float]] = {}
    for name in arguments.tasks:
        best = experiment.figure(f"{name} best", partial(experiment.best, name))
        print(f"{name}: the best possible score is {best['expected']:.1%}", flush=True)
        for size, seed in product(arguments.sizes, range(1, arguments.seeds + 1)):
            table.setdefault((name, "best", size), []).append(best["expected"])
            counted = experiment.figure(f"{name} counting {size} seed {seed}",
                                        partial(experiment.counting, name, size, seed))
            table.setdefault((name, "counting", size), []).append(counted["test"])
            table.setdefault((name, "baseline", size), []).append(counted["baseline"])
            for source in arguments.sources:
                if source == "gpt" and TASKS[name].name not in FOR_GPT:
                    continue
                found = [experiment.figure(f"{name} {source} {size} seed {seed} rate {rate:g}",
                                           partial(experiment.model, name, source, size, seed,
                                                   rate))
                         for rate in arguments.rates]
                chosen = max(found, key=itemgetter("dev"))
                table.setdefault((name, source, size), []).append(chosen["test"])
    return table


def show(table: dict, arguments: argparse.Namespace) -> None:
    """Mean and spread over the seeds, a table for each task."""
    for name in arguments.tasks:
        print(f"\n{name}, {TASKS[name].metric} on the test examples: mean and standard deviation "
              f"over {arguments.seeds} seeds")
        print(f"{'':12}" + "".join([f"{size:>8,} examples" for size in arguments.sizes]))
        for source in ("baseline", "counting", *arguments.sources, "best"):
            if (name, source, arguments.sizes[0]) in table:
                cells = [table[name, source, size] for size in arguments.sizes]
                print(f"{source:12}" + "".join([_cell(values) for values in cells]))


def _cell(values: list[float]) -> str:
    spread = f" ±{100 * np.std(values, ddof=1):4.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):8.1f}{spread}".rjust(17)


def say(table: dict, arguments: argparse.Namespace) -> None:
    """Prints the differences between the rows of the table."""
    most = max(arguments.sizes)
    for name in arguments.tasks:
        for size in arguments.sizes:
            if "both" in arguments.sources and "scratch" in arguments.sources:
                gain = np.mean(table[name, "both", size]) - np.mean(table[name, "scratch", size])
                print(f"{name}, {size:,} examples: pre-training brings {100 * gain:+.1f} points")
        if "both" in arguments.sources:
            gap = table[name, "best", most][0] - np.mean(table[name, "both", most])
            print(f"{name}, {most:,} examples: pre-trained, {100 * gap:.1f} points under the best "
                  f"possible score")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 200, 1000])
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--rates", nargs="+", type=float, default=RATES)
    parser.add_argument("--out", type=Path, default=Path("runs/does-pretraining-pay"))
    parser.add_argument("--steps", type=int, help="of pre-training (default: those of `pretrain`)")
    parser.add_argument("--epochs", type=int, help="of fine-tuning (40 to 100)")
    parser.add_argument("--largest", type=int, default=1000, help="training examples drawn a seed")
    parser.add_argument("--dev", type=int, default=500)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--documents", type=int, default=TOY_DOCUMENTS, help="to pre-train on")
    arguments = parser.parse_args(argv)
    if max(arguments.sizes) > arguments.largest:
        parser.error(f"--sizes up to {max(arguments.sizes)}: raise --largest {arguments.largest}")
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time
    experiment = Experiment(arguments.out, arguments.steps, arguments.epochs, arguments.largest,
                            arguments.dev, arguments.test, arguments.documents)
    try:
        table = compute(experiment, arguments)
    except KeyboardInterrupt:
        raise SystemExit("interrupted: the scores so far are stored; the same command continues"
                         ) from None
    show(table, arguments)
    print("\nWhat it shows:")
    say(table, arguments)


if __name__ == "__main__":
    main()
