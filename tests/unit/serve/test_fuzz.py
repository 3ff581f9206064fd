"""Whatever is sent, the server neither fails nor forgets the form of its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from tests.unit.serve.conftest import Running, running, service_of

from luthier.serve.bodies import NEUTRAL

CHECKED = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def fuzzed(bundles: dict[str, Path], model: Path) -> Iterator[Running]:
    """A server of its own, since it is not treated kindly."""
    with running(service_of(bundles, model)) as found:
        yield found


@pytest.fixture(scope="module")
def schema(fuzzed: Running) -> Any:
    """The interface as it describes itself."""
    return schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")


def each_request(schema: Any, check: Callable[[Any], None], methods: tuple[str, ...] = ("GET", "POST")) -> int:
    """Check requests of each operation of the schema; gives how many operations there are."""
    operations = [found.ok() for found in schema.get_all_operations()]
    chosen = [operation for operation in operations if operation.method.upper() in methods]
    for operation in chosen:
        CHECKED(given(operation.as_strategy())(check))()
    return len(chosen)


def checked(case: Any) -> int:
    """Send it; the server must not fail, and an error must have the interface's form."""
    answer = case.call()
    case.validate_response(answer, checks=[not_a_server_error])
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}, answer.text
    return answer.status_code


def test_no_request_makes_the_server_fail(schema: Any) -> None:
    def check(case: Any) -> None:
        checked(case)

    assert each_request(schema, check) == 7


def test_no_request_that_reaches_the_models_makes_them_fail(fuzzed: Running, schema: Any) -> None:
    reached: dict[str, set[int]] = {}

    def check(case: Any) -> None:
        if isinstance(case.body, dict):
            _aim(case.body)
        reached.setdefault(case.path, set()).add(checked(case))

    assert each_request(schema, check, ("POST",)) == 2
    assert len(reached) == 2 and all({200, 400} <= found for found in reached.values()), "the test has tested what it says"
    assert fuzzed.client().chat.completions.create(model="tiny", messages=[{"role": "user", "content": "x"}], max_tokens=1).choices
    assert fuzzed.service.worker.n_live == 0


def _aim(body: dict[str, Any]) -> None:
    """Make a request one that gets beyond the doors more often than chance would."""
    names = ("first", "whole", "sorter", "text", "tiny")
    body["model"] = names[len(str(body)) % len(names)]
    for name in NEUTRAL:
        body.pop(name, None)
    for name in [name for name in ("max_tokens", "max_completion_tokens", "n") if isinstance(body.get(name), int)]:
        body[name] = min(body[name], 4)
    if isinstance(body.get("messages"), list):
        body["messages"] = [{"role": "user", "content": "hello"}, *body["messages"][1:]][: 1 + len(str(body)) % 2]
        body.pop("tools", None)
