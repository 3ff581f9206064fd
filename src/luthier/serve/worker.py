"""The one thread that computes: requests reach it between two steps, and it tells what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch

from luthier.core.generator import Piece
from luthier.generate.decoder import PREFILL_NODES, Decoder
from luthier.generate.growing import Growing
from luthier.serve.failures import ApiError, stopping, too_busy
from luthier.serve.limits import Limits
from luthier.serve.models import Served
from luthier.text.forest import make_forest
from luthier.text.padded import make_padded
from luthier.text.rows import make_row

LOG = logging.getLogger("luthier.serve")


@dataclass(frozen=True)
class Scores:
    """A classifier's answer: the probability of each label, in their order."""

    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Lost:
    """A reply that will never come, and what to tell its caller."""

    why: ApiError


Told: TypeAlias = Piece | Scores | Lost


@dataclass(eq=False)
class Job:
    """One reply, or one text to classify, and the inbox of the request that waits for it."""

    served: Served
    tokens: list[int]
    growing: Growing | None = None
    inbox: asyncio.Queue[Told] = field(default_factory=asyncio.Queue)
    loop: asyncio.AbstractEventLoop | None = None
    is_cancelled: bool = False

    async def told(self) -> Told:
        """The next thing that became of it.

        Raises:
            ApiError: computing it failed.

        """
        found = await self.inbox.get()
        if isinstance(found, Lost):
            raise found.why
        return found


@dataclass(eq=False)
class _Host:
    """The jobs of one network."""

    decoder: Decoder
    texts: deque[Job] = field(default_factory=deque)
    reading: list[Job] = field(default_factory=list)
    jobs: dict[Growing, Job] = field(default_factory=dict)

    def add(self, job: Job) -> None:
        if job.growing is None:
            self.texts.append(job)
        else:
            self.jobs[job.growing] = job
            self.decoder.add(job.growing)

    @property
    def is_idle(self) -> bool:
        return not self.texts and self.decoder.is_idle

    def turn(self) -> Iterator[tuple[Job, Told]]:
        """One step: some texts to classify, and a token more for all replies."""
        yield from self._classified()
        for growing in self.decoder.step():
            piece = growing.piece()
            if piece is not None:
                yield self.jobs[growing] if piece.finish is None else self.jobs.pop(growing), piece
        for growing in [one for one in self.jobs if one.is_cancelled]:
            del self.jobs[growing]

    def clear(self) -> list[Job]:
        """Forget everything; gives what is lost."""
        self.decoder.clear()
        lost = [*self.reading, *self.texts, *self.jobs.values()]
        self.reading.clear()
        self.texts.clear()
        self.jobs.clear()
        return lost

    @torch.no_grad()
    def _classified(self) -> Iterator[tuple[Job, Told]]:
        """Read as many texts as go into one pass, whatever their adapters, and put each through its own head."""
        part: list[Job] = []
        self.reading = part
        n_tokens = 0
        while self.texts and (not part or n_tokens + len(self.texts[0].tokens) <= PREFILL_NODES):
            job = self.texts.popleft()
            if not job.is_cancelled:
                part.append(job)
                n_tokens += len(job.tokens)
        if not part:
            return
        adapters, network = self.decoder.adapters, self.decoder.network
        if self.decoder.layout == "forest":
            # Coded tokens keep the adapters' rows apart in the forest.
            batch = make_forest([make_row(adapters.coded(job.tokens, job.served.adapter)) for job in part]).to(network.device)
            batch.tokens_N[:], adapter = adapters.decoded(batch.tokens_N)
            with adapters.using(adapter[None]):
                outputs = network(batch)
        else:
            padded = make_padded([make_row(job.tokens) for job in part], 0).to(network.device)
            with adapters.using(torch.tensor([[job.served.adapter] for job in part])):
                outputs = network(padded)
        for i, job in enumerate(part):
            assert job.served.head is not None, "only classifiers are asked for scores"
            scores = job.served.head(outputs, batch if self.decoder.layout == "forest" else padded)[i]
            yield job, Scores(tuple(scores.double().softmax(-1).tolist()))
        self.reading = []


