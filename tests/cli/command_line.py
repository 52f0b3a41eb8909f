"""What the tests of the command line share: running a command, and a little text."""

import random
import time
from pathlib import Path

from minibert.__main__ import main

SMALL = ["--layers", "1", "--heads", "2", "--width", "16", "--context", "24", "--batch", "4",
         "--threads", "1", "--tokenizer", "wordpiece", "--vocab-size", "80"]


def write_text(path: Path, documents: int = 24) -> Path:
    """Documents of sentences over a few words, a sentence a line."""
    rng = random.Random(3)
    subjects, verbs = "the cat|a dog|my bird|our fish".split("|"), "sees eats likes".split()
    things = "bread milk corn meat fruit".split()
    blocks = ["\n".join([f"{rng.choice(subjects)} {rng.choice(verbs)} {rng.choice(things)} ."
                         for _ in range(rng.randint(3, 6))]) for _ in range(documents)]
    path.write_text("\n\n".join(blocks) + "\n")
    return path


def pretrain(model: str, text: Path, out: Path, *more: str) -> list[str]:
    return ["pretrain", model, "--text", str(text), "--format", "lines", "--out", str(out), *SMALL,
            *more]


def output_of(capsys, *arguments) -> str:
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def mistake(capsys, *arguments) -> str:
    """The one line on stderr of a command that must fail with status 2."""
    try:
        status = main(list(map(str, arguments)))
    except SystemExit as leaving:  # argparse leaves by itself
        status = leaving.code
    lines = [line for line in capsys.readouterr().err.splitlines()
             if not line.startswith("minibert: note")]
    assert status == 2 and len(lines) == 1 and lines[0].startswith("minibert"), lines
    return lines[0]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def log_sizes(folder: Path) -> list[int]:
    """The bytes of the logs of a `pretrain both`."""
    return [path.stat().st_size for path in sorted(folder.glob("*/log.jsonl"))]


def wait_until(happened, seconds: float = 30.0) -> bool:
    """Whether it happened within so many seconds."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
