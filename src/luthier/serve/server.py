"""The server process: a socket, the app behind its gate, and a stop that lets running replies end."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import uvicorn

from luthier.core.errors import LuthierError
from luthier.serve.app import Service, make_app
from luthier.serve.gate import Gate, is_local, names_of
from luthier.serve.keys import Keys

LOG = logging.getLogger("luthier.serve")


@dataclass(frozen=True)
class Address:
    """Where a server listens. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 8000

    def bind(self) -> socket.socket:
        """A socket that listens there.

        Raises:
            LuthierError: the address is taken or not this machine's.

        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((self.host, self.port))
            found.listen(2048)
        except (OSError, OverflowError) as error:
            found.close()
            problem = f"it cannot be listened at: {getattr(error, 'strerror', None) or error}"
            fix = "choose another port (0 takes a free one), or stop what listens there"
            raise LuthierError(f"--host {self.host} --port {self.port}", problem, fix) from error
        return found


def gated(service: Service, host: str, keys: Keys | None) -> Gate:
    """The whole app, as it is served at `host`.

    Raises:
        LuthierError: the host can be reached from other machines, and there are no keys.

    """
    if keys is None and not is_local(host):
        fix = "make a key with `luthier key keys.txt` and give --keys keys.txt, or stay at 127.0.0.1"
        raise LuthierError(f"--host {host}", "others could reach it there, and no keys guard it", fix)
    return Gate(make_app(service), service.state, service.meters, service.limits.body_bytes, keys, names_of(host, keys))


def run(service: Service, address: Address, keys: Keys | None, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; then finish what runs, within the limit, and return. A second signal stops at once.

    Raises:
        LuthierError: the address cannot be used.

    """
    app = gated(service, address.host, keys)
    with address.bind() as listening:
        host, port = listening.getsockname()[:2]
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=5, server_header=False, loop="asyncio"
        )
        shown = f"[{host}]" if ":" in host else host
        greeting = f"serving {', '.join(service.models)} at http://{shown}:{port}/v1"
        try:
            _Server(config, service, lambda: say(greeting)).run(sockets=[listening])
        finally:
            # A server that was forced to leave did not stop it, and no thread may compute while the process ends.
            service.worker.stop()
    say("stopped")


class _Server(uvicorn.Server):
    """Keeps listening while replies under way end, so that probes and new requests are answered (503) and not cut off."""

    def __init__(self, config: uvicorn.Config, service: Service, is_up: Callable[[], None]) -> None:
        super().__init__(config)
        self.service, self.is_up = service, is_up
        self._asked_at: float | None = None
        self._has_said_so = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it is up only when it is: signals are heard from here on."""
        await super().startup(sockets)
        self.is_up()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: the first asks, the second insists. It may come in the middle of a line of the log, so that nothing is written here."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self.service.state.is_stopping = True
        else:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to leave."""
        if self._asked_at is not None:
            if not self._has_said_so:
                self._has_said_so = True
                LOG.warning("stopping: %d requests are being answered", self.service.state.n_requests)
            is_late = time.monotonic() - self._asked_at > self.service.limits.grace_s
            if is_late and (n_lost := self.service.worker.abandon()):
                LOG.warning("%d replies were cut off", n_lost)
            self.should_exit = self.should_exit or is_late or self.service.worker.n_live + self.service.state.n_requests == 0
        return await super().on_tick(counter)
