"""Reading and writing files: a file is there whole or not at all.

What is written goes to the side first and is then renamed, so that neither a full disk nor a kill
leaves half a file, or half of a new one in the place of an old one.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from minibert.errors import InputError


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes the place of `path` when the block ends without an
    exception. Before that, and after a failure (a full disk), `path` is as it was. Errors: OSError,
    with the name of `path`."""
    path = Path(path)
    side = None
    try:
        handle, side = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(side, 0o666 & ~_umask())  # mkstemp keeps its files to their owner
        os.replace(side, path)
    except BaseException as error:
        if side is not None:
            Path(side).unlink(missing_ok=True)
        if isinstance(error, OSError) and (side is None or error.filename in (None, side)):
            error.filename, error.filename2 = str(path), None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` in UTF-8, its line breaks as they are."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: str | os.PathLike, value: dict, **options) -> None:
    """Write a JSON object to be read by people, too; `options` are those of json.dumps."""
    options = {"indent": 2, "ensure_ascii": False} | options
    text = json.dumps(value, **options)
    # UTF-8 has no half characters, such as Python makes of a file's name in Latin-1
    if any("\ud800" <= character <= "\udfff" for character in text):
        text = json.dumps(value, **options | {"ensure_ascii": True})
    write_text(path, text + "\n")


def read_json(path: str | os.PathLike) -> dict:
    """The JSON object in a file. Errors: no such file, no JSON, no object."""
    try:
        value = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def shown(name: str) -> str:
    """A name from a file, fit for one line of a message."""
    return name[:200] if name.isprintable() else ascii(name)[:200]
