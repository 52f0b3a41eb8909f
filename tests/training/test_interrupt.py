"""Ctrl-C: asked once, stopped at the second, and the handler as before afterwards."""

import signal
import threading

import pytest

from minibert.training.interrupt import InterruptHandler


def test_the_first_asks_and_the_second_stops():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        with InterruptHandler() as interrupt:
            assert not interrupt.requested
            signal.raise_signal(signal.SIGINT)
            assert interrupt.requested
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_of_the_main_thread_it_does_nothing():
    before, seen = signal.getsignal(signal.SIGINT), []

    def enter():
        with InterruptHandler() as interrupt:
            seen.append(interrupt.requested)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [False] and signal.getsignal(signal.SIGINT) is before
