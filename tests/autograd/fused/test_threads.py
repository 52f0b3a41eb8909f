"""Threads: set and restored; each piece of work is done once, and its exception is raised."""

import os
import signal
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minibert.autograd.functional import reference, reference_is_on
from minibert.autograd.fused import threads as cores
from minibert.autograd.fused.threads import parallel_for, split_evenly


def test_blas_threads_are_set_or_unknown():
    before = cores.blas_threads()
    try:
        cores.set_blas_threads(1)
        assert cores.blas_threads() == (1 if before else None)
    finally:
        cores.set_blas_threads(before)
    assert cores.blas_threads() == before


def test_a_blas_without_the_functions_is_left_alone(monkeypatch):
    monkeypatch.setattr(cores, "BLAS_NAMES", ("no_such_blas_{}",))
    cores._blas_library.cache_clear()
    try:
        cores.set_blas_threads(2)
        assert cores.blas_threads() is None
    finally:
        cores._blas_library.cache_clear()


def test_the_last_of_several_threads_gives_the_blas_threads_back(two_blas_threads):
    first, second = cores.one_blas_thread(), cores.one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cores.blas_threads() == 1  # for the second, which is not done
    second.__exit__(None, None, None)
    assert cores.blas_threads() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("who", ["another thread", "the forking thread", "the lock's holder"])
def test_a_forked_child_has_the_blas_threads_back(two_blas_threads, who):
    """BLAS itself may hang where a fork meets a product of several threads; here it is idle."""
    entered, leave = threading.Event(), threading.Event()

    def work():
        if who == "another thread":
            with cores.one_blas_thread():
                entered.set()
                leave.wait()
        elif who == "the lock's holder":
            while not leave.is_set():
                with cores._One.lock:
                    entered.set()
        entered.set()

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    try:
        for _ in range(10):
            with cores.one_blas_thread() if who == "the forking thread" else nullcontext():
                child = os.fork()
            if child == 0:
                signal.alarm(20)  # SIGALRM ends a child that waits for ever
                with cores.one_blas_thread():
                    inside = cores.blas_threads()
                os._exit(0 if (inside, cores.blas_threads()) == (1, 2) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        leave.set()
        thread.join()
    assert cores.blas_threads() == 2


@pytest.mark.parametrize("items", [[], [5], list(range(20))])
def test_every_item_is_done_once_with_the_cores_shared_out(two_blas_threads, items):
    seen = []

    def work(item):
        seen.append((item, cores.blas_threads(), reference_is_on()))

    with reference():
        parallel_for(work, items)
    assert cores.blas_threads() == 2
    assert sorted(seen) == [(item, 1 if len(items) > 1 else 2, True) for item in items]


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_an_exception_in_one_of_many_is_raised(monkeypatch, threads):
    monkeypatch.setattr(cores, "blas_threads", lambda: threads)
    with pytest.raises(ZeroDivisionError):
        parallel_for(lambda item: 1 / item, [2, 1, 0, 3])


def test_after_an_exception_nothing_more_is_begun(monkeypatch):
    monkeypatch.setattr(cores, "blas_threads", lambda: 3)
    monkeypatch.setattr(cores, "set_blas_threads", lambda count: None)
    failed, begun = threading.Event(), []

    def work(item):
        begun.append(item)
        if item == 0:
            failed.set()
            raise ZeroDivisionError
        assert failed.wait(10)
        time.sleep(0.02)

    with pytest.raises(ZeroDivisionError):
        parallel_for(work, list(range(50)))
    assert len(begun) < 10


@pytest.mark.parametrize("system, others, name, times", [
    ("posix", 0, "blas_thread_shutdown_", 1), ("posix", 1, "blas_thread_shutdown_", 0),
    ("nt", 0, "blas_thread_shutdown_", 0), ("posix", 0, "another_name", 0)])
def test_idle_threads_are_ended_unless_they_might_be_used(monkeypatch, system, others, name, times):
    ended = []
    library = SimpleNamespace(**{name: lambda: ended.append(1)})
    monkeypatch.setattr(cores, "_blas_library", lambda: (library, lambda: 2, lambda count: None))
    monkeypatch.setattr(threading, "active_count", lambda: 1 + others)
    monkeypatch.setattr(cores.os, "name", system)
    parallel_for(lambda item: None, [1, 2])
    assert not ended
    parallel_for(lambda item: None, [1, 2], after_products=True)
    assert len(ended) == times


def test_products_are_right_after_the_waiting_threads_were_ended(two_blas_threads):
    a = np.random.default_rng(0).normal(size=(300, 200))
    expected = np.einsum("ij,kj->ik", a, a)

    def check(item):
        np.testing.assert_allclose(a @ a.T, expected, rtol=1e-10, atol=1e-10)

    for _ in range(20):
        check(0)
        parallel_for(check, [1, 2], after_products=True)


@given(st.lists(st.integers(0, 50)), st.sampled_from([None, 1, 2, 3, 7]))
@example([50, 50, 50, 0, 0, 0], 2)
def test_parts_hold_every_item_once_in_order_and_about_as_much_each(sizes, threads):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "blas_threads", lambda: threads)
        patch.setattr(cores, "LEAST_PART", 20)
        items = list(range(len(sizes)))
        found = split_evenly(items, sizes)
    assert [item for part in found for item in part] == items
    assert len(found) == max(1, min(threads or 1, sum(sizes) // 20))
    for part in found:  # off by half an item at each end
        share = sum([sizes[item] for item in part])
        assert abs(share - sum(sizes) / len(found)) <= max(sizes, default=0)
