"""Threads: several for one matrix product, or one for each of several independent pieces of work.

By default each matrix product uses all cores, and everything else (layer norm, softmax, GELU) uses
one. Where work falls into independent pieces (heads, batches, shards of a batch), one thread for
each product and one piece for each core lets everything use all cores.
"""

from __future__ import annotations

import ctypes
import glob
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

LEAST_PART = 1 << 18  # elements from which a thread is worth its start, with little work for each

# Names under which OpenBLAS exports its functions, in the builds that NumPy has shipped with.
BLAS_NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads",
              "openblas_{}_num_threads64_", "openblas_{}_num_threads")


@cache
def _blas_library() -> tuple | None:
    """(OpenBLAS as NumPy ships it, its function that gets the number of threads, and the one that
    sets it); None where there is no such library."""
    package = os.path.dirname(np.__file__)
    folders = (package + ".libs", os.path.join(package, ".dylibs"), os.path.join(package, ".libs"))
    libraries = [path for folder in folders
                 for path in sorted(glob.glob(os.path.join(folder, "*openblas*")))]
    for path in libraries:
        try:
            library = ctypes.CDLL(path)  # already loaded by NumPy: this only finds it again
        except OSError:
            continue
        for name in BLAS_NAMES:
            get, set_ = [getattr(library, name.format(verb), None) for verb in ("get", "set")]
            if get is not None and set_ is not None:
                get.argtypes, get.restype = [], ctypes.c_int
                set_.argtypes, set_.restype = [ctypes.c_int], None
                return library, get, set_
    return None


def blas_threads() -> int | None:
    """The number of threads that a matrix product may use; None for another BLAS than OpenBLAS."""
    found = _blas_library()
    return None if found is None else found[1]()


def set_blas_threads(count: int) -> None:
    """Set the number of threads of a matrix product; nothing happens with another BLAS."""
    found = _blas_library()
    if found is not None:
        found[2](count)


class _One:
    """The number of threads that are within `one_blas_thread`, and the number to be restored."""

    lock = threading.Lock()
    within = 0
    before = None


def _leave_all() -> None:
    """In a forked child, which has none of the other threads: end what they were within."""
    if _One.within:
        _One.within = 0
        set_blas_threads(_One.before or 1)
    _One.lock.release()


if hasattr(os, "register_at_fork"):  # a child forked while the lock is held would wait for ever
    os.register_at_fork(before=_One.lock.acquire, after_in_parent=_One.lock.release,
                        after_in_child=_leave_all)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it a matrix product runs in the calling thread alone. The number is the process's: of
    several threads that are within, the first changes it and the last restores it."""
    with _One.lock:
        if _One.within == 0:
            _One.before = blas_threads()
            set_blas_threads(1)
        _One.within += 1
    try:
        yield
    finally:
        with _One.lock:
            _One.within = max(0, _One.within - 1)  # 0 already in a child forked within
            if _One.within == 0 and _One.before is not None:
                set_blas_threads(_One.before)


def end_idle_blas_threads() -> None:
    """End the threads that OpenBLAS keeps for its next product; that product starts new ones.

    After a product they look for work for 20 ms and more before they sleep, and slow down what
    other threads do meanwhile: without them attention over 4,096 tokens, two heads at a time, took
    293 ms instead of 336. OpenBLAS exports the function but does not document it, so nothing
    happens where it is missing, on Windows (not tried), and while other threads of the program
    might be in the middle of a product.
    """
    found = _blas_library()
    shutdown = None if found is None else getattr(found[0], "blas_thread_shutdown_", None)
    if shutdown is not None and os.name == "posix" and threading.active_count() == 1:
        shutdown()


def parallel_for(work: Callable[[Item], None], items: list[Item],
                 after_products: bool = False) -> None:
    """Call work(item) for each item, with a thread for each core that a product may use, instead of
    all of them for each product. Vectors of 1,000 sentences by MiniLM: 2.5 -> 2.3 s on 2 cores.

    `after_products`: call after multi-threaded matrix products; their idle threads are ended first
    (see end_idle_blas_threads). Elsewhere the threads that replace them would be idle in turn.

    A single item is worked on with all cores. An exception in one of the calls is raised here, when
    the calls that had begun are done. To step through `work` in a debugger, `set_blas_threads(1)`
    first: then there are no threads.
    """
    count = min(blas_threads() or 1, len(items))
    if count <= 1:
        for item in items:
            work(item)
        return
    waiting = iter(items)  # shared by all threads, the caller's too
    errors = []

    def take() -> None:
        try:
            for item in waiting:
                work(item)
        except BaseException as error:  # raised below, by the caller
            errors.append(error)
            for _ in waiting:  # no other call begins
                pass

    # each in a copy of the context: no_grad, reference, traces are as they are here
    threads = [threading.Thread(target=copy_context().run, args=(take,)) for _ in range(1, count)]
    with one_blas_thread():
        if after_products:  # only now: setting the number of threads starts them, too
            end_idle_blas_threads()
        for thread in threads:
            thread.start()
        take()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


def split_evenly(items: list[Item], sizes: list[int]) -> list[list[Item]]:
    """`items` for `parallel_for` where each is little work: as many lists of neighbours as there
    are cores, with about the same sum of `sizes` (elements); fewer lists below LEAST_PART.

    A single pass over long arrays is bound by memory, of which two cores get more than one: adding,
    clipping and AdamW for 34 million parameters, 220 -> 120 ms.
    """
    total = sum(sizes)
    count = min(blas_threads() or 1, total // LEAST_PART)
    if count <= 1:
        return [items]
    middles = np.cumsum(sizes) - np.asarray(sizes) / 2
    bounds = [*np.searchsorted(middles, [total * i / count for i in range(count)]), len(items)]
    return [items[low:high] for low, high in zip(bounds, bounds[1:])]
