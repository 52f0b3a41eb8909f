"""A small world as labelled files of all five kinds, and how the tests of `finetune` begin."""

import json
import random
from pathlib import Path

from minibert.__main__ import main

NAMES, PLACES = "anna bob carla dan".split(), "rome paris oslo bern".split()
SMALL = ["--epochs", "2", "--threads", "1", "--lr", "0.003"]
FILES = {"classify": "tsv", "pair": "csv", "choice": "jsonl", "tag": "conll", "answer": "json"}


def write_files(folder: Path, part: str, count: int, rng: random.Random) -> None:
    """The same small world as labelled files of all five kinds."""
    sentences, pairs, choices, tagged, paragraphs = ["sentence\tlabel"], [
        "sentence1,sentence2,label"], [], ["-DOCSTART- O\n"], []
    for i in range(count):
        who, other = rng.sample(NAMES, 2)
        where, elsewhere = rng.sample(PLACES, 2)
        happy = rng.random() < 0.5
        sentences.append(f"{who} {'likes' if happy else 'hates'} {where} .\t"
                         f"{'pos' if happy else 'neg'}")
        same = rng.random() < 0.5
        pairs.append(f'"{who} lives in {where}, too .",{who if same else other} sleeps .,'
                     f"{int(same)}")
        label = rng.randrange(2)
        endings = [f"{who} sleeps .", f"{other} sleeps ."]
        choices.append(json.dumps({"context": f"{who} lives in {where} .", "start": "then",
                                   "endings": endings if label == 0 else endings[::-1],
                                   "label": label}))
        tagged.append(f"{who} B-PER\nlives O\nin O\nnew B-LOC\n{where} I-LOC\n. O\n")
        context = f"{who} lives in {where} . {other} lives in {elsewhere} ."
        asks = [{"id": f"{i}", "question": f"where does {other} live ?", "answers": [
            {"text": elsewhere, "answer_start": context.index(elsewhere)}]}]
        if i % 3 == 0:
            asks.append({"id": f"{i}n", "question": "where does nobody live ?", "answers": [],
                         "is_impossible": True})
        paragraphs.append({"context": context, "qas": asks})
    for ending, text in (("tsv", "\n".join(sentences)), ("csv", "\n".join(pairs)),
                         ("jsonl", "\n".join(choices)), ("conll", "\n".join(tagged)),
                         ("json", json.dumps({"data": [{"paragraphs": paragraphs}]}))):
        (folder / f"{part}.{ending}").write_text(text + "\n", encoding="utf-8")


def make_world(folder: Path) -> Path:
    """A pre-trained BERT and GPT, and labelled files, in one folder."""
    rng = random.Random(4)
    lines = [f"{rng.choice(NAMES)} {rng.choice(['likes', 'hates', 'lives in', 'sleeps in new'])} "
             f"{rng.choice(PLACES)} , too then where does nobody live ? ." for _ in range(120)]
    blocks = ["\n".join(lines[i:i + 4]) for i in range(0, 120, 4)]
    (folder / "text.txt").write_text("\n\n".join(blocks))
    assert main(["pretrain", "both", "--text", str(folder / "text.txt"), "--format", "lines",
                 "--out", str(folder / "both"), "--layers", "2", "--heads", "2", "--width", "16",
                 "--context", "32", "--batch", "4", "--threads", "1", "--steps", "3",
                 "--tokenizer", "wordpiece", "--vocab-size", "90", "--dropout", "0.1"]) == 0
    write_files(folder, "train", 40, rng)
    write_files(folder, "dev", 20, rng)
    return folder


def finetune(task: str, world: Path, out: Path, *more: str, start: str = "both") -> list[str]:
    ending = FILES[task]
    return ["finetune", task, "--from", str(world / start), "--train",
            str(world / f"train.{ending}"), "--dev", str(world / f"dev.{ending}"), "--out",
            str(out), *SMALL, *more]
