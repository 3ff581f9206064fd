"""Who is let in, how much is taken on, and how the server stops."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import openai
import pytest
from pydantic import ValidationError
from tests.unit.serve.conftest import Running, running, service_of

from luthier.core.errors import LuthierError
from luthier.serve.app import Service
from luthier.serve.asking import ask_completion
from luthier.serve.bodies import CompletionBody
from luthier.serve.failures import ApiError
from luthier.serve.gate import is_local, names_of, tells_of_more
from luthier.serve.keys import Keys, hash_of, new_key
from luthier.serve.limits import Limits
from luthier.serve.models import open_models
from luthier.serve.server import Address, gated
from luthier.serve.token_log import TokenLog

QUESTION = [{"role": "user", "content": "tell me a long story"}]
LONG = {"model": "tiny", "messages": QUESTION, "max_tokens": 200, "temperature": 2.0}
"""A long reply of the base, whose context is the longest."""


def wait_until(holds) -> None:
    """Wait for what another thread is about to do; a hang is a failure."""
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never came about"
        threading.Event().wait(0.002)


def test_a_key_is_kept_as_its_hash_and_shown_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    made = [new_key(path), new_key(path)]
    text = path.read_text()
    assert made[0] != made[1] and all(key not in text and key.startswith("sk-luthier-") and len(key) > 40 for key in made)
    assert text.splitlines() == [hash_of(key) for key in made] and path.stat().st_mode & 0o077 == 0
    keys = Keys.read(path)
    assert all(keys.admit(key) for key in made)
    assert not any(keys.admit(key) for key in ("", made[0][:-1], made[0] + "x", text.splitlines()[0], made[0].upper()))


@pytest.mark.parametrize("content", [b"", b"# none\n", b"sk-luthier-abc\n", b"sha256:12\n", b"\xff\xfe"])
def test_a_file_without_keys_is_refused_and_never_repeated(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.txt"
    path.write_bytes(content)
    with pytest.raises(LuthierError) as caught:
        Keys.read(path)
    assert "sk-luthier-abc" not in str(caught.value)


def test_with_keys_nothing_but_the_probes_is_open(model: Path, tmp_path: Path) -> None:
    key = new_key(tmp_path / "keys.txt")
    with running(service_of({}, model), Keys.read(tmp_path / "keys.txt")) as server:
        assert server.client(key).models.list().data[0].id == "tiny"
        for wrong in ("wrong", key[:-1]):
            with pytest.raises(openai.AuthenticationError) as caught:
                server.client(wrong).models.list()
            assert caught.value.code == "invalid_api_key"
        web = httpx2.Client(base_url=server.url)
        assert [web.get(path).status_code for path in ("/health", "/ready")] == [200, 200]
        closed = ("/metrics", "/v1/models", "/openapi.json", "/nothing")
        assert [web.get(path).status_code for path in closed] == [401] * 4
        assert web.get("/v1/models", headers={"authorization": f"Basic {key}"}).status_code == 401


def test_no_other_machine_is_let_in_without_keys() -> None:
    service = Service({}, Limits())
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(LuthierError, match="no keys"):
            gated(service, host, None)
        assert gated(service, host, Keys((hash_of("x"),))).hosts is None
    assert all(is_local(host) for host in ("127.0.0.1", "127.8.8.8", "localhost", "::1"))
    assert not any(is_local(host) for host in ("10.0.0.1", "localhost.evil.org", "127.evil.org", "", "0.0.0.0"))
    assert names_of("127.0.0.1", None) >= {"localhost", "127.0.0.1", "[::1]"}


def test_a_web_page_that_points_its_name_here_is_turned_away(server: Running) -> None:
    web = httpx2.Client(base_url=server.url)
    for host, status in (("evil.example", 403), ("evil.example:80", 403), ("localhost", 200), ("localhost:1", 200), ("[::1]:8", 200)):
        assert web.get("/v1/models", headers={"host": host}).status_code == status
    answer = web.get("/v1/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    # Without a type, or with one of a form's, a browser would send the request unasked.
    for kind in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}):
        told = web.post("/v1/chat/completions", content=json.dumps({"model": "tiny", "messages": QUESTION}), headers=kind)
        assert told.status_code == 400


@pytest.mark.parametrize("says_its_length", [True, False])
def test_a_body_that_is_too_large_is_refused(model: Path, says_its_length: bool) -> None:
    with running(service_of({}, model, body_bytes=1000)) as server:
        body = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "x" * 2000}]}).encode()
        content = body if says_its_length else (body[i : i + 100] for i in range(0, len(body), 100))
        answer = httpx2.post(f"{server.url}/v1/chat/completions", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "request_too_large"
        assert server.client().chat.completions.create(model="tiny", messages=QUESTION, max_tokens=2).usage.completion_tokens <= 2


@pytest.mark.parametrize("length", ["1001", "0001001", "9" * 5000])
def test_a_length_that_is_too_large_is_seen_however_it_is_spelled(length: str) -> None:
    assert tells_of_more(length, 1000)


@pytest.mark.parametrize("length", ["", "0", "1000", "00999", "²", "٣٣٣٣٣", "-5", "many"])
def test_a_length_that_fits_or_is_no_number_is_left_to_the_counting(length: str) -> None:
    assert not tells_of_more(length, 1000)


def test_a_full_queue_is_said_with_429_and_when_to_come_again(model: Path) -> None:
    with running(service_of({}, model, concurrent=1, queue=1)) as server:
        client = server.client()
        held = [client.chat.completions.create(**LONG, seed=seed, stream=True) for seed in range(2)]
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="tiny", messages=QUESTION)
        assert int(caught.value.response.headers["retry-after"]) >= 1 and caught.value.code == "queue_full"
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="tiny", messages=QUESTION, n=3)
        assert all(list(stream)[-1].choices[0].finish_reason for stream in held), "those that were let in are not hurt"
        wait_until(lambda: server.service.worker.n_live == 0)
        assert client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=1).choices


def test_a_reply_that_takes_too_long_is_stopped_and_says_so(model: Path) -> None:
    with running(service_of({}, model, request_s=1e-9)) as server:
        with pytest.raises(openai.APIStatusError) as caught:
            server.client().chat.completions.create(**LONG)
        assert (caught.value.status_code, caught.value.code) == (408, "timeout")
        with pytest.raises(openai.APIError, match="too long"):
            list(server.client().chat.completions.create(**LONG, stream=True))
        wait_until(lambda: server.service.worker.n_live == 0)


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_caller_who_leaves_takes_the_reply_along(model: Path, is_stream: bool) -> None:
    service = service_of({}, model)
    with running(service) as server:
        body = {**LONG, "n": 8 if is_stream else 64, "max_tokens": 230, "seed": 3}
        decoder = service.models["tiny"].decoder
        assert httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=60).status_code == 200
        wait_until(lambda: decoder.is_idle)
        whole = decoder.counted["reply"]
        if is_stream:
            body["stream"] = True
            with httpx2.stream("POST", f"{server.url}/v1/chat/completions", json=body) as answer:
                next(answer.iter_lines())
        else:
            with pytest.raises(httpx2.ReadTimeout):
                httpx2.post(f"{server.url}/v1/chat/completions", json=body, timeout=httpx2.Timeout(5, read=0.05))
        wait_until(lambda: service.worker.n_live == 0)
        wait_until(lambda: decoder.is_idle)
        assert decoder.counted["reply"] - whole < whole, "the same replies, and not all of them computed"
        assert 'luthier_left_total{model="tiny"} 1.0' in httpx2.get(f"{server.url}/metrics").text


def test_a_step_that_fails_fails_its_requests_and_not_the_server(model: Path) -> None:
    service = service_of({}, model)
    network = service.models["tiny"].decoder.network
    with running(service) as server:
        client = server.client()
        weight = network.decoder.lm_head.weight
        shape = weight.data
        weight.data = shape[:, :3]
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="tiny", messages=QUESTION)
        with pytest.raises(openai.APIError):
            list(client.chat.completions.create(model="tiny", messages=QUESTION, stream=True))
        weight.data = shape
        assert client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=2).choices
        assert httpx2.get(f"{server.url}/health").status_code == 200


def test_a_classifier_that_fails_says_so_at_once(bundles: dict[str, Path], model: Path) -> None:
    service = service_of({"sorter": bundles["sorter"]}, model)
    head = service.models["sorter"].head
    assert head is not None
    with running(service) as server:
        whole = head.linear.weight.data
        head.linear.weight.data = whole[:, :3]
        with pytest.raises(openai.InternalServerError):
            server.client(timeout=20).chat.completions.create(model="sorter", messages=QUESTION)
        head.linear.weight.data = whole
        assert service.worker.n_live == 0
        assert server.client().chat.completions.create(model="sorter", messages=QUESTION).choices[0].scores


MANY = 200_000


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": [-1] * MANY}, {"prompt": [[-1]] * MANY}, {"stop": [1] * MANY}, {f"x{i}": 1 for i in range(MANY)},
        {"stream_options": {f"x{i}": 1 for i in range(MANY)}}, {"stop": "a" * MANY},
    ],
    ids=["tokens", "lists", "stops", "fields", "options", "stop"],
)  # fmt: skip
def test_a_body_of_many_mistakes_is_refused_by_the_first_of_them(server: Running, fields: dict) -> None:
    body = {"model": "text", "prompt": "x", **fields}
    answer = httpx2.post(f"{server.url}/v1/completions", json=body, timeout=60)
    assert answer.status_code == 400 and len(answer.content) < 1000
    with pytest.raises(ValidationError) as caught:
        CompletionBody.model_validate(body)
    assert caught.value.error_count() < 50, "each that is told of takes time and memory"


def test_too_many_prompts_are_refused_before_they_are_read(server: Running) -> None:
    odd = CompletionBody.model_construct(prompt=[5] * 3 + [[]] * MANY)  # what none could be read of
    with pytest.raises(ApiError, match="replies"):
        ask_completion(server.service.models["text"], odd, Limits())


def test_a_conversation_of_very_many_messages_is_refused_before_it_is_written(server: Running) -> None:
    messages = [{"role": ("user", "assistant")[i % 2], "content": "a"} for i in range(20_001)]
    with pytest.raises(openai.BadRequestError) as caught:
        server.client().chat.completions.create(model="first", messages=messages)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


def test_a_server_that_is_stopping_takes_nothing_new(model: Path) -> None:
    service = service_of({}, model)
    with running(service) as server:
        client = server.client()
        stream = client.chat.completions.create(**LONG, stream=True)
        first = next(stream)
        service.state.is_stopping = True
        for path, status in (("/ready", 503), ("/v1/models", 503), ("/health", 200)):
            assert httpx2.get(f"{server.url}{path}").status_code == status
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="tiny", messages=QUESTION)
        assert caught.value.status_code == 503 and caught.value.response.headers["retry-after"]
        assert first and list(stream)[-1].choices[0].finish_reason in ("stop", "length"), "what runs goes on to its end"


def test_sixty_four_streams_at_once_are_each_what_they_are_alone(model: Path) -> None:
    with running(service_of({}, model)) as server:
        client = server.client()

        def told(seed: int) -> str:
            chunks = client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=30, temperature=1.0, seed=seed, stream=True)
            parts = [chunk.choices[0] for chunk in chunks]
            assert parts[-1].finish_reason in ("stop", "length")
            return "".join(part.delta.content or "" for part in parts)

        with ThreadPoolExecutor(64) as pool:
            together = list(pool.map(told, range(64)))
        assert together[::9] == [told(seed) for seed in range(64)][::9]
        assert server.service.worker.n_live == 0


def test_a_bundle_without_a_report_is_served_only_when_told_so(bundles: dict[str, Path], model: Path, tmp_path: Path) -> None:
    from tests.unit.serve.conftest import make_bundle

    folder = make_bundle(tmp_path / "blind", model, 7, report=None)
    with pytest.raises(LuthierError, match="no report"):
        open_models([folder], [], Limits())
    (served,) = open_models([folder], [], Limits(), without_report=True).values()
    assert served.as_json()["luthier"]["served_without_report"] is True  # type: ignore[index, call-overload]
    with pytest.raises(LuthierError, match="this name"):
        open_models([bundles["first"], bundles["first"]], [], Limits())


def test_limits_are_read_and_odd_ones_refused_all_at_once() -> None:
    assert Limits.of(["queue=3", "request_s=1.5"]) == Limits(queue=3, request_s=1.5)
    with pytest.raises(LuthierError) as caught:
        Limits.of(["quue=3", "queue=x", "concurrent=0", "grace_s=-1", "grace_s=nan"])
    assert len(caught.value.errors) == 5 and 'did you mean "queue"' in str(caught.value)


def test_an_address_that_is_taken_is_said() -> None:
    with Address(port=0).bind() as taken, pytest.raises(LuthierError, match="choose another port"):
        Address(port=taken.getsockname()[1]).bind()
    with pytest.raises(LuthierError, match="--host"):
        Address("no such host at all", 0).bind()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_takes_the_log_of_tokens_and_no_reply(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tokens.jsonl").symlink_to("/dev/full")
    service = service_of({}, model)
    service.token_log = TokenLog(tmp_path / "tokens.jsonl")
    with running(service) as server:
        client = server.client()
        assert client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=2).choices
        stream = client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=2, stream=True)
        assert list(stream)[-1].choices[0].finish_reason
    service.token_log.close()
    assert sum("could not be logged" in record.message for record in caplog.records) == 2


def test_a_key_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    for path in (tmp_path, tmp_path / "file", tmp_path / "file" / "keys.txt"):
        with pytest.raises(LuthierError, match="choose another|make keys|make a key"):
            new_key(path)


def test_a_log_of_tokens_is_its_owners_alone_also_where_it_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    path.write_text("")
    path.chmod(0o644)
    log = TokenLog(path)
    log.note("req_1", "tiny", [1, 2], [3])
    log.close()
    assert path.stat().st_mode & 0o077 == 0 and json.loads(path.read_text())["prompt"] == [1, 2]
