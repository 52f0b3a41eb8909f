"""The parser of the command line, assembled from the commands' own arguments."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from minibert.version import __version__

DESCRIPTION = "Train and use a BERT and a GPT that are written in NumPy."
SUMMARIES = {
    "pretrain": "Train a BERT, a GPT, or both on the same text.",
    "info": "What a run is, what it reached, and its loss curve.",
    "compare": "Two runs side by side: settings that differ, held-out figures.",
    "fill-mask": "The likeliest words at each [MASK] of a text.",
    "embed": "The vectors of texts, pooled as the folder says, and their cosines.",
    "next-sentence": "Whether the second text follows the first.",
    "generate": "Continue a text with a GPT: sampling, or beam search.",
    "score": "The log-probability of a text under a GPT, token by token.",
    "trace": "Every op that a model computes for a text, forward and backward.",
    "look": "A page that shows every number from a text to a prediction, or a training's curves.",
    "finetune": "Teach a pre-trained model a task from labelled examples.",
    "predict": "The predictions of a fine-tuned model for every example of a file.",
    "evaluate": "How good a fine-tuned model is on a labelled file.",
    "answer": "The answer to a question in a text.",
    "tag": "Mark the entities of a sentence.",
    "road": "From counting words to BERT and GPT: a table of distances to the exact answers.",
    "gradcheck": "Check the gradients of all ops, and of a small BERT and GPT."}


class OneLineParser(argparse.ArgumentParser):
    """argparse, with one line on stderr for a mistake instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Write the message in one line and exit with status 2."""
        message = " ".join(message.split())
        message = message if len(message) < 300 else message[:300] + "..."
        sys.stderr.write(f"{self.prog}: {message} (--help lists what there is)\n")
        sys.exit(2)


def command_module(name: str) -> ModuleType:
    """The module of a command in SUMMARIES, with add_arguments and run. Only this one is imported,
    late: all of them take 0.18 s, as long as the package with NumPy, and `--help` needs none."""
    return import_module(f"minibert.cli.{name.replace('-', '_')}")


def make_parser(name: str | None) -> argparse.ArgumentParser:
    """The parser: of all commands by name, of the command `name` with its arguments."""
    parser = OneLineParser(prog="minibert", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"minibert {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command",
                                     parser_class=OneLineParser)
    for command, summary in SUMMARIES.items():
        added = commands.add_parser(command, help=summary, description=summary, allow_abbrev=False)
        if command == name:
            command_module(name).add_arguments(added)
    return parser


def parse(arguments: Sequence[str]) -> tuple[ModuleType, dict[str, object]]:
    """(module of the command, the arguments of its function `run` by name). Errors: SystemExit,
    after one line on stderr."""
    values = vars(make_parser(arguments[0] if arguments else None).parse_args(arguments))
    return command_module(values.pop("command")), values
