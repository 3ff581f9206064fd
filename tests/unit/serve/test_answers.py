"""What the unmodified OpenAI client gets: the same answers as the library's own, whole and streamed."""

from __future__ import annotations

import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from tests.unit.serve.conftest import Running

from luthier.core.examples import Chat, Labelled
from luthier.core.generator import Sampling
from luthier.core.messages import Message
from luthier.objectives import Classify
from luthier.serve.bundle import open_bundle
from luthier.stages.answering import Speaker, classify

QUESTION = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "What is the capital of France?"}]


def own_reply(folder: Path, messages, sampling: Sampling):
    """The library's own answer, from the bundle alone."""
    tuned = open_bundle(folder)
    chat = Chat("", tuple(Message(turn["role"], turn["content"]) for turn in messages))
    (reply,) = tuned.engine([tuned.renderer.prompt(chat)], sampling)
    return reply


@pytest.mark.parametrize("name", ["first", "second", "whole"])
def test_a_chat_answers_as_the_bundle_alone_whole_and_streamed(server: Running, bundles: dict[str, Path], name: str) -> None:
    wanted = own_reply(bundles[name], QUESTION, Sampling(12))
    client = server.client()
    found = client.chat.completions.create(model=name, messages=QUESTION, logprobs=True, top_logprobs=2)
    (choice,) = found.choices
    assert choice.message.role == "assistant" and choice.message.content == wanted.text
    assert choice.finish_reason == wanted.finish
    assert [entry.logprob for entry in choice.logprobs.content] == pytest.approx(wanted.logprobs, abs=1e-4)
    assert all(entry.top_logprobs[0].logprob == entry.logprob and len(entry.top_logprobs) == 2 for entry in choice.logprobs.content)
    assert found.usage.completion_tokens == len(wanted.tokens)
    assert found.usage.total_tokens == found.usage.prompt_tokens + len(wanted.tokens)
    assert found.model == name and found.object == "chat.completion" and found.id.startswith("chatcmpl-")
    chunks = list(client.chat.completions.create(model=name, messages=QUESTION, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].choices[0].delta.content == ""
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == wanted.text
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + [wanted.finish]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == len(wanted.tokens)
    assert len({chunk.id for chunk in chunks}) == 1 and {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    plain = list(client.chat.completions.create(model=name, messages=QUESTION, stream=True))
    assert all(chunk.usage is None for chunk in plain) and plain[-1].choices[0].finish_reason == wanted.finish


def test_different_models_answer_differently_and_at_once(server: Running, bundles: dict[str, Path]) -> None:
    names = ["first", "second", "whole"] * 6
    barrier = threading.Barrier(len(names))

    def ask(i: int) -> str:
        barrier.wait()
        said = server.client().chat.completions.create(model=names[i], messages=QUESTION, temperature=1.0, seed=i, max_tokens=10)
        return said.choices[0].message.content

    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(ask, range(len(names))))
    wanted = [own_reply(bundles[name], QUESTION, Sampling(10, 1.0, seed=i)).text for i, name in enumerate(names)]
    assert found == wanted and len(set(found)) > 3


def test_streams_tell_the_log_probabilities_of_all_tokens_once(server: Running, bundles: dict[str, Path]) -> None:
    wanted = own_reply(bundles["first"], QUESTION, Sampling(12))
    chunks = list(server.client().chat.completions.create(model="first", messages=QUESTION, stream=True, logprobs=True))
    told = [entry.logprob for chunk in chunks if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content]
    assert told == pytest.approx(wanted.logprobs, abs=1e-4)


def test_several_choices_differ_by_their_seeds_and_the_first_is_that_of_one(server: Running) -> None:
    client = server.client()
    options = {"model": "first", "messages": QUESTION, "temperature": 1.5, "seed": 7, "max_tokens": 12}
    one = client.chat.completions.create(**options)
    three = client.chat.completions.create(**options, n=3)
    again = client.chat.completions.create(**options, n=3)
    texts = [choice.message.content for choice in three.choices]
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert texts == [choice.message.content for choice in again.choices] and texts[0] == one.choices[0].message.content
    assert len(set(texts)) == 3
    assert three.usage.prompt_tokens == one.usage.prompt_tokens
    streamed = {0: "", 1: "", 2: ""}
    for chunk in client.chat.completions.create(**options, n=3, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert list(streamed.values()) == texts


def test_stop_texts_end_a_reply_and_are_never_seen(server: Running, bundles: dict[str, Path]) -> None:
    whole = own_reply(bundles["first"], QUESTION, Sampling(12)).text
    stop = next(whole[i : i + 2] for i in range(3, len(whole)) if "\ufffd" not in whole[i : i + 2])
    client = server.client()
    for given in (stop, [stop, "never there"]):
        found = client.chat.completions.create(model="first", messages=QUESTION, stop=given).choices[0]
        assert found.message.content == whole[: whole.index(stop)] and found.finish_reason == "stop"
        chunks = client.chat.completions.create(model="first", messages=QUESTION, stop=given, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == found.message.content


def test_a_classifier_answers_with_its_label_and_tells_all_scores(server: Running, bundles: dict[str, Path]) -> None:
    client = server.client()
    for name in ("sorter", "other-sorter"):
        tuned = open_bundle(bundles[name])
        labels, speaker = tuned.card.labels, Speaker(tuned.network, tuned.tokenizer, "forest", tuned.card.max_tokens)
        for text in ("mend the broken neck", "hire it for a month", "x" * 700):
            (wanted,) = classify(speaker, Classify(labels), [Labelled("", text, None)])
            label = labels[int(wanted.argmax())]
            found = client.chat.completions.create(
                model=name, messages=[{"role": "user", "content": text}], logprobs=True, top_logprobs=2, temperature=0, max_tokens=50
            )
            choice = found.choices[0]
            assert choice.message.content == label and choice.finish_reason == "stop"
            assert choice.scores == pytest.approx(dict(zip(labels, wanted.tolist(), strict=True)), abs=1e-5)
            (entry,) = choice.logprobs.content
            assert entry.token == label and entry.logprob == pytest.approx(math.log(wanted.max()), abs=1e-4)
            assert [one.token for one in entry.top_logprobs] == [labels[i] for i in (-wanted).argsort()[:2]]
            assert found.usage.completion_tokens == 0 and found.usage.prompt_tokens <= 96
            chunks = list(client.chat.completions.create(model=name, messages=[{"role": "user", "content": text}], stream=True))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == label
            assert chunks[-1].choices[0].scores == pytest.approx(choice.scores)
            both = client.completions.create(model=name, prompt=[text, "another text"])
            assert both.choices[0].text == label and both.choices[0].scores == pytest.approx(choice.scores, abs=1e-5)


def test_completions_continue_texts_and_token_ids(server: Running, bundles: dict[str, Path]) -> None:
    tuned = open_bundle(bundles["text"])
    texts = ["The cat sat on", "one two three"]
    prompts = [tuned.tokenizer.encode(text) for text in texts]
    wanted = tuned.engine(prompts, Sampling(9))
    client = server.client()
    for given in (texts, prompts):
        found = client.completions.create(model="text", prompt=given, max_tokens=9, logprobs=2)
        assert [choice.text for choice in found.choices] == [reply.text for reply in wanted]
        assert found.usage.prompt_tokens == sum(map(len, prompts))
        assert found.usage.completion_tokens == sum(len(one.tokens) for one in wanted)
        for choice, reply in zip(found.choices, wanted, strict=True):
            assert choice.logprobs.token_logprobs == pytest.approx(reply.logprobs, abs=1e-4)
            assert choice.logprobs.text_offset[0] == 0 and len(choice.logprobs.tokens) == len(reply.tokens)
    one = client.completions.create(model="text", prompt=prompts[0], max_tokens=9)
    assert one.choices[0].text == wanted[0].text and one.object == "text_completion"
    told: list[dict] = [{"text": "", "tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []} for _ in texts]
    for chunk in client.completions.create(model="text", prompt=texts, max_tokens=9, logprobs=2, stream=True):
        (part,) = chunk.choices
        told[part.index]["text"] += part.text
        for name, values in part.logprobs or ():
            if isinstance(values, list):
                told[part.index][name] += values
    whole = client.completions.create(model="text", prompt=texts, max_tokens=9, logprobs=2).choices
    assert [one.pop("text") for one in told] == [reply.text for reply in wanted]
    for one, choice in zip(told, whole, strict=True):
        assert (one["tokens"], one["text_offset"]) == (choice.logprobs.tokens, choice.logprobs.text_offset)
        assert one["token_logprobs"] == pytest.approx(choice.logprobs.token_logprobs, abs=1e-5)
        assert [list(top) for top in one["top_logprobs"]] == [list(top) for top in choice.logprobs.top_logprobs]


def test_models_are_listed_with_what_is_known_of_them(server: Running) -> None:
    client = server.client()
    listed = {one.id: one for one in client.models.list()}
    assert set(listed) == {"first", "second", "whole", "sorter", "other-sorter", "text", "tiny"}
    assert client.models.retrieve("first") == listed["first"]
    assert listed["second"].luthier["verdict"] == "hold" and listed["first"].luthier["served_without_report"] is False
    assert listed["sorter"].luthier["labels"] == ["repair", "rental", "lesson"]


def test_adapters_share_the_base_of_their_own_server(server: Running) -> None:
    models = server.service.models
    assert models["first"].decoder is models["second"].decoder is models["sorter"].decoder is models["tiny"].decoder
    assert models["whole"].decoder is not models["first"].decoder
    assert len({models[name].adapter for name in ("first", "second", "sorter", "other-sorter", "text", "tiny")}) == 6


def status_of(call) -> tuple[int, dict]:
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    body = caught.value.response.json()
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    return caught.value.status_code, body["error"]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"frequency_penalty": 0.5}, "frequency_penalty"), ({"presence_penalty": -1}, "presence_penalty"),
        ({"logit_bias": {"5": 3}}, "logit_bias"), ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"store": True}, "store"), ({"tool_choice": "required"}, "tool_choice"), ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"temperature": 3}, "temperature"), ({"top_p": 0}, "top_p"), ({"n": 0}, "n"), ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"), ({"stop": ""}, "stop"), ({"top_logprobs": 3}, "top_logprobs"), ({"stop": [""]}, "stop"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"), ({"extra_body": {"wibble": 1}}, "wibble"), ({"n": 100}, "n"),
        ({"messages": []}, "messages"), ({"messages": [{"role": "wizard", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, None),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)  # fmt: skip
def test_what_would_change_the_answer_and_is_not_done_is_refused(server: Running, options: dict, param: str | None) -> None:
    status, error = status_of(lambda: server.client().chat.completions.create(**{"model": "first", "messages": QUESTION, **options}))
    assert status == 400 and error["type"] == "invalid_request_error"
    assert param is None or error["param"] == param


def test_what_changes_nothing_is_taken(server: Running) -> None:
    found = server.client().chat.completions.create(
        model="first", messages=QUESTION, user="me", metadata={"a": "b"}, store=False, presence_penalty=0, frequency_penalty=0.0,
        logit_bias={}, response_format={"type": "text"}, max_completion_tokens=5, parallel_tool_calls=True, service_tier="auto",
        safety_identifier="x", prompt_cache_key="k", tool_choice="none", n=1, logprobs=False,
    )  # fmt: skip
    assert found.usage.completion_tokens <= 5


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"echo": True}, "echo"), ({"suffix": "x"}, "suffix"), ({"best_of": 3}, "best_of"), ({"prompt": [[10**6]]}, "prompt"),
        ({"prompt": []}, "prompt"), ({"prompt": [-1]}, "prompt"), ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": [[5], []]}, "prompt"), ({"logprobs": 99}, "logprobs"),
    ],
)  # fmt: skip
def test_completions_refuse_what_they_cannot(server: Running, options: dict, param: str) -> None:
    status, error = status_of(lambda: server.client().completions.create(**{"model": "text", "prompt": "x", **options}))
    assert (status, error["param"]) == (400, param)


