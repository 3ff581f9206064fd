from __future__ import annotations

import io
import re

import pytest

from luthier.core.progress import duration, progress, track


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_a_line_each_ten_seconds_and_one_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    with progress(100, "tuning", "steps", stream=stream, clock=clock) as bar:
        for step in range(100):
            clock.now += 0.25
            bar.note(f"loss {step}")
            bar.advance()
    assert stream.getvalue().splitlines() == [
        "tuning: 40 of 100 steps (40%), 4 steps/s, 15 s left, loss 39",
        "tuning: 80 of 100 steps (80%), 4 steps/s, 5 s left, loss 79",
        "tuning: 100 of 100 steps (100%) in 25 s, loss 99",
    ]


def test_what_was_done_before_a_resume_counts_for_the_share_and_not_for_the_rate() -> None:
    clock, stream = Clock(), io.StringIO()
    with progress(100, "tuning", "steps", start=80, stream=stream, clock=clock) as bar:
        clock.now += 10
        bar.advance(10)
    assert stream.getvalue().splitlines()[0] == "tuning: 90 of 100 steps (90%), 1 steps/s, 10 s left"


def test_an_unknown_total_and_no_work_at_all_are_shown_as_they_are() -> None:
    clock, stream = Clock(), io.StringIO()
    with progress(None, "reading", "rows", stream=stream, clock=clock) as bar:
        clock.now += 20
        bar.advance(5000)
    with progress(0, "reading", "rows", stream=stream, clock=clock):
        pass
    assert stream.getvalue().splitlines() == [
        "reading: 5,000 rows, 250 rows/s",
        "reading: 5,000 rows in 20 s",
        "reading: 0 of 0 rows in 0 s",
    ]


def test_work_that_breaks_off_is_not_said_to_be_done() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), progress(9, "tuning", "steps", stream=stream, clock=Clock()) as bar:
        bar.advance(3)
        raise KeyboardInterrupt
    assert stream.getvalue() == "tuning: stopped at 3 of 9 steps (33%) in 0 s\n"


def test_tracking_passes_every_item_on_and_counts_those_that_were_used() -> None:
    stream = io.StringIO()
    assert list(track("abc", 3, "reading", "rows", stream=stream)) == ["a", "b", "c"]
    assert stream.getvalue().startswith("reading: 3 of 3 rows (100%)")


def test_a_terminal_gets_a_bar_with_count_and_note() -> None:
    stream = Terminal()
    with progress(3, "tuning", "steps", stream=stream) as bar:
        bar.note("loss 0.5")
        bar.advance(3)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "tuning" in drawn and "3 of 3 steps" in drawn and "loss 0.5" in drawn


def test_square_brackets_in_a_note_are_shown_and_not_taken_as_markup() -> None:
    stream = Terminal()
    with progress(1, "tuning [a]", "steps", stream=stream) as bar:
        bar.note("[/b]")
        bar.advance()
    assert "tuning [a]" in stream.getvalue() and "[/b]" in stream.getvalue()


def test_progress_goes_to_stderr_and_never_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(1, "tuning", "steps") as bar:
        bar.advance()
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("tuning: 1 of 1 steps")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (-1, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_a_length_of_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said
