"""Ctrl-C asks a training run to finish its step and save; a second one stops it at once."""

from __future__ import annotations

import signal
import threading


class InterruptHandler:
    """Within it the first Ctrl-C only sets `asked`; the second raises KeyboardInterrupt as usual.

    Outside of the main thread, where signals cannot be caught, it does nothing.
    """

    def __init__(self):
        self.asked = False
        self._previous = None

    def __enter__(self) -> InterruptHandler:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(self, *exception) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _on_interrupt(self, number, frame) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
