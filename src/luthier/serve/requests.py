"""What a request asks, in the words of the core: conversations out of request bodies, and their prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.core import messages
from luthier.core.errors import LuthierError
from luthier.core.examples import Chat
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message
from luthier.data.decisions import KeyStep, RowStep, SetStep
from luthier.data.pipeline import tidied
from luthier.models.tokenizer import LoadedTokenizer
from luthier.text.renderer import Renderer

_SEE = "see the reference of the chat-completions interface"


def prompt_tokens(tokenizer: LoadedTokenizer, body: Mapping[str, Any], steps: Sequence[RowStep | KeyStep | SetStep] = ()) -> list[int]:
    """Exactly the tokens that the server feeds to the model for a chat request's body, `model` and sampling aside.

    The conversation takes the way of a training row (`core.messages`, `text.renderer`), so that the prompt served is
    token for token the prompt trained. `steps` are those of a bundle, which tidy what is asked as they tidied the
    training rows; a row that is tidy already stays as it is.

    Raises:
        LuthierError: the body holds no conversation, or one that the model's template or family cannot take; `where`
            names the field.

    """
    chat = tidied(chat_of(body), steps)
    assert isinstance(chat, Chat), "steps keep an example's shape"
    return Renderer(tokenizer).prompt(chat)


def chat_of(body: Mapping[str, Any]) -> Chat:
    """The conversation of a chat request: its messages, its tools and the options of its template.

    Raises:
        LuthierError: a message or a tool has another shape than the interface says.

    """
    turns = body.get("messages")
    if not isinstance(turns, Sequence) or isinstance(turns, str) or not turns:
        raise LuthierError("messages", "it is no list of messages, or an empty one", 'give [{"role": "user", "content": "…"}]')
    tools = body.get("tools")
    if tools is not None and (not isinstance(tools, list) or not all(_is_function(tool) for tool in tools)):
        raise LuthierError("tools", "it is no list of functions", 'give [{"type": "function", "function": {"name": "…"}}]')
    options = body.get("chat_template_kwargs")
    if options is not None and not isinstance(options, Mapping):
        raise LuthierError("chat_template_kwargs", "it is no object", "give the template's options by name")
    said = tuple(_message(i, turn) for i, turn in enumerate(turns))
    return Chat("", said, tuple(tools or ()), dict(options or {}), source="messages")


def _message(i: int, turn: Json) -> Message:
    where = f"messages[{i}]"
    if not isinstance(turn, Mapping):
        raise LuthierError(where, f"it is {type(turn).__name__}, not an object", _SEE)
    for old in ("function_call", "audio"):
        if turn.get(old) is not None:
            raise LuthierError(f"{where}.{old}", "no family here reads it", "use tool_calls, or leave it out")
    try:
        message = messages.from_dict(turn)
    except ValueError as error:
        raise LuthierError(where, str(error), _SEE) from error
    for part in message.other_parts:
        problem = f"this model reads text, and no part of type {part.kind!r}"
        raise LuthierError(f"{where}.content", problem, "leave the part out, or say it in text")
    return message


def _is_function(tool: Json) -> bool:
    function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type", "function") == "function" else None
    return isinstance(function, Mapping) and isinstance(function.get("name"), str)
