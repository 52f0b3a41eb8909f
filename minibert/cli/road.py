"""`road`: from counting words to BERT and GPT, every model against the same exact answers."""

import argparse
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from minibert.ancestors.answer_key import AnswerKey
from minibert.ancestors.word_sense import LINEAR, NEAREST, WordSenses
from minibert.cli.arguments import path
from minibert.cli.pretrain_options import COMMON
from minibert.cli.display import table
from minibert.cli.road_rows import (ORDERS, STEPS, count, is_trained, open_row, road_trainer,
                                    run_folder, train)
from minibert.data.corpora import Corpus, toy_corpus, train_tokenizer
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld
from minibert.training.report import Report, estimate, in_words
from minibert.training.run_folder import Run
from minibert.validate import whole_number

SEEDS, BUDGET = 3, 3
TITLES = {  # row: (what it is, its source)
    "unigram": ("counting words", "Shannon 1951"),
    "bigram": ("counting pairs", "Kneser & Ney 1995"),
    "trigram": ("counting trigrams", "Chen & Goodman 1999"),
    "cbow": ("CBOW", "Mikolov et al. 2013"),
    "skipgram": ("skip-gram", "Mikolov et al. 2013"),
    "glove": ("GloVe", "Pennington et al. 2014"),
    "lstm": ("LSTM", "Zaremba et al. 2014"),
    "elmo": ("ELMo", "Peters et al. 2018, eq. 1"),
    "gpt": ("GPT", "Radford et al. 2018"),
    "bert": ("BERT", "Devlin et al. 2019"),
    "bert-no-nsp": ("BERT, no next sentence", "Liu et al. 2019, table 2"),
    "bert-dynamic": ("BERT, few texts, new masks", "Liu et al. 2019, table 1"),
    "bert-static": ("BERT, few texts, static masks", "Liu et al. 2019, table 1"),
    "bart": ("encoder-decoder", "Lewis et al., Raffel et al. 2020"),
    "oracle": ("the oracle", "exact"),
}
HEADER = ("", "parameters", "seconds", "next word, nats", "a gap, nats", f"sense {NEAREST}, %",
          f"sense {LINEAR}, %", "source")
STATIC = "has the same vector in every sentence, to the bit: the prior"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    rows = ", ".join([f"{row} ({title})" for row, (title, _) in TITLES.items()])
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=(*TITLES, []),
                        help=f"without one all of: {rows}")
    parser.add_argument("--seeds", type=int, default=SEEDS,
                        help=f"trainings of each row that is trained ({SEEDS})")
    parser.add_argument("--out", type=path, default="runs/road", metavar="FOLDER",
                        help="the folder of the runs (runs/road)")


class Figures(NamedTuple):
    """The figures of a row, one for each seed; empty where it has no answer."""

    parameters: int | None
    seconds: tuple[float, ...]
    next_word: tuple[float, ...]
    gap: tuple[float, ...]
    nearest: tuple[float, ...]
    linear: tuple[float, ...]
    unanswered: Mapping[str, str]  # question -> why


def run(rows: Sequence[str], seeds: int, out: str) -> int:
    """Train what is not there yet and print the table; exit status 130 if a signal stopped it."""
    whole_number("--seeds", seeds, 1)
    rows, folder, report = [row for row in TITLES if row in (rows or TITLES)], Path(out), Report()
    corpus = toy_corpus()
    tokenizer = train_tokenizer(corpus, "wordpiece", "bert")
    if not _train_rows(rows, seeds, folder, corpus, tokenizer, report):
        words = " ".join(["python -m minibert road", *rows])
        report.line(f"stopped, all is saved; go on with: {words} --seeds {seeds} --out {out}")
        return 130
    report.line("computing the exact answers")
    world = ToyWorld()
    key = AnswerKey(world, tokenizer, corpus.held_out_documents, COMMON["context"])
    senses = WordSenses(world, tokenizer)
    figures = {}
    for row in rows:
        report.line(f"{row}: computing the distances to the exact answers")
        figures[row] = figures_of(row, seeds, folder, corpus, tokenizer, key, senses)
    for line in road_table(figures):
        report.line(line)
    return 0


