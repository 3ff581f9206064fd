"""The HTTP interface: OpenAI's routes over the worker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from luthier import __version__
from luthier.core.errors import LuthierError
from luthier.serve.answers import Answer, Choice, event
from luthier.serve.asking import Asked, ask_chat, ask_completion
from luthier.serve.bodies import ChatBody, CompletionBody
from luthier.serve.failures import ApiError, no_such_model, stopping
from luthier.serve.gate import State
from luthier.serve.limits import Limits
from luthier.serve.meters import Meters
from luthier.serve.models import Served
from luthier.serve.token_log import TokenLog
from luthier.serve.worker import Worker

LOG = logging.getLogger("luthier.serve")


@dataclass(eq=False)
class Service:
    """Everything that the routes need."""

    models: Mapping[str, Served]
    limits: Limits
    token_log: TokenLog | None = None
    state: State = field(default_factory=State)
    meters: Meters = field(default_factory=Meters)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.worker = Worker(tuple(self.models.values()), self.limits)
        self.meters.watch(lambda: self.worker.n_live)

    def model(self, name: str) -> Served:
        """The model of that name.

        Raises:
            ApiError: there is none.

        """
        found = self.models.get(name)
        if found is None:
            raise no_such_model(name)
        return found


def make_app(service: Service) -> FastAPI:
    """The routes over a service, whose worker runs as long as the app does."""

    @asynccontextmanager
    async def alive(app: FastAPI) -> AsyncIterator[None]:
        service.worker.start()
        yield
        await asyncio.to_thread(service.worker.stop)

    # The pages that FastAPI makes of the schema load scripts from elsewhere, so there are none.
    app = FastAPI(title="Luthier", version=__version__, lifespan=alive, docs_url=None, redoc_url=None, separate_input_output_schemas=False)
    _add_small_routes(app, service)
    _add_answers(app, service)
    _add_failures(app)
    return app


_ERROR: dict[str, Any] = {
    "description": "An error in the interface's form.",
    "content": {"application/json": {"schema": {
        "type": "object", "required": ["error"], "properties": {"error": {
            "type": "object", "required": ["message", "type", "param", "code"], "properties": {
                "message": {"type": "string"}, "type": {"type": "string"},
                "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]},
            },
        }},
    }}},
}  # fmt: skip
_REFUSALS: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 401, 403, 404, 408, 413, 422, 429, 500, 503), _ERROR)


def _add_small_routes(app: FastAPI, service: Service) -> None:
    @app.get("/health", responses={503: _ERROR})
    async def health() -> JSONResponse:
        """Whether the process and its worker live."""
        alive = service.worker.is_alive
        return JSONResponse({"status": "ok" if alive else "the worker has died"}, 200 if alive else 503)

    @app.get("/ready", responses={503: _ERROR})
    async def ready() -> JSONResponse:
        """Whether new requests are taken."""
        if service.state.is_stopping or not service.worker.is_alive:
            raise stopping()
        return JSONResponse({"status": "ready", "models": list(service.models)})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/models")
    async def models() -> JSONResponse:
        """The models that answer here."""
        return JSONResponse({"object": "list", "data": [served.as_json() for served in service.models.values()]})

    @app.get("/v1/models/{name:path}", responses=_REFUSALS)
    async def model(name: str) -> JSONResponse:
        """One of them."""
        return JSONResponse(service.model(name).as_json())


def _add_answers(app: FastAPI, service: Service) -> None:
    @app.post("/v1/chat/completions", responses=_REFUSALS)
    async def chat_completions(body: ChatBody, request: Request) -> Response:
        """The next message of a conversation."""
        served = service.model(body.model)
        asked = await asyncio.to_thread(ask_chat, served, body, service.limits)
        return await _answer(service, asked, request, Answer(asked, is_chat=True), bool(body.tools))

    @app.post("/v1/completions", responses=_REFUSALS)
    async def completions(body: CompletionBody, request: Request) -> Response:
        """The continuation of a text."""
        served = service.model(body.model)
        asked = await asyncio.to_thread(ask_completion, served, body, service.limits)
        return await _answer(service, asked, request, Answer(asked, is_chat=False), wants_tools=False)


async def _answer(service: Service, asked: Asked, request: Request, answer: Answer, wants_tools: bool) -> Response:
    """Submit the jobs, and answer at once or as a stream; a caller who leaves takes the jobs along."""
    choices = [Choice(i, job, asked.n_top, wants_tools) for i, job in enumerate(asked.jobs)]
    began, name = time.perf_counter(), asked.served.id
    service.worker.submit(asked.jobs)
    service.meters.prompt_tokens.labels(name).inc(asked.n_prompt_tokens)
    exchange = _Exchange(service, asked, choices, began, request.state.request_id)
    if asked.is_stream:
        return StreamingResponse(exchange.events(answer), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
    gone = asyncio.create_task(_left(request))
    coming = asyncio.create_task(exchange.collect())
    try:
        await asyncio.wait({gone, coming}, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            service.meters.left.labels(name).inc()
            return Response(status_code=499)  # nobody reads it
        coming.result()
        # Naming tokens takes its time where many log-probabilities were asked for; others are not kept waiting for it.
        return await asyncio.to_thread(lambda: JSONResponse(answer.whole(choices)))
    finally:
        for task in (gone, coming):
            task.cancel()
        exchange.close()


@dataclass(eq=False)
class _Exchange:
    """One request and what comes in for it."""

    service: Service
    asked: Asked
    choices: list[Choice]
    began: float
    request_id: str

    async def told(self) -> AsyncIterator[Choice]:
        """Each choice that something came in for, until all have ended.

        Raises:
            ApiError: it took too long, or computing it failed.

        """
        waiting = {asyncio.create_task(choice.job.told()): choice for choice in self.choices}
        deadline = self.began + self.service.limits.request_s
        is_first = True
        try:
            while waiting:
                left_s = max(deadline - time.perf_counter(), 0)
                done, _ = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    raise ApiError(408, "The reply took too long, and was stopped.", code="timeout")
                if is_first:
                    self.service.meters.first_token_seconds.labels(self.asked.served.id).observe(time.perf_counter() - self.began)
                    is_first = False
                for task in done:
                    choice = waiting.pop(task)
                    choice.take(task.result())
                    if choice.finish is None:
                        waiting[asyncio.create_task(choice.job.told())] = choice
                    yield choice
        finally:
            for task in waiting:
                task.cancel()

    async def collect(self) -> None:
        """Wait until all choices have ended."""
        async for _ in self.told():
            pass

    async def events(self, answer: Answer) -> AsyncIterator[str]:
        """The answer as server-sent events. What goes wrong on the way is told as an event, since the status has been sent."""
        try:
            for text in answer.opening(self.choices):
                yield text
            async for choice in self.told():
                for text in answer.said(choice):
                    yield text
            for text in answer.closing(self.choices):
                yield text
        except ApiError as error:
            yield event(error.as_json())
        finally:
            if any(choice.finish is None for choice in self.choices):
                self.service.meters.left.labels(self.asked.served.id).inc()
            self.close()

    def close(self) -> None:
        """Give up what nobody waits for any more, and note what it took."""
        meters, name = self.service.meters, self.asked.served.id
        for choice in self.choices:
            self.service.worker.cancel(choice.job)
            meters.reply_tokens.labels(name).inc(choice.n_tokens)
        meters.cached_tokens.labels(name).inc(self.asked.n_cached)
        if self.service.token_log is not None:
            for choice in self.choices:
                self.service.token_log.note(self.request_id, name, choice.job.tokens, choice.tokens)


async def _left(request: Request) -> None:
    """Returns when the caller has gone. The body has been read, so all that can come is that."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _add_failures(app: FastAPI) -> None:
    """Every error in the interface's form."""

    def told(error: ApiError) -> JSONResponse:
        return JSONResponse(error.as_json(), error.status, headers=dict(error.headers))

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> JSONResponse:
        return told(error)

    @app.exception_handler(LuthierError)
    async def wrong(request: Request, error: LuthierError) -> JSONResponse:
        return told(ApiError.of(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return told(_of_validation(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        path = request.url.path
        known = {404: (f"There is nothing at {path}.", "not_found"), 405: (f"{request.method} is not for {path}.", "method_not_allowed")}
        words, code = known.get(error.status_code, (str(error.detail), "bad_request"))
        found = ApiError(error.status_code, words, code=code)
        return JSONResponse(found.as_json(), found.status, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        LOG.error("%s failed", request.url.path, exc_info=error)
        return told(ApiError(500, "This is a bug in Luthier; the server's log says more.", code="internal_error"))


def _of_validation(error: RequestValidationError) -> ApiError:
    """The first thing that is wrong with a body."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part != "body"]
    if first["type"] == "json_invalid":
        return ApiError(400, f"The body is no JSON: {first.get('ctx', {}).get('error', '')}.", None, "invalid_json")
    if first["type"] == "extra_forbidden":
        return ApiError(400, f"{'.'.join(place)} is no parameter that is known here.", ".".join(place), "unknown_parameter")
    if not place:
        return ApiError(400, f"The body must be a JSON object, sent as application/json: {first['msg']}.", None, "invalid_body")
    code = "missing_parameter" if first["type"] == "missing" else "invalid_value"
    return ApiError(400, f"{'.'.join(place)}: {first['msg']}.", place[0], code)
