from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Labelled, Pair
from luthier.core.messages import Message, TextPart, ToolCall
from luthier.prove import prompts
from luthier.prove.prompts import Prompt, request_of, served_prompts_equal_trained, served_texts_equal_trained, trained_prompts
from luthier.text.rows import make_row

STOP = 9
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}
CHAT = Chat(
    "c",
    (
        Message("system", "be brief"), Message("user", (TextPart("a"), TextPart("b"))),
        Message("assistant", "", reasoning="hm", tool_calls=(ToolCall("1", "look", '{"x": 1}'),), weight=0.5),
        Message("tool", "found", tool_call_id="1"), Message("assistant", "d"),
    ),
    (TOOL,), {"enable_thinking": False},
)  # fmt: skip


def test_a_request_says_what_came_before_the_turn_and_nothing_that_only_training_knows() -> None:
    body = request_of(CHAT, 4)
    assert [one["role"] for one in body["messages"]] == ["system", "user", "assistant", "tool"]  # type: ignore[call-overload, index, union-attr]
    assert "weight" not in json.dumps(body)
    assert body["messages"][2]["reasoning_content"] == "hm"  # type: ignore[call-overload, index]
    assert body["tools"] == [TOOL] and body["chat_template_kwargs"] == {"enable_thinking": False}
    assert set(request_of(Chat("d", CHAT.messages[:2]), 1)) == {"messages"}


def test_each_trained_reply_has_the_prompt_that_stands_before_it() -> None:
    one_row = [make_row([1, 2, 9, 3, 4, 9], [0, 1, 1, 0, 1, 1])]
    two_rows = [make_row([1, 2, 9], [0, 1, 1]), make_row([5, 6, 3, 4, 9], [0, 0, 0, 1, 1])]
    for unit, wanted in ((one_row, [[1], [1, 2, 9, 3]]), (two_rows, [[1], [5, 6, 3]])):
        found = list(trained_prompts([unit], [CHAT], STOP))
        assert [one.tokens for one in found] == wanted
        assert [len(one.body["messages"]) for one in found] == [2, 4]  # type: ignore[arg-type]
    (found,) = trained_prompts([[make_row([7, 8, 9], [0, 0, 1])]], [Pair("p", "ask", "")], STOP)
    assert (found.id, found.tokens, found.body) == ("p", [7, 8], {"messages": [{"role": "user", "content": "ask"}]})


def made(n: int) -> list[Prompt]:
    return [Prompt(str(i), [i, i + 1], {"messages": [{"role": "user", "content": str(i)}] * (1 + i % 3)}) for i in range(n)]


def serve(body: Mapping[str, Any]) -> list[int]:
    i = int(body["messages"][0]["content"])
    return [i, i + 1]


def test_prompts_are_compared_token_for_token() -> None:
    found = served_prompts_equal_trained(made(5), serve, 0, 0)
    assert found.holds and found.detail.startswith("5 of 5 prompts")
    for spoilt in ([3, 99], [3], [3, 4, 5]):
        found = served_prompts_equal_trained(made(5), lambda body, spoilt=spoilt: spoilt if serve(body) == [3, 4] else serve(body), 0, 0)
        assert not found.holds and "4 of 5" in found.detail and "not so: 3 (" in found.detail


def test_a_conversation_that_the_server_refuses_does_not_hold() -> None:
    def refuse(body: Mapping[str, Any]) -> list[int]:
        raise LuthierError("messages", "no place for tools", "another base")

    found = served_prompts_equal_trained(made(1), refuse, 0, 0)
    assert not found.holds and "refused: messages: no place for tools" in found.detail


def test_of_many_prompts_the_telling_ones_and_drawn_ones_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "MOST_PROMPTS", 20)
    many = [*made(60), Prompt("long", [0] * 50, {"messages": []}), Prompt("tools", [1], {"messages": [], "tools": [TOOL]})]
    seen: list[Mapping[str, Any]] = []

    def note(body: Mapping[str, Any]) -> list[int]:
        seen.append(body)
        return []

    served_prompts_equal_trained(many, note, 0, 0)
    assert len(seen) == 20
    assert many[-2].body in seen and many[-1].body in seen
    assert sum(len(body["messages"]) == 3 for body in seen) >= 2


def test_a_classifier_reads_the_rows_that_were_trained() -> None:
    units = [[make_row([1, 2], target=0)], [make_row([3], target=1)]]
    rows = [Labelled("x", "one", "no"), Labelled("y", "two", "yes")]
    read = {"one": [1, 2], "two": [3]}
    assert served_texts_equal_trained(units, rows, read.__getitem__).holds
    found = served_texts_equal_trained(units, rows, {**read, "two": [3, 3]}.__getitem__)
    assert not found.holds and "not so: y" in found.detail


def test_of_long_prompts_as_many_are_compared_as_some_seconds_tokenise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "MOST_TOKENS", 12)
    assert served_prompts_equal_trained(made(6), serve, 0, 0).detail.startswith("6 of 6 prompts")
    found = served_prompts_equal_trained(made(7), serve, 0, 0)
    assert found.holds and found.detail.startswith("6 of 6 prompts") and "(of 7;" in found.detail
    monkeypatch.setattr(prompts, "MOST_TOKENS", 1)
    assert served_prompts_equal_trained(made(7), serve, 0, 0).detail.startswith("1 of 1 prompts")