class Worker:
    """Computes for any number of requests at once, in a thread of its own."""

    def __init__(self, models: Sequence[Served], limits: Limits) -> None:
        self.limits = limits
        self._hosts = {decoder: _Host(decoder) for decoder in {served.decoder: None for served in models}}
        self._condition = threading.Condition()
        self._arrived: list[Job] = []
        self._live: set[Job] = set()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="luthier-worker", daemon=True)

    def start(self) -> None:
        """Begin to compute."""
        self._thread.start()

    def stop(self) -> None:
        """Compute no more; returns once the step under way is over. What was not finished is lost."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()
        if self.is_alive:
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether it computes."""
        return self._thread.is_alive()

    @property
    def n_live(self) -> int:
        """Replies under way and waiting."""
        return len(self._live)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take on jobs, all or none; what becomes of them is told in the event loop that calls.

        Raises:
            ApiError: too many are waiting, or the worker is stopping.

        """
        limits = self.limits
        with self._condition:
            if self._is_stopping or not self.is_alive:
                raise stopping()
            decoder = jobs[0].served.decoder
            n_before = sum(job.served.decoder is decoder for job in self._live)
            if n_before + len(jobs) > limits.concurrent + limits.queue:
                raise too_busy(1 + n_before // limits.concurrent)
            for job in jobs:
                job.loop = asyncio.get_running_loop()
            self._live.update(jobs)
            self._arrived += jobs
            self._condition.notify()

    def cancel(self, job: Job) -> None:
        """Nobody waits for this any more; a job that is done is left alone."""
        job.is_cancelled = True
        if job.growing is not None:
            job.growing.is_cancelled = True
        with self._condition:
            self._live.discard(job)

    def abandon(self) -> int:
        """Tell everybody who still waits that nothing more will come; gives how many replies that were."""
        with self._condition:
            left = list(self._live)
        for job in left:
            self.cancel(job)
        self._hand_out([(job, Lost(stopping())) for job in left])
        return len(left)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._arrived and not self._is_stopping and all(host.is_idle for host in self._hosts.values()):
                    self._condition.wait()
                if self._is_stopping:
                    return
                arrived, self._arrived = self._arrived, []
            for job in arrived:
                if not job.is_cancelled:
                    self._hosts[job.served.decoder].add(job)
            for host in self._hosts.values():
                if not host.is_idle:
                    self._hand_out(self._turn(host))

    def _turn(self, host: _Host) -> list[tuple[Job, Told]]:
        told: list[tuple[Job, Told]] = []
        try:
            told.extend(host.turn())
        except Exception:
            # One request must not take the server down; what shared its batch is lost, and its callers are told.
            LOG.exception("a step failed")
            done = {job for job, _ in told if job in self._live and self._ends(job, told)}
            why = ApiError(500, "Computing the reply failed; the server's log says why.", code="internal_error")
            told += [(job, Lost(why)) for job in host.clear() if job not in done]
        return told

    def _ends(self, job: Job, told: list[tuple[Job, Told]]) -> bool:
        return any(one is job and (not isinstance(what, Piece) or what.finish is not None) for one, what in told)

    def _hand_out(self, told: list[tuple[Job, Told]]) -> None:
        """Put what was told into the inboxes, with one call into each event loop."""
        with self._condition:
            self._live.difference_update(job for job, what in told if not isinstance(what, Piece) or what.finish is not None)
        for loop in {job.loop for job, _ in told if job.loop is not None}:
            mine = [(job, what) for job, what in told if job.loop is loop]
            with contextlib.suppress(RuntimeError):  # the loop has closed, so nobody waits
                loop.call_soon_threadsafe(_deliver, mine)


def _deliver(told: list[tuple[Job, Told]]) -> None:
    for job, what in told:
        job.inbox.put_nowait(what)