def _train_rows(rows: Sequence[str], seeds: int, folder: Path, corpus: Corpus,
                tokenizer: BertTokenizer, report: Report) -> bool:
    """False if a signal stopped a training."""
    missing = {row: [seed for seed in range(1, seeds + 1)
                     if not is_trained(row, seed, folder, tokenizer.vocab_size)]
               for row in rows if row in STEPS}
    missing = {row: which for row, which in missing.items() if which}
    if missing:
        seconds = 0.0
        for row, which in missing.items():
            started = time.perf_counter()
            trainer = road_trainer(row, corpus, tokenizer, 1, report)
            building = time.perf_counter() - started
            of_row = len(which) * (building + estimate(trainer)["seconds"])
            seconds += of_row
            report.line(f"{row}: seeds {', '.join(map(str, which))}, about {in_words(of_row)}")
        report.line(f"{sum(map(len, missing.values()))} trainings to do, about "
                    f"{in_words(seconds)} in all; Ctrl-C keeps what is done")
    for row, which in missing.items():
        for seed in which:
            report.line(f"{row}, seed {seed}")
            trainer = road_trainer(row, corpus, tokenizer, seed, report)
            if not train(trainer, run_folder(row, seed, folder)):
                return False
    return True


def figures_of(row: str, seeds: int, folder: Path, corpus: Corpus, tokenizer: BertTokenizer,
               key: AnswerKey, senses: WordSenses) -> Figures:
    """The figures of a row whose trainings have ended. Errors: RuntimeError, a static model whose
    decisions are not the prior's."""
    if row == "oracle":
        left, both = senses.bounds()
        return Figures(None, (), (0.0,), (0.0,), (left,), (both,), {})  # distances to itself
    if row in ORDERS:
        started = time.perf_counter()
        models = [count(row, folder / row, corpus, tokenizer)]
        seconds, parameters = [time.perf_counter() - started], models[0].parameter_count()
    else:
        runs = [Run(run_folder(row, seed, folder)) for seed in range(1, seeds + 1)]
        models = [open_row(row, run.path, key.sentences) for run in runs]
        seconds = [run.state()["step_seconds"] for run in runs]
        parameters = runs[0].summary()["parameters"]
    unanswered, accuracies = dict(models[0].unanswered), []
    if "vectors" not in unanswered:
        accuracies = [senses.accuracy(model) for model in models]
        if all([senses.is_static(model) for model in models]):
            if set(accuracies) != {(0.5, 0.5)}:
                raise RuntimeError(f"{row}: static vectors decide {accuracies}, not the prior")
            unanswered["vectors"] = STATIC
    return Figures(
        parameters, tuple(seconds),
        tuple([key.next_word_distance(m) for m in models if "next_word" not in unanswered]),
        tuple([key.gap_distance(m) for m in models if "gap" not in unanswered]),
        *(zip(*accuracies) if accuracies else ((), ())), unanswered)


def road_table(figures: Mapping[str, Figures]) -> list[str]:
    """The table: means with standard errors over seeds, a footnote for every cell that is empty or
    static."""
    reasons = list(dict.fromkeys([why for row in figures.values()
                                  for why in row.unanswered.values()]))
    rows = [HEADER]
    for name, row in figures.items():
        note = {question: f"({reasons.index(why) + 1})" for question, why in row.unanswered.items()}
        senses = [" ".join(filter(None, [_cell([100 * share for share in shares], 1),
                                         note.get("vectors")]))
                  for shares in (row.nearest, row.linear)]
        title, source = TITLES[name]
        rows.append((title, "" if row.parameters is None else f"{row.parameters:,}",
                     _cell(row.seconds, 1), _cell(row.next_word, 3) or note["next_word"],
                     _cell(row.gap, 3) or note["gap"], *senses, source))
    return ["", *table(rows), "", *[f"({number}) {why}" for number, why in enumerate(reasons, 1)],
            *over_budget(figures),
            "nats: above the oracle, on the same held-out words; +- the standard error of seeds",
            f"sense: of ambiguous words, by the nearer of averages of {NEAREST} occurrences of "
            f"each sense, and by a linear discriminant of {LINEAR}; of the oracle: its posterior "
            "from the left side, and from both sides"]


def over_budget(figures: Mapping[str, Figures]) -> list[str]:
    """A line that names the rows with more than GPT's parameters or than `BUDGET` times its
    seconds; none without GPT."""
    if "gpt" not in figures:
        return []
    most, seconds = figures["gpt"].parameters, statistics.mean(figures["gpt"].seconds)
    over = [TITLES[name][0] for name, row in figures.items() if (row.parameters or 0) > most
            or row.seconds and statistics.mean(row.seconds) > BUDGET * seconds]
    return [f"over the budget, GPT's parameters and {BUDGET} times its seconds: "
            f"{', '.join(over)}"] if over else []


def _cell(values: Sequence[float], digits: int) -> str:
    """The mean and its standard error; nothing without values."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} +- {statistics.stdev(values) / math.sqrt(len(values)):.{digits}f}"
