"""The process that trains: its allocator, memory and cores.

Nothing here happens at import. The command line calls `keep_freed_memory`; a program that uses
minibert as a library is unchanged unless it calls it, too.
"""

from __future__ import annotations

import ctypes
import os
import sys

try:
    import resource
except ImportError:  # Windows
    resource = None

# <malloc.h> of glibc
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8


def keep_freed_memory() -> bool:
    """Keep freed memory in the process, instead of returning it to the kernel after each step.

    A training step frees and allocates the same large arrays each time; by default glibc returns
    them to the kernel, which clears every page anew. At the sizes of demos/benchmark that was up
    to 23,000 page faults a step; without them a step is 7 to 43 % shorter. All threads share one
    heap: what a worker freed serves the others too (MINI, two workers: 340 -> 262 MiB, the same
    time). True where it could be set (Linux, glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    never = 2 ** 31 - 1
    # glibc before 2.35 takes no threshold above 32 MiB
    threshold = libc.mallopt(M_MMAP_THRESHOLD, 1 << 30) or libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
    return all([threshold, libc.mallopt(M_TRIM_THRESHOLD, never),
                libc.mallopt(M_TOP_PAD, 64 << 20), libc.mallopt(M_ARENA_MAX, 1)])


def core_count() -> int:
    """The number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory() -> int | None:
    """The largest memory in bytes that this process has held so far; None where the system does not
    say."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
