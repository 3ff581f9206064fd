"""A server that is asked to stop: by a signal, which may come at any moment."""

from __future__ import annotations

import asyncio
import signal

import pytest
import uvicorn

from luthier.serve.app import Service, make_app
from luthier.serve.limits import Limits
from luthier.serve.server import _Server


def test_a_signal_writes_nothing_itself_and_the_next_tick_says_once_that_it_stops(caplog: pytest.LogCaptureFixture) -> None:
    service = Service({}, Limits())
    server = _Server(uvicorn.Config(make_app(service)), service, lambda: None)
    assert not asyncio.run(server.on_tick(1))
    server.handle_exit(signal.SIGTERM, None)
    # The log may be in the middle of a line when a signal comes, and does not bear a second one within it.
    assert service.state.is_stopping and not caplog.records
    assert asyncio.run(server.on_tick(1))
    assert asyncio.run(server.on_tick(1))
    assert [record.getMessage() for record in caplog.records] == ["stopping: 0 requests are being answered"]
