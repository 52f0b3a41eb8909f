"""Atomic file writes, and reading of small files.

A file is written beside its place and then renamed, so that a full disk or a kill leaves the old
file or the new one, never half of one. What a killed process left beside it is removed by the next
write to the same place.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from minibert.errors import InputError
from minibert.file_locks import try_lock

DEEPEST = 100  # levels of a JSON file; published models' files have fewer than ten


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends without an exception.

    Until then, and after a failure (a full disk), `path` is unchanged. Errors: OSError, with the
    name of `path`.
    """
    path = Path(path)
    side = None
    try:
        remove_side_files(path.parent, path.name)
        handle, side = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            try_lock(file)  # tells other processes that this side file has a living writer
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(side, 0o666 & ~_umask())  # mkstemp makes private files
            if os.name == "posix":  # Windows cannot rename an open file
                os.replace(side, path)
        if os.name != "posix":
            os.replace(side, path)
    except BaseException as error:
        if side is not None:
            Path(side).unlink(missing_ok=True)
        if isinstance(error, OSError) and (side is None or error.filename in (None, side)):
            error.filename, error.filename2 = str(path), None
        raise


def remove_side_files(folder: Path, name: str | None = None) -> None:
    """Remove the side files for `name` (None: for any name) in `folder` whose writers are dead: no
    process holds their lock."""
    prefix = "." if name is None else f".{name}."
    with suppress(OSError):  # no such folder, another's file: the write itself reports it
        for entry in os.scandir(folder):
            if not (entry.name.startswith(prefix) and entry.name.endswith(".tmp")
                    and entry.is_file(follow_symlinks=False)):
                continue
            with open(entry.path, "rb") as file:
                dead = try_lock(file)
            if dead:
                os.unlink(entry.path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` in UTF-8, its line breaks as they are."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: str | os.PathLike, value: dict, **options) -> None:
    """Write a JSON object, indented for people; `options` are those of json.dumps."""
    options = {"indent": 2, "ensure_ascii": False} | options
    text = json.dumps(value, **options)
    # UTF-8 has no half characters, such as Python makes of a file's name in Latin-1
    if any("\ud800" <= character <= "\udfff" for character in text):
        text = json.dumps(value, **options | {"ensure_ascii": True})
    write_text(path, text + "\n")


def check_regular_file(path: str | os.PathLike) -> None:
    """Refuse what cannot be read as a file from beginning to end: a pipe, a device (reading one may
    never end) or a folder. Errors: InputError, also where nothing is at `path`; OSError."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: there is no such file") from None
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "pipe or device"
        raise InputError(f"{path}: this is a {kind}: expected a file")


def read_bytes(path: str | os.PathLike) -> bytes:
    """Read a regular file. Errors: as check_regular_file; OSError names the file."""
    check_regular_file(path)
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:  # removed since
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:  # a damaged disk: read() itself names no file
        error.filename = str(path)
        raise


def read_json(path: str | os.PathLike) -> dict:
    """Read the JSON object in a file. Errors: no such file, no JSON, no object, more than DEEPEST
    levels inside each other."""
    return parse_json(read_bytes(path), str(path))


def parse_json(content: bytes | str, where: str) -> dict:
    """Parse the JSON object in `content`; `where` names its file (and line) in an InputError."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise InputError(f"{where}: this is no JSON: {error}") from None
    if _is_deep(value):
        raise InputError(f"{where}: more than {DEEPEST} levels of lists or objects inside each "
                         "other")
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a JSON object, got {type(value).__name__}")
    return value


def _is_deep(value: object, levels: int = DEEPEST) -> bool:
    """True if lists and objects stand in each other more than `levels` deep."""
    if not isinstance(value, (dict, list)):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return levels == 0 or any([_is_deep(part, levels - 1) for part in parts])


def shown(name: str) -> str:
    """Shorten a name from a file to one line of a message."""
    return name[:200] if name.isprintable() else ascii(name)[:200]
