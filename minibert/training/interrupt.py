"""The first Ctrl-C ends a training run after its step and its checkpoint; a second one at once."""

from __future__ import annotations

import signal
import threading

# SIGTERM is what `kill` and batch systems send, SIGHUP a terminal that is closed.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class InterruptHandler:
    """Context in which the first of Ctrl-C, SIGTERM and SIGHUP only sets `requested`; the second
    raises KeyboardInterrupt.

    A signal that is ignored stays ignored (SIGHUP under nohup, SIGINT of a background job). Signals
    cannot be caught outside of the main thread: there nothing changes.
    """

    def __init__(self):
        self.requested = False
        self._previous = {}

    def __enter__(self) -> InterruptHandler:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                handler = None if number is None else signal.getsignal(number)
                if handler not in (None, signal.SIG_IGN):  # None: set outside of Python
                    self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _on_signal(self, number, frame) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
