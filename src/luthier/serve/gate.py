"""What every request passes before anything is computed: who asks, how much, and whether the server still takes requests."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from luthier.serve.failures import ApiError, stopping
from luthier.serve.keys import Keys
from luthier.serve.meters import Meters

LOG = logging.getLogger("luthier.serve")
OPEN = frozenset({"/health", "/ready"})
"""Paths that need no key: whoever watches over the server asks them."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


@dataclass(eq=False)
class State:
    """Whether the server is stopping, and how many requests it is answering."""

    is_stopping: bool = False
    n_requests: int = 0


class Gate:
    """The outermost layer of the app.

    `keys`, where given, must be shown as a bearer token. `hosts` are the names under which the server may be addressed,
    any where None: without keys only local ones, so that no web page can reach it by a name of its own that points here
    (DNS rebinding). Bodies beyond `body_bytes` are refused with 413 before they are read.
    """

    def __init__(
        self, app: ASGIApp, state: State, meters: Meters, body_bytes: int, keys: Keys | None = None, hosts: frozenset[str] | None = None
    ) -> None:
        self.app, self.state, self.meters, self.body_bytes, self.keys, self.hosts = app, state, meters, body_bytes, keys, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with an error."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = scope["state"]["request_id"]
            await send(message)

        scope.setdefault("state", {})["request_id"] = self.meters.next_id()
        self.state.n_requests += 1
        try:
            refused = self._refusal(scope["path"], Headers(scope=scope))
            if refused is not None:
                await JSONResponse(refused.as_json(), refused.status, headers=dict(refused.headers))(scope, receive, noted)
            else:
                await self._pass(scope, receive, noted)
        finally:
            self.state.n_requests -= 1
            took_s = time.perf_counter() - began
            self.meters.request(getattr(scope.get("route"), "path", "none"), status, took_s)
            # The path as it came, still quoted: no caller writes lines of the log.
            path = scope.get("raw_path", b"").decode("ascii", "replace")
            LOG.info("%s %s %s %d %.0f ms", scope["state"]["request_id"], scope["method"], path, status, 1000 * took_s)

    def _refusal(self, path: str, headers: Mapping[str, str]) -> ApiError | None:
        if self.hosts is not None and _host_name(headers.get("host", "")) not in self.hosts:
            problem = "This server answers to its local names only; give it keys to be reached under others."
            return ApiError(403, problem, code="unknown_host")
        if path in OPEN:
            return None
        if self.keys is not None:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not self.keys.admit(key.strip()):
                return ApiError(401, "An API key is needed: Authorization: Bearer KEY.", code="invalid_api_key")
        if self.state.is_stopping:
            return stopping()
        return self._too_large() if tells_of_more(headers.get("content-length", ""), self.body_bytes) else None

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body while it is read: it may come in pieces and say nothing of its length."""
        n_read = 0
        is_answered = False

        async def counted() -> Message:
            nonlocal n_read
            message = await receive()
            n_read += len(message.get("body", b""))
            if n_read > self.body_bytes:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLarge:
            if not is_answered:
                refused = self._too_large()
                await JSONResponse(refused.as_json(), refused.status)(scope, receive, send)

    def _too_large(self) -> ApiError:
        return ApiError(413, f"The request is larger than {self.body_bytes} bytes.", code="request_too_large")


class _TooLarge(BaseException):
    """A body grew beyond its limit. No `Exception`, so that nothing on its way takes it for a body that cannot be parsed."""


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    name = host.strip().lower()
    return name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]


def is_local(host: str) -> bool:
    """Whether an address to bind to can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_of(host: str, keys: Keys | None, others: Sequence[str] = ()) -> frozenset[str] | None:
    """The names under which a server bound to `host` may be addressed; any where keys guard it."""
    return None if keys is not None else LOCAL_NAMES | {host.lower(), *others}


def tells_of_more(length: str, most: int) -> bool:
    """Whether a Content-Length tells of more bytes than `most`. What is no number tells of none: bytes are counted as they come, too."""
    digits = length.lstrip("0")
    return digits.isascii() and digits.isdigit() and (len(digits) > len(str(most)) or int(digits) > most)
