"""Ctrl-C and SIGTERM as a request that work honours between two steps, so that what is on the disk stays whole."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """Work was asked to stop and has stopped in a state it can go on from; the command exits with `EXIT_CODE`."""


class Interruption:
    """Whether work has been asked to stop."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether somebody asked."""
        return self._requested.is_set()

    def request(self) -> None:
        """Ask; work stops at its next step boundary."""
        self._requested.set()

    def check(self) -> None:
        """Raise `Interrupted` if somebody asked; called where stopping loses nothing."""
        if self.requested:
            raise Interrupted("stopped on request; the same command goes on from here")


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn the first SIGINT or SIGTERM into a request, and a second one into an immediate KeyboardInterrupt.

    The handlers that were there before are put back at the end. Outside the main thread no signal can be caught, so
    there only `request` asks.
    """
    interruption = Interruption()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.request()
        # os.write, because a handler may run in the middle of a buffered write to the same stream.
        with contextlib.suppress(OSError):
            os.write(2, b"\nStopping after this step and saving; once more to stop at once.\n")

    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
