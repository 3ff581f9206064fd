"""What goes wrong in a request, in the form that clients of the OpenAI interface read."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """An answer that is an error: its status, what is wrong in words, which parameter, and a code for programs."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.retry_after_s = status, message, param, code, retry_after_s

    @classmethod
    def of(cls, error: LuthierError, param: str | None = None) -> ApiError:
        """A request's own mistake, found by the layers below."""
        words = "; ".join(f"{one.where}: {one.problem} ({one.fix})" for one in error.errors)
        return cls(400, words, param or error.where.partition("[")[0], "invalid_value")

    def as_json(self) -> dict[str, Json]:
        """The body: `{"error": {"message", "type", "param", "code"}}`."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that go with it."""
        found = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return {**found, "WWW-Authenticate": "Bearer"} if self.status == 401 else found


def no_such_model(name: str) -> ApiError:
    """A model that is not served here."""
    return ApiError(404, f"The model {name!r} does not exist here; GET /v1/models lists those that do.", "model", "model_not_found")


def too_busy(retry_after_s: int) -> ApiError:
    """The queue is full."""
    return ApiError(429, "Too many requests are waiting; try again later.", code="queue_full", retry_after_s=retry_after_s)


def stopping() -> ApiError:
    """The server finishes what runs, and takes nothing new."""
    return ApiError(503, "The server is stopping.", code="stopping", retry_after_s=5)
