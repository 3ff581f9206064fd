"""A tuned model behind HTTP, in a process of its own: what it is fed is what was trained."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import openai
import pytest
from openai import OpenAI
from tests.e2e.conftest import Recipes
from tests.made_models import Said, ended, forked, kept_rows, luthier, started

from luthier.core.examples import from_record
from luthier.models.load import load_tokenizer
from luthier.objectives import Imitate
from luthier.text.renderer import Renderer, as_chat


@contextmanager
def served(folder: Path, *arguments: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`luthier serve` in a process of its own: where it listens, and the process."""
    process = forked("serve", *arguments, "--port", 0, folder=folder)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("serving "):
                yield line.split()[-1], process
                break
        else:
            raise AssertionError(f"it never served; it ended with {process.wait(60)}")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def stopped(process: subprocess.Popen[str]) -> Said:
    return ended(process, signal.SIGTERM)


@pytest.mark.parametrize("task", ["chat", "answer"])
def test_the_tokens_that_the_server_logs_are_those_of_training(task: str, workplace: Path, recipes: Recipes) -> None:
    assert luthier("tune", recipes(workplace, task)).code == 0
    run = workplace / "runs" / task
    renderer = Renderer(load_tokenizer(str(run / "bundle")))
    wanted, asked = [], []
    for record in kept_rows(run):
        if record["side"] != "train":
            continue
        chat = as_chat(from_record(record))  # type: ignore[arg-type]
        (row,) = Imitate(window=256).rows(chat, renderer)
        trained = np.flatnonzero(row.weights)
        starts = [int(t) for t in trained if t - 1 not in trained]
        turns = [i for i, message in enumerate(chat.messages) if i and message.role == "assistant" and message.trained_weight > 0]
        for i, start in zip(turns, starts, strict=True):
            asked.append(chat.fields()["messages"][:i])  # type: ignore[index]
            wanted.append(row.tokens[:start].tolist())
    assert len(wanted) >= 12 and len({len(one) for one in wanted}) > 3
    with served(workplace, task, "--without-report", "--log-tokens", "tokens.jsonl") as (url, process):
        client = OpenAI(base_url=url, api_key="none")
        answers = [client.chat.completions.create(model=task, messages=messages, max_tokens=1 + i % 3) for i, messages in enumerate(asked)]
        logged = [json.loads(line) for line in (workplace / "tokens.jsonl").read_text().splitlines()]
        assert stopped(process).code == 0
    assert [line["prompt"] for line in logged] == wanted
    assert [len(line["reply"]) for line in logged] == [answer.usage.completion_tokens for answer in answers]
    assert [answer.usage.prompt_tokens for answer in answers] == list(map(len, wanted))
    assert (workplace / "tokens.jsonl").stat().st_mode & 0o077 == 0


def test_the_served_reply_is_that_of_predict(workplace: Path, recipes: Recipes) -> None:
    # Full tuning, so that the model is held in float32: in bfloat16, texts that meet in other batches may tip a near tie.
    for task in ("classify", "chat"):
        assert luthier("tune", recipes(workplace, task), "--set", "method.kind=full").code == 0
    texts = ["mend the <b>broken</b> neck", "hire it  for a month", "cafÃ© class"]
    Path("new.jsonl").write_text("".join(json.dumps({"message": text}) + "\n" for text in texts))
    assert luthier("predict", "classify", "new.jsonl", "-o", "out.jsonl").code == 0
    wanted = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    asked = [[{"role": "system", "content": "be brief"}, {"role": "user", "content": text}] for text in texts]
    Path("chats.new.jsonl").write_text("".join(json.dumps({"messages": one}) + "\n" for one in asked))
    assert luthier("predict", "chat", "chats.new.jsonl", "-o", "said.jsonl").code == 0
    said = [json.loads(line)["answer"] for line in Path("said.jsonl").read_text().splitlines()]
    with served(workplace, "classify", "chat", "--without-report", "--set", "max_tokens=300") as (url, process):
        client = OpenAI(base_url=url, api_key="none")
        assert {one.id for one in client.models.list()} == {"classify", "chat"}
        assert all(one.luthier["served_without_report"] for one in client.models.list())
        for text, row in zip(texts, wanted, strict=True):
            found = client.chat.completions.create(model="classify", messages=[{"role": "user", "content": text}]).choices[0]
            assert found.message.content == row["answer"]
            assert found.scores[row["answer"]] == pytest.approx(row["score"], abs=1e-5)
        for messages, answer in zip(asked, said, strict=True):
            found = client.chat.completions.create(model="chat", messages=messages).choices[0]
            assert found.message.content == answer
        log = stopped(process)
    assert log.code == 0 and "stopped" in log.err


