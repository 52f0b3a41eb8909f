"""A file is there whole or not at all: it is written to the side and then renamed."""

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
    exception. Before that, and after a failure (a full disk), `path` is as it was."""
    path = Path(path)
    handle, side = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(side, 0o666 & ~_umask())  # mkstemp keeps its files to their owner
        os.replace(side, path)
    except BaseException:
        Path(side).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: str | os.PathLike, value: dict) -> None:
    """Write `value` with sorted keys, as Hugging Face does."""
    with replacing(path) as file:
        file.write((json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def read_json(path: str | os.PathLike) -> dict:
    """The object that the file holds; an InputError when it holds none."""
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
