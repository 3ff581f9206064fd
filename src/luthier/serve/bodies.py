"""The bodies of requests, field by field: what changes an answer is honoured or refused, never left aside silently."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from luthier.serve.failures import ApiError

# Lists fail at the first thing that is wrong: a body of many wrong things is refused as quickly as any other. Keys of
# objects are left unread for the same reason; out of JSON they are texts.
_FIRST = Field(fail_fast=True)
StopText: TypeAlias = Annotated[str, Field(max_length=1024)]
Stop: TypeAlias = StopText | Annotated[list[StopText], Field(max_length=16, fail_fast=True)] | None
TokenIds: TypeAlias = Annotated[list[Annotated[int, Field(ge=0)]], _FIRST]
Texts: TypeAlias = Annotated[list[str], _FIRST]
Object: TypeAlias = dict[Any, Any]
Objects: TypeAlias = Annotated[list[Object], _FIRST]


class _Strict(BaseModel):
    """An object of known fields only."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, value: Any) -> Any:
        """Of very many fields the first are enough to say which is unknown."""
        most = len(cls.model_fields) + 1
        return dict(islice(value.items(), most)) if isinstance(value, dict) and len(value) > most else value


class StreamOptions(_Strict):
    """`stream_options`."""

    include_usage: bool | None = None


class _Body(_Strict):
    """What both kinds of request have; `None` means that a field was left out."""

    model: Annotated[str, Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop = None
    stop_token_ids: Annotated[TokenIds, Field(max_length=64)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Known to the interface, and taken only where they change nothing: see `NEUTRAL`.
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Object | None = None
    user: str | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


class ChatBody(_Body):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[list[Object], Field(min_length=1, fail_fast=True)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Objects | None = None
    chat_template_kwargs: Object | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: Object | None = None
    modalities: Texts | None = None
    service_tier: str | None = None
    store: bool | None = None
    # These never change an answer: whom to ask about abuse, notes of the caller, hints for caches.
    metadata: Object | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None


class CompletionBody(_Body):
    """The body of `/v1/completions`."""

    prompt: str | Texts | TokenIds | Annotated[list[TokenIds], _FIRST]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None


NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "presence_penalty": (None, 0), "frequency_penalty": (None, 0), "logit_bias": (None, {}), "echo": (None, False), "suffix": (None, ""),
    "parallel_tool_calls": (None, True), "response_format": (None, {"type": "text"}), "modalities": (None, ["text"]),
    "service_tier": (None, "auto", "default"), "store": (None, False), "tool_choice": (None, "auto"),
}  # fmt: skip
"""Fields that Luthier does not do, with the values that ask for nothing."""


def refuse_what_is_not_done(body: ChatBody | CompletionBody) -> None:
    """Raise for a field that would change the answer and is not supported.

    Raises:
        ApiError: naming the first such field.

    """
    for name, neutral in NEUTRAL.items():
        value = getattr(body, name, None)
        if value in neutral or (name == "tool_choice" and value == "none" and not getattr(body, "tools", None)):
            continue
        raise ApiError(400, f"{name} = {value!r} is not supported here; leave it out.", name, "unsupported_parameter")
    if isinstance(body, CompletionBody) and body.best_of not in (None, body.n or 1):
        raise ApiError(400, "best_of is not supported beyond n; leave it out.", "best_of", "unsupported_parameter")
    if isinstance(body, ChatBody):
        if body.top_logprobs and not body.logprobs:
            raise ApiError(400, "top_logprobs needs logprobs = true.", "top_logprobs", "invalid_value")
        if body.max_tokens is not None and body.max_completion_tokens not in (None, body.max_tokens):
            raise ApiError(400, "max_tokens and max_completion_tokens differ; give one of them.", "max_tokens", "invalid_value")
    if body.stream_options is not None and not body.stream:
        raise ApiError(400, "stream_options needs stream = true.", "stream_options", "invalid_value")
    if "" in body.stops:
        raise ApiError(400, "An empty stop text would stop every reply at once.", "stop", "invalid_value")
