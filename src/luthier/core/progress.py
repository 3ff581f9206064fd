"""How far long work has come, on stderr: a bar on a terminal, a line now and then in a pipe. Stdout is never touched."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TextIO, TypeVar

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 10.0


class Bar(Protocol):
    """What work tells about itself."""

    def advance(self, n: int = 1) -> None:
        """`n` more units are done."""

    def note(self, text: str) -> None:
        """Something short to show beside the count, such as the last loss."""


@contextlib.contextmanager
def progress(
    total: int | None,
    label: str,
    unit: str,
    *,
    start: int = 0,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Bar]:
    """Show how far the work inside the block has come, with its rate and the time left.

    Args:
        total: how many units there are; None if that is not known.
        label: what is going on, such as `tuning`.
        unit: what is counted, in the plural, such as `steps`.
        start: how many were done before, as after a resume; they count for the bar and not for the rate.
        stream: where to write; stderr by default.
        clock: seconds; only what is shown depends on it.

    """
    stream = sys.stderr if stream is None else stream
    if stream.isatty():
        with _terminal_bar(total, label, unit, start, stream) as bar:
            yield bar
        return
    lines = _Lines(total, label, unit, start, stream, clock)
    try:
        yield lines
    except BaseException:
        lines.end("stopped at ")
        raise
    lines.end("")


def track(items: Iterable[T], total: int | None, label: str, unit: str, *, stream: TextIO | None = None) -> Iterator[T]:
    """Pass the items on and show how many of them the consumer is through with."""
    with progress(total, label, unit, stream=stream) as bar:
        for item in items:
            yield item
            bar.advance()


class _Lines:
    """Progress for a pipe or a log file: at most one line in `SECONDS_BETWEEN_LINES`, and one at the end."""

    def __init__(self, total: int | None, label: str, unit: str, start: int, stream: TextIO, clock: Callable[[], float]) -> None:
        self._total, self._label, self._unit = total, label, unit
        self._start, self._done, self._note = start, start, ""
        self._stream, self._clock = stream, clock
        self._began = self._last = clock()

    def advance(self, n: int = 1) -> None:
        self._done += n
        now = self._clock()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            rate = self._rate(now)
            left = f", {duration((self._total - self._done) / rate)} left" if self._total is not None and rate > 0 else ""
            self._write(f"{self._count()}, {rate:.3g} {self._unit}/s{left}")

    def note(self, text: str) -> None:
        self._note = text

    def end(self, how: str) -> None:
        now = self._clock()
        self._write(f"{how}{self._count()} in {duration(now - self._began)}")

    def _rate(self, now: float) -> float:
        return (self._done - self._start) / (now - self._began) if now > self._began else 0.0

    def _count(self) -> str:
        if self._total is None:
            return f"{self._done:,} {self._unit}"
        share = f" ({self._done / self._total:.0%})" if self._total else ""
        return f"{self._done:,} of {self._total:,} {self._unit}{share}"

    def _write(self, text: str) -> None:
        self._stream.write(f"{self._label}: {text}{', ' + self._note if self._note else ''}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """A length of time as a person says it: `8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


@contextlib.contextmanager
def _terminal_bar(total: int | None, label: str, unit: str, start: int, stream: TextIO) -> Iterator[Bar]:
    # rich is imported here so that a pipe, and --help, do without it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Units per second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.3g} {unit}/s" if speed else "")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,}" + (f" of {total:,} {unit}" if total is not None else f" {unit}")),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(file=stream), redirect_stdout=False, redirect_stderr=False) as shown:
        task = shown.add_task(label, total=total, completed=start, note="")

        class Drawn:
            def advance(self, n: int = 1) -> None:
                shown.advance(task, n)

            def note(self, text: str) -> None:
                shown.update(task, note=text)

        yield Drawn()
