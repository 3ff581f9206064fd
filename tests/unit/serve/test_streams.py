"""Thoughts and tool calls in a stream: each comes once, whole, and the pieces join to the message."""

from __future__ import annotations

import json

import pytest
from tests.small import network_of, tokenizer_of

from luthier.core.generator import Piece, Sampling
from luthier.generate.adapters import Adapters
from luthier.generate.decoder import Decoder
from luthier.generate.growing import Growing
from luthier.serve.answers import Choice
from luthier.serve.models import Served
from luthier.serve.worker import Job

CALL = '<tool_call>\n{"name": "look", "arguments": {"x": 1}}\n</tool_call>'


def served(template: str) -> Served:
    tokenizer = tokenizer_of(template)
    return Served("model", tokenizer, Decoder(Adapters(network_of("llama", vocab_size=tokenizer.n_vocabulary))), 128)


def choice_of(template: str, wants_tools: bool) -> Choice:
    model = served(template)
    return Choice(0, Job(model, [5], Growing([5], Sampling(9), model.tokenizer, model.stop_ids)), None, wants_tools)


def streamed(template: str, text: str, wants_tools: bool, n: int = 1) -> tuple[Choice, list[dict]]:
    """The deltas of a reply that comes in pieces of `n` characters."""
    choice = choice_of(template, wants_tools)
    deltas = []
    for at in range(0, len(text), n):
        choice.take(Piece((), (), text[at : at + n]))
        deltas.append(choice.delta())
    choice.take(Piece((), (), "", "stop"))
    deltas.append(choice.delta())
    return choice, deltas


REPLIES = {
    "plain": ("hello there", None, "hello there", 0),
    "thought": ("<think>\nhm, yes\n</think>\n\nhello there", "hm, yes", "hello there", 0),
    "empty thought": ("<think>\n\n</think>\n\nhello", None, "hello", 0),
    "call": (CALL, None, "", 1),
    "text and calls": (f"let me look {CALL}\n{CALL}", None, "let me look", 2),
    "all": (f"<think>x</think>I look {CALL}", "x", "I look", 1),
    "no call after all": ("a <tool_call> is {no json} </tool_call> here", None, "a <tool_call> is {no json} </tool_call> here", 0),
    "half a mark": ("a < b and <tool", None, "a < b and <tool", 0),
    "a thought that never ends": ("<think>hm", None, "<think>hm", 0),
}


@pytest.mark.parametrize("name", REPLIES)
@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_a_streamed_reply_joins_to_the_whole_message(name: str, n: int) -> None:
    text, thought, content, n_calls = REPLIES[name]
    choice, deltas = streamed("thinking", text, True, n)
    assert "".join(delta.get("content", "") for delta in deltas).rstrip() == content
    assert [delta["reasoning_content"] for delta in deltas if "reasoning_content" in delta] == ([thought] if thought else [])
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert [call["index"] for call in calls] == list(range(n_calls))
    assert all(call["function"]["name"] == "look" and json.loads(call["function"]["arguments"]) == {"x": 1} for call in calls)
    whole = choice.chat()
    assert whole["finish_reason"] == ("tool_calls" if n_calls else "stop")
    assert (whole["message"]["content"] or "") == content  # type: ignore[index, call-overload]
    assert whole["message"].get("reasoning_content") == thought  # type: ignore[union-attr, attr-defined]


def test_text_is_told_before_the_reply_has_ended() -> None:
    for text in ("hello there", "<think>x</think>hello there"):
        _, deltas = streamed("thinking", text, True)
        assert "".join(delta.get("content", "") for delta in deltas[:-1]) == "hello there"


def test_calls_are_text_where_no_tools_were_offered_and_marks_where_the_template_has_none() -> None:
    for template, wants_tools in (("thinking", False), ("chatml", True)):
        choice, deltas = streamed(template, CALL, wants_tools)
        assert "".join(delta.get("content", "") for delta in deltas) == CALL == choice.message.text
        assert choice.chat()["finish_reason"] == "stop"


def test_what_the_template_writes_before_a_reply_is_no_part_of_it() -> None:
    model = served("mistral")
    assert model.renderer.reply_head == " "
    choice, deltas = streamed("mistral", " hello  there", False)
    assert "".join(delta.get("content", "") for delta in deltas) == "hello  there" == choice.message.text


def test_a_reply_cut_by_its_length_keeps_that_reason_also_with_calls() -> None:
    choice = choice_of("thinking", True)
    choice.take(Piece((), (), CALL, "length"))
    assert choice.chat()["finish_reason"] == "length"
