"""`look`: a page that shows every number from a text to a prediction, and back."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

from minibert.cli.arguments import add_run, check_new_file, flag_name, path
from minibert.cli.folders import model_folders, open_model
from minibert.cli.generate import (BEAMS, SAMPLING, add_search_arguments, checked_search,
                                   document_options)
from minibert.errors import InputError
from minibert.look.causes_view import interventions
from minibert.look.data import MAX_BYTES, find_view, new_data
from minibert.look.history import read_histories
from minibert.look.look import all_views
from minibert.look.page import write_page
from minibert.look.run import add_training
from minibert.look.subject import Subject, make_subject
from minibert.look.terminal import terminal_text
from minibert.look.tree import add_tree
from minibert.look.walk import stored_optimizer
from minibert.models.architectures import BERT, DISTILBERT, GPT, ROBERTA, classes_of
from minibert.models.pretrained_model import PretrainedModel
from minibert.tokenizers.base import Tokenizer
from minibert.validate import whole_number

LONG = 2.0  # seconds from which on an estimate is printed first
SPEED = 5e10  # operations in a second, measured on one core with BERT-base's size
VIEWS = ("walk", "back", "heads", "stream", "lens", "causes", "map", "two", "tree", "run")
SEARCH = (*SAMPLING, *BEAMS, "repetition_penalty", "num_beams")  # options of `generate`
ABOUT_TEXT = ("pair", "target", "instead", "against", "layer", "head", "token", "tokens", "live",
              "quick", "grow", "seed", *SEARCH)
DEFAULTS = {"layer": 0, "head": 0, "live": False, "quick": False, "seed": 0}  # the others: None
# The class that wrote a folder is preferred; else the first whose weights are all there.
CLASSES = tuple([one for architecture in (BERT, GPT, ROBERTA, DISTILBERT)
                 for one in classes_of(architecture)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("text", nargs="?", help='such as "the [MASK] sleeps ."; without one: the '
                                                "curves of the run's training")
    parser.add_argument("--pair", metavar="TEXT", help="the second text of a pair")
    parser.add_argument("--with", dest="others", type=path, nargs="+", metavar="RUN",
                        help="a second model of the same vocabulary, beside the first; without a "
                             "text up to three further runs")
    parser.add_argument("--target", metavar="[POSITION:]WORD",
                        help="the output that is explained (the likeliest)")
    parser.add_argument("--instead", metavar="WORD",
                        help="explain the difference to this output's logit")
    parser.add_argument("--against", metavar="TEXT",
                        help="a second text of as many tokens: its activations are patched into "
                             "the first, and its words stand beside the first's in the map")
    parser.add_argument("--quick", action="store_true",
                        help="fewer interventions in the view Causes")
    parser.add_argument("--out", type=path, metavar="FILE",
                        help="a file that does not exist yet (look.html; .json: the data alone)")
    parser.add_argument("--live", action="store_true",
                        help="put the weights of a model of more than 500,000 into the page, too")
    parser.add_argument("--terminal", action="store_true",
                        help="print the views as text instead of writing a page")
    parser.add_argument("--view", choices=VIEWS, help="with --terminal: only this one")
    growth = parser.add_argument_group("what the GPT would write")
    growth.add_argument("--grow", type=int, metavar="N",
                        help="N tokens after the text, each with the draw that led to it; with "
                             "--num-beams the lattice of the beams")
    add_search_arguments(growth)
    first = parser.add_argument_group("what is shown first")
    first.add_argument("--layer", type=int, default=0, help="(0)")
    first.add_argument("--head", type=int, default=0, help="(0)")
    first.add_argument("--token", type=int, help="(the one that the target depends on)")
    first.add_argument("--tokens", metavar="A:B", help="only the tokens A to B - 1 of the text")
    first.add_argument("--max-bytes", type=int, default=MAX_BYTES,
                       help=f"largest size of the numbers in the page ({MAX_BYTES})")


def run(folder: str, text: str | None, others: list[str] | None, out: str | None, terminal: bool,
        view: str | None, max_bytes: int, **about_text: object) -> int:
    """Write the page and print where it is, or print the views. `about_text` are the options in
    ABOUT_TEXT."""
    if view is not None and not terminal:
        raise InputError("--view: the page has all views: give --terminal, too")
    if terminal and out is not None:
        raise InputError("--out: --terminal writes no file: leave one of the two out")
    out = "look.html" if out is None else out
    if not terminal:
        check_new_file("--out", out)
    whole_number("--max-bytes", max_bytes, 1)
    options = {name: about_text[name] for name in ABOUT_TEXT
               if about_text[name] != DEFAULTS.get(name)}  # those that were given
    check_places(folder, text, others or [])
    if text is None:
        for name in options:
            raise InputError(f"{flag_name(name)} is about a text: give one after the run")
        data = training_page([folder, *(others or [])])
    else:
        if others is not None and len(others) > 1:
            raise InputError("--with: names several runs: beside a text expected one")
        data = text_page(folder, text, others and others[0], options)
    if view is not None and find_view(data, view) is None:
        names = ", ".join([part["name"] for part in data["views"]])
        raise InputError(f"--view {view}: {'with' if text else 'without'} a text expected one of "
                         f"{names}")
    if terminal:
        print(terminal_text(data, view, sys.stdout.encoding or "ascii"))
        return 0
    write_page(data, out, max_bytes)
    print(f"{Path(out).resolve()}  ({Path(out).stat().st_size:,} bytes)")
    return 0


def check_places(folder: str, text: str | None, others: list[str]) -> None:
    """Errors: InputError, a run in the place of the text, or a text behind the runs of --with."""
    if text is not None and os.path.exists(os.path.join(text, "log.jsonl")):
        raise InputError(f"{text}: this is a run, not a text: to see both trainings say "
                         f"{folder} --with {text}")
    for other in others:
        if not Path(other).is_dir():
            raise InputError(f"--with {other}: there is no such folder: expected a run; a text "
                             "stands before --with")


def training_page(folders: list[str]) -> dict:
    """The data of the page of the trainings in `folders`. Errors: InputError, no runs."""
    names = " ".join([shown_name(folder) for folder in folders]).replace(" ", " --with ", 1)
    data = new_data([], f"python -m minibert look {names}")
    add_training(data, read_histories(folders))
    return data


def text_page(folder: str, text: str, other: str | None, options: dict) -> dict:
    """The data of the page of a text in one or two models; `options` are those that were given.
    Errors: InputError."""
    search = {name: options[name] for name in SEARCH if name in options}
    if "grow" in options:
        whole_number("--grow", options["grow"], 1)
        checked_search(options.get("seed", 0), search)
    elif "seed" in options or search:
        raise InputError(f"{flag_name(next(iter(search), 'seed'))}: only --grow uses it: give "
                         "that, too")
    quick = "quick" in options
    subjects, optimizers = [], []
    for name, model, tokenizer, place in opened(folder, other):
        subjects.append(make_subject(name, model, tokenizer, text, options.get("pair"),
                                     token_range(options.get("tokens")), options.get("target"),
                                     options.get("instead"), options.get("against")))
        optimizers.append(stored_optimizer(model, place))
    config = subjects[0].model.config
    layer = whole_number("--layer", options.get("layer", 0), 0, config.num_hidden_layers - 1)
    head = whole_number("--head", options.get("head", 0), 0, config.num_attention_heads - 1)
    token = options.get("token")
    if token is not None:
        whole_number("--token", token, 0, len(subjects[0].ids) - 1)
    announce(subjects, quick)
    data = all_views(subjects, optimizers, command_line(folder, text, other, options), layer, head,
                     token, "live" in options, quick)
    if "grow" in options:
        writer = next((one for one in subjects if one.causal), subjects[0])
        growth = document_options(writer.model, writer.tokenizer, search)
        add_tree(data, writer, options.get("seed", 0),
                 {"max_new_tokens": options["grow"], **growth})
    return data


def command_line(folder: str, text: str, other: str | None, options: dict) -> str:
    """The command that makes the page, without what names a place of this machine."""
    words = ["look", shown_name(folder), text]
    words += [] if other is None else ["--with", shown_name(other)]
    for name, value in options.items():
        words += [flag_name(name)] + ([] if value is True else [str(value)])
    return "python -m minibert " + shlex.join(words)


def announce(subjects: list[Subject], quick: bool) -> None:
    """Print on the error output what the interventions take, if it is long: two operations for each
    parameter and token of a run of the model."""
    runs = [interventions(subject, quick) for subject in subjects]
    operations = sum([2 * count * len(subject.ids) * sum([p.size for p in
                                                          subject.model.parameters()])
                      for count, subject in zip(runs, subjects)])
    if operations > LONG * SPEED:
        cure = "" if quick else "; --quick takes fewer"
        print(f"{sum(runs)} interventions take about {operations / SPEED:.0f} s{cure}",
              file=sys.stderr)


def opened(folder: str, other: str | None
           ) -> list[tuple[str, PretrainedModel, Tokenizer, Path]]:
    """(name, model, tokenizer, folder) of the model in `folder` (two of a `pretrain both`), and of
    that of `--with`. Errors: InputError, the second has another vocabulary or a folder holds two
    models already."""
    places = model_folders(folder)
    if other is not None:
        places += model_folders(other)
        for name in (folder, other):
            if len(model_folders(name)) > 1:
                raise InputError(f"--with: {name} holds two models: name one of them, such as "
                                 f"{Path(name) / 'bert'}")
    found = []
    for place in places:
        model, tokenizer = open_model(str(place), CLASSES, "look")
        name = "GPT" if type(model) in classes_of(GPT) else "BERT"
        if other is not None:
            name += f" ({shown_name(other if found else folder)})"
        found.append((name, model, tokenizer, place))
    if other is not None and found[0][2].vocab != found[1][2].vocab:
        raise InputError(f"--with {other}: its vocabulary is not that of {folder}: expected models "
                         "that read the same tokens")
    return found


def shown_name(folder: str) -> str:
    """The last part of a folder's name: a page names no place of this machine."""
    return Path(folder).resolve().name


def token_range(tokens: str | None) -> tuple[int, int] | None:
    """"2:8" -> (2, 8). Errors: InputError, anything else."""
    if tokens is None:
        return None
    match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", tokens)
    if match is None:
        raise InputError(f"--tokens {tokens!r:.60}: expected two numbers, such as 0:30")
    return int(match[1]), int(match[2])
