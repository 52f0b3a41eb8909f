"""Demo 15: fine-tuning on a few hand-written examples in English and Chinese, file by file.

    python demos/15_examples_by_hand.py                       in a temporary folder
    python demos/15_examples_by_hand.py --keep by-hand        keeps the files and the runs

Runs the command line and prints each command. The model is tiny and is evaluated on its own
training examples: perfect scores show that reading, training and answering fit together, and
nothing about language.
"""

import argparse
import shlex
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from minibert.__main__ import main as minibert
from minibert.data.sentence_splitter import split_sentences
from minibert.finetuning.files.choices import write_choices
from minibert.finetuning.files.questions import write_questions
from minibert.finetuning.files.sentences import write_sentences
from minibert.finetuning.files.tags import write_tags
from minibert.finetuning.hand_examples import (CHOICES, PAIRS, QUESTIONS, SENTENCES, SU_SHI,
                                               SU_SHI_CHINESE, TAGGED)
from minibert.training.run_folder import Run

SIZE = ("--layers 2 --heads 2 --width 64 --context 128 --vocab-size 600 --batch 8 --steps 50 "
        "--threads 1")
RECIPE = "--epochs 60 --batch 2 --lr 0.001 --dropout 0 --threads 1"
FILES = {"classify": ("sentences.tsv", write_sentences, SENTENCES),
         "pair": ("pairs.tsv", write_sentences, PAIRS),
         "choice": ("choices.csv", write_choices, CHOICES),
         "tag": ("tags.conll", write_tags, TAGGED),
         "answer": ("questions.json", write_questions, QUESTIONS)}
# (task, input, what the output must contain: the answer marked in the original text)
ASKED = [("tag", "Apple's headquarters are in Cupertino.", "[Apple ORG]'s"),
         ("tag", "她在纽约买了一个苹果。", "她在[纽约 LOC]买了一个苹果。"),
         ("answer", "Where did Su Shi come from?", "He came from [Meishan in Meizhou], today"),
         ("answer", "苏轼是哪里人？", "他是[眉州眉山]人"),
         ("answer", "他什么时候建了房子？", "the text does not say")]


def write_files(folder: Path) -> None:
    """Writes the labelled examples, two passages about Su Shi, and all sentences to pre-train on.
    """
    for name, write, examples in FILES.values():
        write(folder / name, examples)
    texts = {"su-shi-english.txt": SU_SHI, "su-shi-chinese.txt": SU_SHI_CHINESE}
    for name, text in texts.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")
    documents = [*texts.values(), *(" ".join(example.words) for example in TAGGED),
                 *(f"{example.text} {example.text_pair or ''}" for example in SENTENCES + PAIRS),
                 *(" ".join([example.context, *example.endings]) for example in CHOICES),
                 " ".join([example.question for example in QUESTIONS])]
    lines = ["\n".join(split_sentences(document)) for document in documents]
    (folder / "texts.txt").write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def run(*words: object) -> str:
    """Prints a command, runs it and returns its output."""
    words = [str(word) for word in words]
    print(f"\npython -m minibert {shlex.join(words)}", flush=True)
    with redirect_stdout(StringIO()) as printed:
        if minibert(words) != 0:
            raise SystemExit("the command failed")
    return printed.getvalue()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a folder for files and runs")
    folder = parser.parse_args(argv).keep
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            show(Path(temporary))
    elif folder.exists():
        raise SystemExit(f"{folder} exists already and is not touched: give another folder")
    else:
        folder.mkdir(parents=True)
        show(folder)
    print("\nClaim: every answer is right, in both languages, and stands in the text as marked.")


def show(folder: Path) -> None:
    write_files(folder)
    run("pretrain", "bert", "--text", folder / "texts.txt", "--format", "lines", "--out",
        folder / "bert", *SIZE.split())
    for task, (name, _, _) in FILES.items():
        run("finetune", task, "--from", folder / "bert", "--train", folder / name, "--dev",
            folder / name, "--out", folder / task, *RECIPE.split())
        best = Run(folder / task).summary()["best"]
        figures = {figure: best[figure] for figure in best if figure not in ("step", "loss")}
        print(", ".join([f"{figure} {value:.3f}" for figure, value in figures.items()]))
        if min(figures.values()) < 1 - 1e-9:
            raise SystemExit(f"{task}: a training example is predicted wrongly")
    for task, text, expected in ASKED:
        language = "english" if text.isascii() else "chinese"
        asked = ([text] if task == "tag" else
                 ["--context", folder / f"su-shi-{language}.txt", "--question", text])
        said = run(task, folder / task, *asked)
        print(said.rstrip())
        if expected not in said:
            raise SystemExit(f"expected {expected!r}")


if __name__ == "__main__":
    main()
