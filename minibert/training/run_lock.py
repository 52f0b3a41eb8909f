"""The lock of a run: one training at a time; no lock once the process has ended, even killed.

The file .lock in the run's folder names the process, and the operating system holds a lock of that
file for it. A process that is killed leaves the file, but no lock. Where the file system has no
locks, none is taken.
"""

from __future__ import annotations

import atexit
import os
import platform
from pathlib import Path
from typing import BinaryIO

from minibert.atomic_files import check_regular_file
from minibert.errors import InputError
from minibert.file_locks import try_lock

NAME = ".lock"

# The open lock files of this process, by the real path of the folder. A second Trainer of the same
# process may go on with a run; another process may not.
_held: dict[str, BinaryIO] = {}


def take(folder: Path) -> None:
    """Lock the run in `folder` for this process; it may be held already. Errors: InputError,
    another process holds it."""
    key, path = os.path.realpath(folder), folder / NAME
    if key in _held and _is_at(path, _held[key]):
        return
    _held.pop(key, None)  # a lock of a folder that was removed
    while True:
        if path.exists():
            check_regular_file(path)
        file = open(path, "a+b")
        locked = try_lock(file)
        if locked is None:
            file.close()
            path.unlink(missing_ok=True)
            return
        if not locked:
            file.seek(0)
            holder = file.read(200).decode("utf-8", "replace").strip() or "another process"
            file.close()
            raise InputError(f"{folder}: {holder} is training in this run: wait until it ends, "
                             "or stop it")
        if _is_at(path, file):
            break
        file.close()  # the holder before removed it between our two lines
    file.truncate(0)
    file.write(f"process {os.getpid()} on {platform.node()}\n".encode())
    file.flush()
    _held[key] = file


def release(folder: Path) -> None:
    """Unlock the run in `folder`, if this process holds it, and remove the file."""
    file = _held.pop(os.path.realpath(folder), None)
    if file is None:
        return
    if os.name == "posix":  # while it is locked: no process locks a removed file
        (folder / NAME).unlink(missing_ok=True)
    file.close()
    if os.name != "posix":  # Windows cannot remove an open file
        try:
            (folder / NAME).unlink(missing_ok=True)
        except OSError:  # another process has opened it
            pass


@atexit.register
def _release_all() -> None:
    for key in list(_held):
        release(Path(key))


def _forget() -> None:
    """A forked child holds nothing: its copies of the files would keep a killed parent's locks."""
    for file in _held.values():
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
