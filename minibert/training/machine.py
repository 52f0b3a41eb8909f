"""What training asks of the process it runs in: the allocator, BLAS threads, memory, cores.

Nothing here happens at import. The trainer's command line calls `keep_freed_memory` and
`set_blas_threads`; a program that uses minibert as a library is left as it is unless it asks.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
from functools import cache

import numpy as np

try:
    import resource
except ImportError:  # Windows
    resource = None

# <malloc.h> of glibc
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
# Names under which OpenBLAS exports the two functions, in the builds that NumPy has shipped with.
BLAS_PREFIXES = ("scipy_openblas_", "openblas_")
BLAS_SUFFIXES = ("64_", "")


def keep_freed_memory() -> bool:
    """Let the process keep what it frees, instead of giving it back and asking for it again.

    A training step frees and allocates the same large arrays each time; by default glibc returns
    them to the kernel, which clears every page anew. At the sizes of demos/benchmark.py that was up
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


@cache
def _blas_functions() -> tuple | None:
    """(get, set) of the number of threads of the OpenBLAS that NumPy brought along, or None."""
    package = os.path.dirname(np.__file__)
    folders = (package + ".libs", os.path.join(package, ".dylibs"), os.path.join(package, ".libs"))
    libraries = [path for folder in folders
                 for path in sorted(glob.glob(os.path.join(folder, "*openblas*")))]
    for path in libraries:
        try:
            library = ctypes.CDLL(path)  # already loaded by NumPy: this only finds it again
        except OSError:
            continue
        for prefix in BLAS_PREFIXES:
            for suffix in BLAS_SUFFIXES:
                get = getattr(library, f"{prefix}get_num_threads{suffix}", None)
                set_ = getattr(library, f"{prefix}set_num_threads{suffix}", None)
                if get is not None and set_ is not None:
                    get.argtypes, get.restype = [], ctypes.c_int
                    set_.argtypes, set_.restype = [ctypes.c_int], None
                    return get, set_
    return None


def blas_threads() -> int | None:
    """The threads that a matrix product may use; None where this BLAS cannot be asked."""
    functions = _blas_functions()
    return None if functions is None else functions[0]()


def set_blas_threads(count: int) -> int | None:
    """Ask for `count` threads; returns what is set now, None where this BLAS cannot be asked."""
    functions = _blas_functions()
    if functions is None:
        return None
    functions[1](count)
    return functions[0]()


def core_count() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory() -> int | None:
    """The most bytes of memory that this process has held so far; None where it is not known."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
