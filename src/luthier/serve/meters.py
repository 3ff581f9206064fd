"""What `/metrics` tells, in the text format of Prometheus."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Meters:
    """The counters of one server; a registry of its own keeps two servers in one process apart."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"luthier_{name}", about, labels, registry=self.registry)

        def seconds(name: str, about: str, *labels: str) -> Histogram:
            return Histogram(f"luthier_{name}_seconds", about, labels, registry=self.registry, buckets=SECONDS)

        self.requests = counter("requests", "Requests answered.", "route", "status")
        self.request_seconds = seconds("request", "From a request's arrival to the end of its answer.", "route")
        self.first_token_seconds = seconds("first_token", "From a request's arrival to the first it was told.", "model")
        self.prompt_tokens = counter("prompt_tokens", "Tokens of prompts.", "model")
        self.cached_tokens = counter("cached_tokens", "Tokens of prompts that were known already.", "model")
        self.reply_tokens = counter("reply_tokens", "Tokens generated.", "model")
        self.left = counter("left", "Requests whose caller left before the answer.", "model")
        self._live = Gauge("luthier_live", "Replies under way and waiting.", registry=self.registry)
        # The beginning is drawn anew, so that the numbers of two servers, or of two days, are told apart in a log.
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def next_id(self) -> str:
        """A name for a request."""
        return f"req_{self._prefix}_{next(self._numbers)}"

    def watch(self, n_live: Callable[[], int]) -> None:
        """Ask this for the number of replies under way and waiting."""
        self._live.set_function(n_live)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered. The route is the pattern of the path, so that paths cannot make endless series."""
        self.requests.labels(route, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self.registry)