@pytest.mark.parametrize("options", [{"n": 2}, {"temperature": 1}, {"stop": "x"}, {"messages": QUESTION}])
def test_a_classifier_refuses_what_has_no_meaning_for_it(server: Running, options: dict) -> None:
    asked = {"model": "sorter", "messages": [QUESTION[1]], **options}
    assert status_of(lambda: server.client().chat.completions.create(**asked))[0] == 400


def test_a_model_of_text_does_not_chat(server: Running) -> None:
    status, error = status_of(lambda: server.client().chat.completions.create(model="text", messages=QUESTION))
    assert (status, error["code"]) == (400, "unsupported_endpoint")


def test_unknown_models_and_paths_and_methods_and_bodies_get_the_interfaces_errors(server: Running) -> None:
    client = server.client()
    assert status_of(lambda: client.chat.completions.create(model="gpt-9", messages=QUESTION))[1]["code"] == "model_not_found"
    assert status_of(lambda: client.models.retrieve("gpt-9"))[0] == 404
    assert status_of(lambda: client.embeddings.create(model="first", input="x"))[0] == 404
    assert status_of(lambda: client.get("/chat/completions", cast_to=object))[0] == 405
    json_type = "application/json"
    for content, kind in (("{", json_type), ("[]", json_type), ("{}", "text/plain"), ('{"model": NaN}', json_type)):
        post = client._client.post(f"{server.url}/v1/chat/completions", content=content, headers={"content-type": kind})
        assert post.status_code == 400 and set(post.json()["error"]) == {"message", "type", "param", "code"}
    long = [{"role": "user", "content": "word " * 500}]
    status, error = status_of(lambda: client.chat.completions.create(model="first", messages=long))
    assert (status, error["code"]) == (400, "context_length_exceeded")
    deep = '{"model": "first", "messages": [{"role": "user", "content": ' + "[" * 50_000 + "]" * 50_000 + "}]}"
    own = {"model": "first", "messages": QUESTION, "chat_template_kwargs": {"tokenize": True, "return_dict": True, "documents": 5}}
    odd_template = {**own, "chat_template_kwargs": {"continue_final_message": True}}
    for content in (deep, json.dumps(own), json.dumps(odd_template)):
        post = client._client.post(f"{server.url}/v1/chat/completions", content=content, headers={"content-type": json_type})
        assert post.status_code == 400 and set(post.json()["error"]) == {"message", "type", "param", "code"}, post.text
    for odd in ("\\ud800", '", "x": 1e999, "y": "'):
        content = '{"model": "first", "messages": [{"role": "user", "content": "' + odd + '"}]}'
        post = client._client.post(f"{server.url}/v1/chat/completions", content=content, headers={"content-type": "application/json"})
        assert post.status_code == 400, post.text


def test_a_reply_is_cut_where_the_context_ends_and_says_so(server: Running) -> None:
    prompt = [{"role": "user", "content": "word " * 20}]
    found = server.client().chat.completions.create(model="whole", messages=prompt, max_tokens=500)
    assert (found.choices[0].finish_reason, found.usage.total_tokens) == ("length", 96)


def test_the_metrics_count_what_was_done(server: Running) -> None:
    def counted(text: str, name: str) -> float:
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    client = server.client()
    before = client._client.get(f"{server.url}/metrics").text
    found = client.chat.completions.create(model="whole", messages=QUESTION)
    after = client._client.get(f"{server.url}/metrics").text
    for name, more in (
        ('luthier_requests_total{route="/v1/chat/completions",status="200"}', 1),
        ('luthier_prompt_tokens_total{model="whole"}', found.usage.prompt_tokens),
        ('luthier_reply_tokens_total{model="whole"}', found.usage.completion_tokens),
    ):
        assert counted(after, name) - counted(before, name) == more
    assert json.dumps(after).count("capital") == 0
