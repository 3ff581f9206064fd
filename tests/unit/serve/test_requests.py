"""What a request's body says, as a prompt: token for token that of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.small import TAKES_SYSTEM, TEMPLATES, tokenizer_of

from luthier.core import messages
from luthier.core.errors import LuthierError
from luthier.core.examples import Chat
from luthier.data.steps.whitespace import Whitespace
from luthier.serve.requests import prompt_tokens
from luthier.text.renderer import Renderer

TOOL = {"type": "function", "function": {"name": "look", "description": "looks", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "hello <|im_end|> you"}, {"role": "assistant", "content": "hello"},
    {"role": "user", "content": [{"type": "text", "text": "what is "}, {"type": "text", "text": "one two three?"}]},
    {"role": "assistant", "content": "I do not know."},
]  # fmt: skip
WITH_TOOLS: list[dict[str, Any]] = [
    {"role": "user", "content": "look"}, {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "one cat"}, {"role": "assistant", "content": "one cat"},
]  # fmt: skip


def trained_prompts(renderer: Renderer, chat: Chat) -> list[list[int]]:
    """What stands before each trained reply, in the rows that training sees."""
    found = []
    for row in renderer.render(chat):
        trained = set(np.flatnonzero(row.weights).tolist())
        found += [row.tokens[:t] for t in sorted(trained) if t - 1 not in trained]
    return found


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("system", [None, "system", "developer"])
def test_the_prompt_of_each_turn_is_the_one_that_was_trained(template: str, system: str | None) -> None:
    if system and template not in TAKES_SYSTEM:
        pytest.skip("this template takes no system message")
    tokenizer = tokenizer_of(template)
    turns = [{"role": system, "content": "be brief"}, *TURNS] if system else TURNS
    cases: list[tuple[list[dict[str, Any]], tuple[dict[str, Any], ...]]] = [(turns, ())]
    if template == "thinking":
        cases.append((WITH_TOOLS, (TOOL,)))
    for said, tools in cases:
        chat = Chat("", tuple(messages.from_dict(turn) for turn in said), tools)
        asked = [said[:i] for i, turn in enumerate(said) if turn["role"] == "assistant"]
        body = {"tools": list(tools)} if tools else {}
        served = [prompt_tokens(tokenizer, {"model": "x", "messages": one, **body}) for one in asked]
        assert sorted(served) == sorted(trained_prompts(Renderer(tokenizer), chat))


def test_steps_tidy_a_prompt_as_they_tidied_the_rows_and_leave_a_tidy_one() -> None:
    tokenizer, steps = tokenizer_of("chatml"), (Whitespace(),)
    clean, dirty = ({"messages": [{"role": "user", "content": text}]} for text in ("hello you", "  hello   you \n"))
    assert prompt_tokens(tokenizer, dirty, steps) == prompt_tokens(tokenizer, clean, steps) == prompt_tokens(tokenizer, clean)
    assert prompt_tokens(tokenizer, dirty) != prompt_tokens(tokenizer, clean)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "messages"), ({"messages": "hi"}, "messages"), ({"messages": []}, "messages"), ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0]"), ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content"),
        ({"messages": [TURNS[0], {"role": "assistant", "function_call": {"name": "f"}}]}, "messages[1].function_call"),
        ({"messages": TURNS[:1], "tools": {}}, "tools"), ({"messages": TURNS[:1], "tools": [{"type": "web_search"}]}, "tools"),
        ({"messages": TURNS[:1], "chat_template_kwargs": []}, "chat_template_kwargs"),
        ({"messages": TURNS[:1], "tools": [TOOL]}, "messages"),
    ],
)  # fmt: skip
def test_what_no_family_takes_is_refused_with_its_place(body: dict[str, Any], where: str) -> None:
    with pytest.raises(LuthierError) as caught:
        prompt_tokens(tokenizer_of("chatml"), body)
    assert caught.value.where == where
