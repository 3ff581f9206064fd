"""The bodies of requests, field by field: what changes an answer is honoured or refused, never left aside silently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from luthier.serve.failures import ApiError

Stop: TypeAlias = str | Annotated[list[str], Field(max_length=16)] | None
TokenIds: TypeAlias = list[Annotated[int, Field(ge=0)]]


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    include_usage: bool | None = None


class _Body(BaseModel):
    """What both kinds of request have; `None` means that a field was left out."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

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
    logit_bias: dict[str, Any] | None = None
    user: str | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


class ChatBody(_Body):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    modalities: list[str] | None = None
    service_tier: str | None = None
    store: bool | None = None
    # These never change an answer: whom to ask about abuse, notes of the caller, hints for caches.
    metadata: dict[str, Any] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None


class CompletionBody(_Body):
    """The body of `/v1/completions`."""

    prompt: str | list[str] | TokenIds | list[TokenIds]
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
