from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from luthier.core.interrupts import Interrupted, Interruption, interruptible

WORK = """
import sys
from luthier.core.interrupts import EXIT_CODE, Interrupted, interruptible
with interruptible() as interruption:
    print("working", flush=True)
    try:
        while True:
            interruption.check()
    except Interrupted:
        print("saved", flush=True)
        sys.exit(EXIT_CODE)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_is_a_request_that_the_next_check_honours(number: signal.Signals) -> None:
    with interruptible() as interruption:
        interruption.check()
        os.kill(os.getpid(), number)
        assert interruption.requested
        with pytest.raises(Interrupted):
            interruption.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(number: signal.Signals) -> None:
    with interruptible():
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_handlers_from_before_are_put_back_even_after_an_error(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(ZeroDivisionError), interruptible():
        assert signal.getsignal(number) is not before
        raise ZeroDivisionError
    assert signal.getsignal(number) is before


def test_a_process_that_is_asked_to_stop_saves_and_exits_with_130() -> None:
    process = subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "saved\n")
    assert "once more to stop at once" in err


def test_a_thread_of_a_server_can_be_asked_without_signals() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with interruptible() as interruption:
            seen.append(signal.getsignal(signal.SIGINT))
            interruption.request()
            seen.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before, True]


def test_nobody_has_asked_at_first() -> None:
    interruption = Interruption()
    interruption.check()
    assert not interruption.requested
