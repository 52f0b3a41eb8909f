"""File locks that the operating system holds: they end with the process, however it ends."""

from __future__ import annotations

from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
try:
    import msvcrt
except ImportError:  # everywhere else
    msvcrt = None

_LOCKED_BYTE = 1 << 30  # on Windows a locked byte cannot be read; this one is beyond the content


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
