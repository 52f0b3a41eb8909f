"""Demo 12: five labelled tasks on the toy world, each with its best possible score.

    python demos/12_toy_tasks.py
    python demos/12_toy_tasks.py --write toy-tasks      the same as files, for `finetune`

The labels are functions of the world's hidden states (character, topic), so the best possible
prediction is known exactly. A bag-of-words classifier stays far below it in all five: no single
word determines a label.
"""

import argparse
from pathlib import Path

import numpy as np

from minibert.data.corpora import toy_corpus
from minibert.finetuning.bag_of_words import BagOfWords
from minibert.finetuning.encoding import Reading
from minibert.finetuning.files.choices import write_choices
from minibert.finetuning.files.questions import write_questions
from minibert.finetuning.files.sentences import write_sentences
from minibert.finetuning.files.tags import write_tags
from minibert.finetuning.toy.sentences import Endings, Mood, SameTopic
from minibert.finetuning.toy.stories import ToyStories
from minibert.finetuning.toy.words import Entities, Questions
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld

TASKS = {"mood": Mood, "same-topic": SameTopic, "endings": Endings, "entities": Entities,
         "questions": Questions}
WRITERS = {"classify": ("tsv", write_sentences), "pair": ("tsv", write_sentences),
           "choice": ("csv", write_choices), "tag": ("conll", write_tags),
           "answer": ("json", write_questions)}
LEAST_DISTANCE = 0.10


def shown(toy, example) -> list[str]:
    """Returns an example as a few lines of text."""
    if toy.name == "choice":
        return [f"{example.context}  {example.start} ...",
                *(f"  {'*' if k == example.label else ' '} {ending}"
                  for k, ending in enumerate(example.endings))]
    if toy.name == "tag":
        widths = [max(map(len, column)) for column in zip(example.words, example.tags)]
        return ["  ".join([name.ljust(width) for name, width in zip(row, widths)]).rstrip()
                for row in (example.words, example.tags)]
    if toy.name == "answer":
        return [example.passage, f"  asked: {example.question}",
                f"  answer: {example.answers[0].text}"]
    return [*(text for text in (example.text, example.text_pair) if text),
            f"  -> {example.label}"]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=1000, help="examples to learn from")
    parser.add_argument("--test", type=int, default=1000, help="test examples, and as many for dev")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write the examples as files")
    arguments = parser.parse_args(argv)
    if arguments.write and arguments.write.exists():
        raise SystemExit(f"{arguments.write} exists already and is not touched: give another "
                         "folder")
    corpus = toy_corpus()
    stories = ToyStories(ToyWorld(), corpus.train_documents)
    reading = Reading(BertTokenizer.from_words(corpus.words), 48)
    distances = []
    for name, task_class in TASKS.items():
        toy = task_class(stories)
        print(f"\n{name}: {task_class.__doc__.splitlines()[0]}\n")
        count = arguments.train + 2 * arguments.test
        examples = toy.draw(count, np.random.default_rng(1))
        train, dev, test = np.split(np.arange(count), [arguments.train,
                                                       arguments.train + arguments.test])
        train, dev, test = ([examples[i] for i in part] for part in (train, dev, test))
        for example in train[:2]:
            print("\n".join([f"    {line}" for line in shown(toy, example)]))
        task, best = toy.task(reading), toy.best(test)
        bag = BagOfWords(toy).fit(train, dev)
        predicted = {
            task.baseline_name: task.predict_baseline(task.fit_baseline(train), test),
            f"counting words in {len(train)} examples": bag.predict(test),
            "the best possible": best.predictions}
        print(f"\n  {toy.metric} on {len(test)} test examples")
        scores = [task.compute_metrics(test, found)[toy.metric] for found in predicted.values()]
        for what, score in zip(predicted, scores):
            expected = f"  (expected: {best.expected:.1%})" if what == "the best possible" else ""
            print(f"  {score:6.1%}  {what}{expected}")
        distances.append(best.expected - scores[1])
        if arguments.write:
            write(arguments.write, name, toy, {"train": train, "dev": dev, "test": test})
    if min(distances) < LEAST_DISTANCE:
        raise SystemExit(f"counting words is within {LEAST_DISTANCE:.0%} of the best score")
    print(f"\nClaim: counting words stays at least {min(distances):.0%} under the best possible "
          "score, on each of the five tasks.")


def write(folder: Path, name: str, toy, parts: dict[str, list]) -> None:
    """Writes the parts as files for `finetune`."""
    folder.mkdir(parents=True, exist_ok=True)
    suffix, write_examples = WRITERS[toy.name]
    for part, examples in parts.items():
        write_examples(folder / f"{name}-{part}.{suffix}", examples)
    print(f"  written to {folder}: python -m minibert finetune {toy.name} --from RUN "
          f"--train {folder / f'{name}-train.{suffix}'} --dev {folder / f'{name}-dev.{suffix}'}")


if __name__ == "__main__":
    main()
