"""The rows of a data set as Luthier understands them: one frozen class for each shape of example."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, get_args

from luthier.core import messages
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message, OtherPart, Part, TextPart


@dataclass(frozen=True)
class Example:
    """What every example has.

    `id` names the row for good (the source's `id` column, or a hash of the raw record); `source` is where it can be
    opened (`file:line`); `extra` holds the columns that Luthier does not use, so that nothing of a row is lost; `parent` is
    the id of the row that this one was made from, by splitting or by augmentation, and on whose side it stands. `written` is
    how the row was spelled in its source where its fields alone do not tell (`data.shapes.written`), so that it can be written back.
    """

    id: str
    source: str = field(default="", kw_only=True)
    parent: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Json] = field(default_factory=dict, kw_only=True)
    written: Mapping[str, Json] = field(default_factory=dict, kw_only=True)

    shape: ClassVar[str]

    def fields(self) -> dict[str, Json]:
        """The example's own fields by their usual names, ready for JSON."""
        raise NotImplementedError(f"{type(self).__name__} must say what its fields are")

    def map_text(self, change: Callable[[str], str]) -> Self:
        """The same example with `change` applied to each stretch of text that a model would read."""
        raise NotImplementedError(f"{type(self).__name__} must say where its text is")

    def texts(self) -> tuple[str, ...]:
        """Each stretch of text that a model would read, in order."""
        found: list[str] = []

        def note(text: str) -> str:
            found.append(text)
            return text

        self.map_text(note)
        return tuple(found)


@dataclass(frozen=True)
class Text(Example):
    """Plain text, to be continued."""

    text: str
    shape: ClassVar[str] = "text"

    def fields(self) -> dict[str, Json]:
        """`text`."""
        return {"text": self.text}

    def map_text(self, change: Callable[[str], str]) -> Text:
        """Change the text."""
        return dataclasses.replace(self, text=change(self.text))


@dataclass(frozen=True)
class Labelled(Example):
    """A text and the class it belongs to; `label` is None in rows that wait for a prediction."""

    text: str
    label: str | None
    shape: ClassVar[str] = "labelled"

    def fields(self) -> dict[str, Json]:
        """`text` and `label`."""
        return {"text": self.text, "label": self.label}

    def map_text(self, change: Callable[[str], str]) -> Labelled:
        """Change the text; a label is a name, not prose."""
        return dataclasses.replace(self, text=change(self.text))


@dataclass(frozen=True)
class Pair(Example):
    """A prompt and what should follow it."""

    prompt: str
    completion: str
    shape: ClassVar[str] = "pair"

    def fields(self) -> dict[str, Json]:
        """`prompt` and `completion`."""
        return {"prompt": self.prompt, "completion": self.completion}

    def map_text(self, change: Callable[[str], str]) -> Pair:
        """Change both sides."""
        return dataclasses.replace(self, prompt=change(self.prompt), completion=change(self.completion))


@dataclass(frozen=True)
class Chat(Example):
    """A conversation, the tools it may use, and options that its template takes."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Json], ...] = ()
    template_options: Mapping[str, Json] = field(default_factory=dict)
    shape: ClassVar[str] = "chat"

    def fields(self) -> dict[str, Json]:
        """`messages`, and `tools` and `template_options` where there are any."""
        value: dict[str, Json] = {"messages": [messages.to_dict(message) for message in self.messages]}
        if self.tools:
            value["tools"] = list(self.tools)
        if self.template_options:
            value["template_options"] = dict(self.template_options)
        return value

    def map_text(self, change: Callable[[str], str]) -> Chat:
        """Change the content and the reasoning of each message; tool calls are data, not prose."""
        return dataclasses.replace(self, messages=_map_messages(self.messages, change))


@dataclass(frozen=True)
class Preference(Example):
    """A conversation so far, a reply that was preferred, and one that was not; a reply is one message or several."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    tools: tuple[Mapping[str, Json], ...] = ()
    shape: ClassVar[str] = "preference"

    def fields(self) -> dict[str, Json]:
        """`prompt`, `chosen` and `rejected` as messages, and `tools` where there are any."""
        sides = {"prompt": self.prompt, "chosen": self.chosen, "rejected": self.rejected}
        return {**{name: _dicts(turns) for name, turns in sides.items()}, **({"tools": list(self.tools)} if self.tools else {})}

    def map_text(self, change: Callable[[str], str]) -> Preference:
        """Change each message's content and reasoning."""
        prompt, chosen, rejected = (_map_messages(turns, change) for turns in (self.prompt, self.chosen, self.rejected))
        return dataclasses.replace(self, prompt=prompt, chosen=chosen, rejected=rejected)

    @property
    def text(self) -> str:
        """All that is said, one message after the other."""
        return _said(*self.prompt, *self.chosen, *self.rejected)


@dataclass(frozen=True)
class Ranking(Example):
    """A conversation so far and several replies, with a rank each: 1 for the best, equal ones for replies as good as one another."""

    prompt: tuple[Message, ...]
    replies: tuple[tuple[Message, ...], ...]
    ranks: tuple[int, ...]
    shape: ClassVar[str] = "ranking"

    def fields(self) -> dict[str, Json]:
        """`prompt` as messages, `replies` as lists of messages, and their `ranks`."""
        return {"prompt": _dicts(self.prompt), "replies": [_dicts(reply) for reply in self.replies], "ranks": list(self.ranks)}

    def map_text(self, change: Callable[[str], str]) -> Ranking:
        """Change each message's content and reasoning; the ranks stay with their replies."""
        replies = tuple(_map_messages(reply, change) for reply in self.replies)
        return dataclasses.replace(self, prompt=_map_messages(self.prompt, change), replies=replies)

    @property
    def text(self) -> str:
        """All that is said, one message after the other."""
        return _said(*self.prompt, *(message for reply in self.replies for message in reply))


@dataclass(frozen=True)
class Rated(Example):
    """A conversation so far, one reply, and whether it was good: what KTO learns from (Ethayarajh et al. 2024, arXiv 2402.01306)."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    good: bool
    tools: tuple[Mapping[str, Json], ...] = ()
    shape: ClassVar[str] = "rated"

    def fields(self) -> dict[str, Json]:
        """`prompt` and `completion` as messages, `good`, and `tools` where there are any."""
        found: dict[str, Json] = {"prompt": _dicts(self.prompt), "completion": _dicts(self.completion), "good": self.good}
        return {**found, **({"tools": list(self.tools)} if self.tools else {})}

    def map_text(self, change: Callable[[str], str]) -> Rated:
        """Change each message's content and reasoning."""
        return dataclasses.replace(self, prompt=_map_messages(self.prompt, change), completion=_map_messages(self.completion, change))

    @property
    def text(self) -> str:
        """All that is said, one message after the other."""
        return _said(*self.prompt, *self.completion)


@dataclass(frozen=True)
class Tagged(Example):
    """A sentence as tokens with a tag each; `tags` is None in rows that wait for a prediction."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...] | None
    shape: ClassVar[str] = "tagged"

    def fields(self) -> dict[str, Json]:
        """`tokens` and `tags`."""
        return {"tokens": list(self.tokens), "tags": None if self.tags is None else list(self.tags)}

    def map_text(self, change: Callable[[str], str]) -> Tagged:
        """Change each token by itself, so that it keeps its tag.

        A token of which nothing would be left, or which would become several words, stays as it is: its tag belongs to one word.
        """
        changed = ((token, change(token)) for token in self.tokens)
        return dataclasses.replace(self, tokens=tuple(new if len(new.split()) == 1 else old for old, new in changed))

    def texts(self) -> tuple[str, ...]:
        """The sentence, its tokens with a space between."""
        return (self.text,)

    @property
    def text(self) -> str:
        """The sentence, its tokens with a space between."""
        return " ".join(self.tokens)


@dataclass(frozen=True)
class Scored(Example):
    """A text and the number that it is to be given; `target` is None in rows that wait for a prediction."""

    text: str
    target: float | None
    shape: ClassVar[str] = "scored"

    def fields(self) -> dict[str, Json]:
        """`text` and `target`."""
        return {"text": self.text, "target": self.target}

    def map_text(self, change: Callable[[str], str]) -> Scored:
        """Change the text."""
        return dataclasses.replace(self, text=change(self.text))


AnyExample: TypeAlias = Text | Labelled | Pair | Chat | Preference | Ranking | Rated | Tagged | Scored
SHAPES: Mapping[str, type[AnyExample]] = {kind.shape: kind for kind in get_args(AnyExample)}
COMMON = ("id", "source", "parent", "extra", "written")
"""What every record has beside the fields of its shape."""


def _dicts(turns: tuple[Message, ...]) -> list[Json]:
    return [messages.to_dict(message) for message in turns]


def _said(*turns: Message) -> str:
    return "\n".join(message.text for message in turns)


def _map_messages(turns: tuple[Message, ...], change: Callable[[str], str]) -> tuple[Message, ...]:
    return tuple(_map_message(message, change) for message in turns)


def _map_message(message: Message, change: Callable[[str], str]) -> Message:
    def part(one: Part) -> Part:
        return one if isinstance(one, OtherPart) else TextPart(change(one.text))

    content = change(message.content) if isinstance(message.content, str) else tuple(part(one) for one in message.content)
    return dataclasses.replace(message, content=content, reasoning=None if message.reasoning is None else change(message.reasoning))


def to_record(example: AnyExample) -> dict[str, Json]:
    """The example as one JSON object of `kept.jsonl.gz`; `from_record` reads it back."""
    record: dict[str, Json] = {"id": example.id, "shape": example.shape, **example.fields(), "source": example.source}
    if example.parent is not None:
        record["parent"] = example.parent
    for name in ("extra", "written"):
        if getattr(example, name):
            record[name] = dict(getattr(example, name))
    return record


def from_record(record: Mapping[str, Json]) -> AnyExample:
    """The example that `to_record` wrote; what else stands in the record (`side`, `changed`) is left to the caller."""
    common: dict[str, Json] = {"source": record.get("source", ""), "parent": record.get("parent")}
    common |= {name: record.get(name, {}) for name in ("extra", "written")}
    kind = SHAPES[str(record["shape"])]
    own = {item.name: record[item.name] for item in dataclasses.fields(kind) if item.name not in COMMON and item.name in record}
    return kind(str(record["id"]), **{name: _restored(name, value) for name, value in own.items()}, **common)  # type: ignore[arg-type]


def _restored(name: str, value: Json) -> object:
    """A field's value as its class holds it: messages as messages, lists as tuples."""
    if not isinstance(value, list):
        return value
    if name == "replies":
        return tuple(_restored("messages", reply) for reply in value)
    if name in _OF_MESSAGES:
        return tuple(messages.from_dict(turn) for turn in value)
    return tuple(value)


_OF_MESSAGES = ("messages", "prompt", "completion", "chosen", "rejected")
