"""Locks of files and folders that end with the process, however it ends.

The file .lock in a locked folder names the process, and the operating system holds a lock of that
file for it. A process that is killed leaves the file, but no lock. Where the file system has no
locks, none is taken.
"""

from __future__ import annotations

import atexit
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

from minibert.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
try:
    import msvcrt
except ImportError:  # everywhere else
    msvcrt = None

LOCK_FILE = ".lock"
_LOCKED_BYTE = 1 << 30  # on Windows a locked byte cannot be read; this one is beyond the content

# The open lock files of this process, by the real path of the folder. A second Trainer of the same
# process may go on with a run; another process may not.
_held: dict[str, BinaryIO] = {}


def try_lock(file: IO) -> bool | None:
    """Lock an open file until it is closed: True; False: another process (or another opening of the
    file in this one) has locked it; None: this file system has no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            position = file.tell()
            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # at the position of the file
            file.seek(position)
        else:
            return None
    except (BlockingIOError, PermissionError):  # of flock; of msvcrt.locking
        return False
    except OSError:
        return None
    return True


def lock_folder(folder: Path) -> None:
    """Lock the run in `folder` for this process; it may be locked already. Errors: InputError,
    another process holds it, .lock is no file."""
    key, path = os.path.realpath(folder), folder / LOCK_FILE
    if key in _held and _is_at(path, _held[key]):
        return
    _held.pop(key, None)  # a lock of a folder that was removed
    if path.is_dir() or path.is_fifo():
        raise InputError(f"{path}: this is a folder or a pipe: expected a file; remove it")
    while True:
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


def unlock_folder(folder: str | Path) -> None:
    """Unlock `folder`, if this process holds it, and remove the lock file."""
    file = _held.pop(os.path.realpath(folder), None)
    if file is None:
        return
    path = Path(folder, LOCK_FILE)
    if os.name == "posix":  # while it is locked: no process locks a removed file
        path.unlink(missing_ok=True)
    file.close()
    if os.name != "posix":  # Windows cannot remove an open file, ours or another process's
        with suppress(OSError):
            path.unlink()


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@atexit.register
def _unlock_all() -> None:
    for key in list(_held):
        unlock_folder(key)


def _forget() -> None:
    """A forked child holds nothing: its copies of the files would keep a killed parent's locks."""
    for file in _held.values():
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
