"""Conversations to tokens and back, by laws that hold for any template.

    a trained row  =  prompt(messages before the turn) ++ reply ++ stop, each tokenised apart
    the prompt served is token for token the prompt trained

A prompt that holds earlier replies is cut where those replies begin and end and tokenised piece by piece, so that a
token never spans the border between what the model wrote and what stood around it. Where a template rewrites earlier
turns (it strips their reasoning, say), the conversation gives one row for each trained turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Pair
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message, to_dict
from luthier.text.replies import MARKS, ReplyFormat
from luthier.text.tokenizer import Tokenizer

_PROBE = "PROBE"
_BREAK = "\ufdd0"
"""Stands inside what merely spells a special token; Unicode keeps this code point for use inside programs."""


@dataclass(frozen=True)
class Rendered:
    """Tokens (T,) of a conversation and, for each, the loss weight of predicting it."""

    tokens: list[int]
    weights: list[float]


@dataclass(frozen=True)
class _Turn:
    """Where one assistant turn stands: the text before it, and the reply's own text."""

    before: str
    reply: str


@dataclass(frozen=True, eq=False)
class _Told:
    """A conversation as the template is told it, and what the template has made of its beginnings so far.

    `texts` holds them by how many messages they have and whether a generation prompt ends them.
    """

    where: str
    roles: tuple[str, ...]
    messages: tuple[dict[str, Json], ...]
    tools: tuple[Mapping[str, Json], ...]
    options: Mapping[str, Json]
    texts: dict[tuple[int, bool], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Renderer:
    """Renders conversations with a model's own chat template."""

    tokenizer: Tokenizer

    @cached_property
    def _frame(self) -> tuple[str, str]:
        """What the template writes around a reply: before it (a space, say), and after it, the stop token's text first."""
        asked = Chat("", (Message("user", "?"),))
        answered = Chat("", (*asked.messages, Message("assistant", _PROBE)))
        before, full = self._text(self._told(asked), 1, True), self._text(self._told(answered), 2, False)
        if not full.startswith(before) or _PROBE not in full[len(before) :]:
            raise LuthierError(
                "the chat template",
                "a reply does not stand where the generation prompt ends, so what is trained would not be what is served",
                "give the model another chat template (chat_template.jinja in its folder)",
            )
        head, _, tail = full[len(before) :].rpartition(_PROBE)
        return head, tail

    @cached_property
    def _stop(self) -> tuple[int, str]:
        """The stop token, and its text as the template writes it ('' where the template has none)."""
        tail = self._frame[1]
        tokens = self.tokenizer.encode(tail) if tail else []
        if tokens and tokens[0] in self.tokenizer.special_ids:
            text = self.tokenizer.decode(tokens[:1])
            if tail.startswith(text):
                return tokens[0], text
        return self.tokenizer.eos_id, ""

    @property
    def stop_id(self) -> int:
        """The token that ends a reply."""
        return self._stop[0]

    @property
    def reply_head(self) -> str:
        """What the template itself writes before a reply, such as a space; it is no part of what is said."""
        return self._frame[0]

    @cached_property
    def replies(self) -> ReplyFormat:
        """How the template writes reasoning and tool calls inside a reply."""
        return ReplyFormat.of(self.tokenizer.template_text)

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        """Every text that spells a special token."""
        names = sorted((name for name in self.tokenizer.special_texts if len(name) > 1), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def prompt(self, chat: Chat) -> list[int]:
        """The tokens that stand before the next reply; of two equal conversations, always the same."""
        self._refuse_what_cannot_be_rendered(chat)
        return self._prompt(self._told(chat), len(chat.messages))

    def render(self, chat: Chat) -> tuple[Rendered, ...]:
        """The conversation's trained rows: one, or one for each trained turn where the template rewrites earlier turns."""
        self._refuse_what_cannot_be_rendered(chat)
        # A turn that opens the conversation answers nothing: it is what later turns stand on, like a system message.
        trained = [i for i, message in enumerate(chat.messages) if i > 0 and message.role == "assistant" and message.trained_weight > 0]
        if not trained:
            return ()
        told, n = self._told(chat, trained[-1] + 1), trained[-1] + 1
        text = self._text(told, n, False)
        turns = self._stable_turns(told, n, text)
        if self._stop[1] and all(i in turns for i in trained):
            return (self._one_row(chat, text, turns),)
        return tuple(self._row_of_turn(told, i, chat.messages[i].trained_weight) for i in trained)

    def text(self, chat: Chat) -> str:
        """The conversation as the template writes it, for people and for comparisons; what is trained are the pieces' tokens."""
        return self._text(self._told(chat), len(chat.messages), False).replace(_BREAK, "")

    def reply(self, chat: Chat) -> list[int]:
        """The tokens of the conversation's last turn, stop token included."""
        return self._reply(self._told(chat), len(chat.messages) - 1)

    def document(self, text: str, with_marks: bool = False) -> list[int]:
        """Plain text as a model reads it: between its begin and end tokens.

        `with_marks` reads what spells a special token as that token, so that a corpus may hold whole conversations.
        """
        return [*self._begin, *self._pieces([text if with_marks else self._shielded(text)])[0], self.tokenizer.eos_id]

    def _shielded(self, text: str) -> str:
        """A text in which nothing spells a special token: a person who types one has typed characters, and ends no turn."""
        return self._spelled.sub(lambda found: found[0][0] + _BREAK + found[0][1:], text)

    @property
    def _begin(self) -> list[int]:
        return [] if self.tokenizer.bos_id is None else [self.tokenizer.bos_id]

    @cached_property
    def hidden_ids(self) -> frozenset[int]:
        """Tokens of a reply that are no text: the special ones, but for the marks that thoughts and tool calls are read by."""
        marks = {token for mark in MARKS if len(tokens := self.tokenizer.encode(mark)) == 1 for token in tokens}
        return self.tokenizer.special_ids - marks

    def parse(self, tokens: Sequence[int]) -> Message:
        """The message that a reply's tokens say, without special tokens and what the template itself writes before a reply."""
        hidden = self.hidden_ids | {self.stop_id, self.tokenizer.eos_id}
        return self._message(self.tokenizer.decode([token for token in tokens if token not in hidden]))

    def normalise(self, message: Message) -> Message:
        """What `parse` gives back of a message that was rendered: the template's tidying, and nothing else, applied."""
        asked = Chat("", (Message("user", "?"), message))
        return self._message(self._turn(self._told(asked), 1).reply)

    def _message(self, reply: str) -> Message:
        return self.replies.parse(reply.replace(_BREAK, "").removeprefix(self._frame[0]))

    def _one_row(self, chat: Chat, text: str, turns: dict[int, _Turn]) -> Rendered:
        """The whole conversation as one row, each reply and its stop token weighted as the message says."""
        tokens: list[int] = []
        weights: list[float] = []
        pieces = self._pieces(self._cut(text, turns)[:-1])
        for i, context, reply in zip(turns, pieces[::2], pieces[1::2], strict=True):
            tokens += context
            tokens += reply
            tokens.append(self.stop_id)
            weights += [0.0] * len(context) + [chat.messages[i].trained_weight] * (len(reply) + 1)
        return Rendered(tokens, weights)

    def _row_of_turn(self, told: _Told, i: int, weight: float) -> Rendered:
        context, reply = self._prompt(told, i), self._reply(told, i)
        return Rendered(context + reply, [0.0] * len(context) + [weight] * len(reply))

    def _prompt(self, told: _Told, n: int) -> list[int]:
        """What stands before the reply to the first `n` messages, cut where replies in it begin and where their stop tokens end."""
        text = self._text(told, n, True)
        tokens: list[int] = []
        for p, piece in enumerate(self._pieces(self._cut(text, self._stable_turns(told, n, text)))):
            tokens += piece
            if p % 2 and self._stop[1]:
                tokens.append(self.stop_id)
        return tokens

    def _reply(self, told: _Told, i: int) -> list[int]:
        """Message `i` as a reply, stop token included."""
        return [*self._pieces([self._turn(told, i).reply])[0], self.stop_id]

    def _cut(self, text: str, turns: dict[int, _Turn]) -> list[str]:
        """A text's pieces: by turns what stands before a reply and the reply without its stop token, and last what is left."""
        pieces: list[str] = []
        at = 0
        for turn in turns.values():
            pieces += [text[at : len(turn.before)], turn.reply]
            at = len(turn.before) + len(turn.reply) + len(self._stop[1])
        return [*pieces, text[at:]]

    def _pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, by itself."""
        parts = [[part for part in text.split(_BREAK) if part] for text in texts]
        tokens = iter(self.tokenizer.encode_all([part for some in parts for part in some]))
        return [[token for _ in some for token in next(tokens)] for some in parts]

    def _stable_turns(self, told: _Told, n: int, text: str) -> dict[int, _Turn]:
        """The turns among the first `n` messages that stand in `text` exactly as they stood when written, by message number."""
        found: dict[int, _Turn] = {}
        for i in range(1, n):
            if told.roles[i] == "assistant":
                turn = self._turn(told, i)
                if text.startswith(turn.before + turn.reply + self._stop[1]):
                    found[i] = turn
        return found

    def _turn(self, told: _Told, i: int) -> _Turn:
        """Message `i` as the template writes it when it is the newest."""
        tail = self._frame[1]
        before, full = self._text(told, i, True), self._text(told, i + 1, False)
        if not full.startswith(before) or not full.endswith(tail):
            raise LuthierError(
                told.where,
                f"the chat template does not write message {i + 1} (assistant) after its own generation prompt",
                "move what the template puts elsewhere into the message itself, or use another template",
            )
        return _Turn(before, full[len(before) : len(full) - len(tail)])

    def _told(self, chat: Chat, n: int | None = None) -> _Told:
        """What the template is told of a conversation, or of its first `n` messages."""
        messages = chat.messages[:n]
        return _Told(
            chat.source or "a conversation",
            tuple(message.role for message in messages),
            tuple(_template_message(self._shielded_message(message)) for message in messages),
            tuple(self._shielded_json(tool) for tool in chat.tools),  # type: ignore[misc]
            self._shielded_json(chat.template_options),  # type: ignore[arg-type]
        )

    def _text(self, told: _Told, n: int, add_generation_prompt: bool) -> str:
        """The first `n` messages as the template writes them."""
        known = told.texts.get((n, add_generation_prompt))
        if known is not None:
            return known
        try:
            text = self.tokenizer.apply_template(told.messages[:n], told.tools, add_generation_prompt, told.options)
        except ValueError as error:
            raise LuthierError(told.where, f"the chat template refuses it: {error}", "change the messages or the template") from error
        told.texts[n, add_generation_prompt] = text
        return text

    def _shielded_message(self, message: Message) -> Message:
        calls = tuple(
            replace(call, name=self._shielded(call.name), arguments=self._shielded(call.arguments)) for call in message.tool_calls
        )
        reasoning = None if message.reasoning is None else self._shielded(message.reasoning)
        name = None if message.name is None else self._shielded(message.name)
        return replace(message, content=self._shielded(message.text), reasoning=reasoning, tool_calls=calls, name=name)

    def _shielded_json(self, value: Json) -> Json:
        """The same in all texts of a value: in the description of a tool, say."""
        if isinstance(value, str):
            return self._shielded(value)
        if isinstance(value, Mapping):
            return {self._shielded(name): self._shielded_json(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._shielded_json(item) for item in value]
        return value

    def _refuse_what_cannot_be_rendered(self, chat: Chat) -> None:
        where = chat.source or "a conversation"
        if not chat.messages:
            raise LuthierError(where, "the conversation has no messages", "give it at least one")
        for i, message in enumerate(chat.messages):
            for part in message.other_parts:
                raise LuthierError(
                    where, f"message {i + 1} holds a part of type {part.kind!r}, which this model cannot read", "leave it out or use text"
                )
        template = self.tokenizer.template_text
        if (chat.tools or any(message.tool_calls for message in chat.messages)) and "tool" not in template:
            raise LuthierError(
                where, "it uses tools, and the model's chat template has no place for them", "choose a base model whose template has tools"
            )


def _template_message(message: Message) -> dict[str, Json]:
    """A message as templates expect it: content always text, arguments of tool calls as objects."""
    value: dict[str, Json] = {**to_dict(message), "content": message.text}
    value.pop("weight", None)
    if message.tool_calls:
        value["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call.arguments)}}
            for call in message.tool_calls
        ]
    return value


def _arguments(text: str) -> Json:
    """A tool call's arguments as the object that they spell; text that spells none stays text."""
    try:
        value: Json = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, dict) else text


def as_chat(example: Pair | Chat) -> Chat:
    """A prompt and its completion as the conversation that they stand for."""
    if isinstance(example, Chat):
        return example
    turns = (Message("user", example.prompt), Message("assistant", example.completion))
    return Chat(example.id, turns, source=example.source, extra=example.extra)
