"""Arguments of the command line: how they are parsed, and checks that several commands share."""

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path

from minibert.errors import InputError
from minibert.validate import checked

SIDE_FILE = 24  # bytes that atomic_files adds to a name while it writes


def flag_name(name: str) -> str:
    """`min_lr` -> "--min-lr"."""
    return "--" + name.replace("_", "-")


def path(text: str) -> str:
    """The type of an argument that names a file or a folder: any text but an empty one."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("expected a name, got an empty one" if not text else
                                         "a name cannot hold a zero byte")
    return text


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the first argument of all commands that use a trained model."""
    parser.add_argument("folder", type=path, metavar="RUN",
                        help="the folder of a run or of a model")


def add_run_options(group, folder: str) -> None:
    """The options of how to run, which `finetune` has, too. `folder`: the default of --out."""
    group.add_argument("--gradient-checkpointing", action="store_true", default=None,
                       help="compute activations again in the backward pass: less memory, about a "
                            "third more time")
    group.add_argument("--threads", type=int, help="threads of a matrix product")
    group.add_argument("--workers", type=int, help="threads that share each batch")
    group.add_argument("--out", type=path, metavar="FOLDER", help=f"the run's folder ({folder})")
    group.add_argument("--resume", action="store_true", help="go on with the run in --out")


def add_columns(group, pairs: bool = True, labelled: bool = True) -> None:
    """The options that name columns of a file."""
    group.add_argument("--text-column", metavar="NAME",
                       help="that of the text, or of the words to be tagged: by name, or by number "
                            "if the file does not begin with names")
    if pairs:
        group.add_argument("--pair-column", metavar="NAME", help="that of the second text")
    if labelled:
        group.add_argument("--label-column", metavar="NAME")


def add_threshold(parser) -> None:
    """The option that prefers no answer to an uncertain one."""
    parser.add_argument("--null-threshold", type=float, metavar="X",
                        help="answer nothing where that scores X above the best answer (0)")


def given(options: Mapping[str, object]) -> dict[str, object]:
    """The options that were given: {name: value} without the options that were left out (None)."""
    return {name: tuple(value) if isinstance(value, list) else value
            for name, value in options.items() if value is not None}


def option_field(check: Callable[..., object], default: object = MISSING, **limits) -> Field:
    """Makes a checked field (see validate.py) of an option of the command line, which errors name;
    `limits` are further arguments of `check`. None is allowed where it is the default."""
    def check_option(name: str, value: object) -> object:
        return check(flag_name(name), value, **limits)

    return checked(check_option, default, optional=default is None)


def a_name(name: str, value: object) -> str:
    """Returns `value`, which must be a text."""
    if not isinstance(value, str):
        raise InputError(f"{name} = {value!r:.60}: expected a name")
    return value


def part_of(values: Mapping[str, object], kind: type) -> dict[str, object]:
    """Returns the values that are fields of the dataclass `kind`."""
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


def check_new_file(option: str, name: str) -> None:
    """Refuse a file that could not be written after the work. Errors: InputError where something
    is there already (a dangling link, too), where the folder is missing, and for a name that is
    too long."""
    if os.path.lexists(name):
        raise InputError(f"{name} exists already and is not touched: give another {option}")
    folder = Path(name).parent
    if not folder.is_dir():
        raise InputError(f"{option} {name}: there is no such folder as {folder}: make it first")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{option} {name}: no file can be written in {folder}")
    most = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    if len(os.fsencode(Path(name).name)) > most - SIDE_FILE:
        raise InputError(f"{option} {name:.40}...: the name is too long: expected at most "
                         f"{most - SIDE_FILE} bytes")