def test_sigterm_lets_running_streams_end_and_refuses_new_ones(workplace: Path) -> None:
    with served(workplace) as (url, process):
        client = OpenAI(base_url=url, api_key="none", max_retries=0)
        options = {"model": "sprout", "messages": [{"role": "user", "content": "Tell me a story."}], "temperature": 1.5, "max_tokens": 400}
        streams = [client.chat.completions.create(**options, seed=seed, stream=True) for seed in range(4)]
        begun = [next(stream) for stream in streams]
        process.send_signal(signal.SIGTERM)
        root = url.removesuffix("/v1")
        while httpx2.get(f"{root}/ready").status_code == 200:
            pass
        assert httpx2.get(f"{root}/health").status_code == 200
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(**options)
        assert caught.value.status_code == 503
        assert begun and all(list(stream)[-1].choices[0].finish_reason in ("stop", "length") for stream in streams)
        assert process.wait(60) == 0


def test_a_second_signal_and_the_limit_of_grace_end_it_at_once(workplace: Path) -> None:
    options = {"model": "sprout", "messages": [{"role": "user", "content": "Tell me a story."}], "temperature": 2.0, "max_tokens": 1900}
    for limit in ("grace_s=0", "grace_s=1000"):
        with served(workplace, "--set", limit) as (url, process):
            client = OpenAI(base_url=url, api_key="none", max_retries=0)
            streams = [client.chat.completions.create(**options, n=16, seed=seed, stream=True) for seed in range(4)]
            assert all(next(stream) for stream in streams)
            process.send_signal(signal.SIGTERM)
            if limit == "grace_s=1000":
                while httpx2.get(f"{url.removesuffix('/v1')}/ready").status_code == 200:
                    pass
                process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def test_what_cannot_be_served_is_said_before_anything_is_loaded(workplace: Path, recipes: Recipes) -> None:
    assert luthier("tune", recipes(workplace)).code == 0
    for arguments, where in (
        (("classify",), "has no report"), (("nothing",), "no such run"), (("--host", "0.0.0.0"), "no keys"),
        (("--keys", "none.txt"), "luthier key"), (("--set", "queu=3"), "queue"), (("--base", "./nowhere"), "no model"),
    ):  # fmt: skip
        said = luthier("serve", *arguments, "--port", 0)
        assert said.code == 2 and where in said.err, said.err


def test_keys_are_made_on_the_command_line_and_guard_the_server(workplace: Path) -> None:
    made = luthier("key", "keys.txt", "--json").json["key"]
    assert luthier("key", "keys.txt").out.strip() not in (made, "")
    with served(workplace, "--keys", "keys.txt") as (url, process):
        assert [one.id for one in OpenAI(base_url=url, api_key=made).models.list()] == ["sprout"]
        with pytest.raises(openai.AuthenticationError):
            OpenAI(base_url=url, api_key="sk-wrong").models.list()
        assert made not in stopped(process).err


def test_a_run_that_was_held_is_served_loudly(workplace: Path, recipes: Recipes) -> None:
    assert luthier("run", recipes(workplace, "answer")).code in (0, 3)
    report = workplace / "runs" / "answer" / "bundle" / "report.json"
    report.write_text(json.dumps({**json.loads(report.read_text()), "verdict": "hold"}))
    process = started("serve", "answer", "--port", 0, folder=workplace)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("serving "):
            break
    assert any("WARNING" in line and "HOLD" in line for line in lines), lines
    assert stopped(process).code == 0
