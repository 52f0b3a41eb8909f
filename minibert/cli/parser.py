"""The command line's words: which commands there are, and which options each of them takes."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from minibert.cli.finetune_options import add_commands
from minibert.training.schedules import SCHEDULES

DESCRIPTION = "Train and question a BERT and a GPT that are written in NumPy."


class OneLineParser(argparse.ArgumentParser):
    """argparse, with one line on stderr for a mistake instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message} (--help lists what there is)\n")
        sys.exit(2)


def make_parser() -> argparse.ArgumentParser:
    """The parser; `parse_args` puts the command's name into `command`."""
    parser = OneLineParser(prog="minibert", description=DESCRIPTION, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command",
                                     parser_class=OneLineParser)
    _add_pretrain(commands)

    def command(name: str, summary: str, run: str | None = "RUN"):
        added = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        if run is not None:
            added.add_argument("run", metavar=run, help="a run's folder, or a model's")
        return added

    command("info", "What a run is, what it reached, and its loss curve.")
    compare = command("compare", "Two runs side by side: settings that differ, held-out figures.")
    compare.add_argument("other", metavar="RUN", help="the second run")

    fill = command("fill-mask", "The likeliest words at each [MASK] of a text.")
    fill.add_argument("text", help='such as "the [MASK] sleeps ."')
    fill.add_argument("--top", type=int, default=5, help="how many words to show (5)")

    embed = command("embed", "The vectors of texts, of length 1, and how alike the texts are.")
    embed.add_argument("texts", nargs="+", metavar="TEXT")

    pair = command("next-sentence", "Whether the second text follows the first.")
    pair.add_argument("first", metavar="A")
    pair.add_argument("second", metavar="B")

    generate = command("generate", "Let a GPT go on with a text: it draws from what is likely, or "
                                   "searches with beams.")
    generate.add_argument("--prompt", default="", help="the beginning (none: a new document)")
    generate.add_argument("--tokens", type=int, default=100, help="at most so many new ones (100)")
    generate.add_argument("--temperature", type=float, help="0 is the likeliest token (1)")
    generate.add_argument("--top-k", type=int, help="only the k likeliest (0: all)")
    generate.add_argument("--top-p", type=float, help="only the likeliest that make up p (1)")
    generate.add_argument("--repetition-penalty", type=float,
                          help="above 1: what was said is less likely (1)")
    generate.add_argument("--num-beams", type=int, help="search for the likeliest text instead (1)")
    generate.add_argument("--length-penalty", type=float,
                          help="with beams: above 0 for longer texts, below for shorter (1)")
    generate.add_argument("--seed", type=int, default=0, help="another seed, another text (0)")

    score = command("score", "The log-probability of a text under a GPT, token by token.")
    score.add_argument("text")

    trace = command("trace", "Every op that a model computes for a text, forward and backward.")
    trace.add_argument("text")
    trace.add_argument("--write", metavar="FILE", help="write the records as JSON lines, too")

    add_commands(commands, command)

    check = command("gradcheck", "Check the gradients of all ops, and of a small BERT and GPT.",
                    run=None)
    check.add_argument("--method", choices=("complex", "central"), default="complex",
                       help="how the reference derivative is taken (complex)")
    return parser


def _add_pretrain(commands) -> None:
    """`pretrain`: what is not given is taken from the table in defaults.py."""
    summary = "Train a BERT, a GPT, or both on the same text."
    pretrain = commands.add_parser("pretrain", help=summary, description=summary,
                                   allow_abbrev=False)
    pretrain.add_argument("model", choices=("bert", "gpt", "both"))
    source = pretrain.add_mutually_exclusive_group()
    source.add_argument("--corpus", choices=("toy", "python-docs"),
                        help="a corpus that is at hand (toy)")
    source.add_argument("--text", nargs="+", metavar="FILE_OR_FOLDER", help="your own text")
    pretrain.add_argument("--from", dest="from", metavar="FOLDER",
                          help="go on with the model and the tokenizer of a run, or of a folder "
                               "in Hugging Face's layout")
    text = pretrain.add_argument_group("text")
    text.add_argument("--format", choices=("lines", "prose"),
                      help="how --text is laid out: a sentence a line, or running text (prose)")
    text.add_argument("--tokenizer", choices=("wordpiece", "chars"))
    text.add_argument("--vocab-size", type=int, help="of a WordPiece tokenizer trained here")
    model = pretrain.add_argument_group("model")
    model.add_argument("--layers", type=int)
    model.add_argument("--heads", type=int)
    model.add_argument("--width", type=int)
    model.add_argument("--context", type=int, help="tokens that the model sees at once")
    model.add_argument("--dropout", type=float)
    model.add_argument("--norm-first", action="store_true", default=None,
                       help="BERT with the layer norm before each branch, as in GPT-2")
    model.add_argument("--no-next-sentence", action="store_true", default=None,
                       help="BERT learns to fill gaps only")
    training = pretrain.add_argument_group("training")
    training.add_argument("--batch", type=int, help="windows or pairs in a batch")
    training.add_argument("--accumulate", type=int, help="batches in a step")
    training.add_argument("--steps", type=int)
    training.add_argument("--lr", type=float, help="the highest learning rate")
    training.add_argument("--min-lr", type=float, help="the rate at the end")
    training.add_argument("--warmup", type=int, help="steps until the highest rate")
    training.add_argument("--schedule", choices=tuple(SCHEDULES))
    training.add_argument("--weight-decay", type=float)
    training.add_argument("--betas", type=float, nargs=2, metavar=("B1", "B2"))
    training.add_argument("--clip", type=float, help="largest norm of the gradient (0: no limit)")
    training.add_argument("--eval-every", type=int,
                          help="steps between evaluations (0: at the end)")
    training.add_argument("--seed", type=int)
    run = pretrain.add_argument_group("run")
    run.add_argument("--threads", type=int,
                     help="threads of a matrix product (all cores; 1 on the toy world)")
    run.add_argument("--workers", type=int,
                     help="threads that share each batch (by size and cores)")
    run.add_argument("--out", metavar="FOLDER", help="where the run is kept (runs/...)")
    run.add_argument("--resume", action="store_true", help="go on with the run in --out")
