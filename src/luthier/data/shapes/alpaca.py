"""alpaca: instruction, input, output (Taori et al. 2023), with LLaMA-Factory's optional system and history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Chat, Pair
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Common, Sample, lookup, optional_text_of, put, text_of, unpacked


@dataclass(frozen=True)
class Alpaca:
    """An instruction, an input that may be empty, and an output; a conversation where there is a system or history column."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "alpaca"
    roles: ClassVar[tuple[str, ...]] = ("instruction", "input", "output", "system", "history")
    needs: ClassVar[tuple[str, ...]] = ("instruction", "output")

    @property
    def shape(self) -> str:
        """`pair`, or `chat` where there is a system or history column."""
        return "chat" if {"system", "history"} & self.fields.keys() else "pair"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """Columns of these very names."""
        fields = {role: given.get(role) or sample.pick((role,), tuple(given.values())) for role in cls.roles}
        found = {role: column for role, column in fields.items() if column is not None}
        return cls(found) if {"instruction", "input", "output"} <= found.keys() or (set(cls.needs) <= found.keys() and given) else None

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Pair | Chat:
        """The prompt is the instruction, a blank line, and the input; without an input, the instruction alone."""
        prompt = joined(text_of(record, self.fields["instruction"]), optional_text_of(record, self.fields.get("input")))
        output = text_of(record, self.fields["output"])
        if self.shape == "pair":
            return Pair(row_id, prompt, output, **common)
        earlier = _turns(lookup(record, self.fields["history"])) if "history" in self.fields else ()
        return Chat(row_id, conversation(optional_text_of(record, self.fields.get("system")), earlier, prompt, output), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The instruction and its input, apart where they were apart; of a conversation the last exchange, the earlier ones as history."""
        return exchange_record(example, self.fields, ("instruction", "input", "output"), style)

    def said(self) -> str:
        """What the rows are, in words."""
        kind = "prompts with completions" if self.shape == "pair" else "conversations"
        return f"{kind} in Alpaca's layout: " + ", ".join(f'{role} in "{column}"' for role, column in self.fields.items())


def joined(prompt: str, context: str) -> str:
    """A prompt and what it is about, parted by a blank line; either alone where the other is blank."""
    return f"{prompt}\n\n{context}" if prompt.strip() and context.strip() else (prompt if prompt.strip() else context or prompt)


def conversation(system: str, earlier: tuple[Message, ...], prompt: str, completion: str) -> tuple[Message, ...]:
    """The messages of one exchange, behind a system message unless it is blank and what was said before."""
    opening = (Message("system", system),) if system.strip() else ()
    return (*opening, *earlier, Message("user", prompt), Message("assistant", completion))


def parted(prompt: str, instruction: str, context: str) -> tuple[str, str]:
    """A prompt that `joined` made of texts like these two, or that cleaning made of such a prompt, as two texts again.

    It is parted at that blank line at which it was joined; where cleaning left more or fewer blank lines, it stays one text.
    """
    pieces = prompt.split("\n\n")
    n_before = instruction.count("\n\n") + 1
    if not context.strip():
        new = prompt, context
    elif not instruction.strip():
        new = instruction, prompt
    elif len(pieces) == joined(instruction, context).count("\n\n") + 1:
        new = "\n\n".join(pieces[:n_before]), "\n\n".join(pieces[n_before:])
    else:
        new = prompt, ""
    return new if joined(*new) == prompt else (prompt, "")


def exchange_record(
    example: AnyExample, fields: Mapping[str, str], names: tuple[str, str, str], style: Mapping[str, Json]
) -> dict[str, Json]:
    """The columns of a prompt and its completion; `names` are the roles of the prompt, of what it is about, and of the completion."""
    prompt_role, context_role, completion_role = names
    if isinstance(example, Chat):
        turns = list(example.messages)
        system = turns.pop(0).text if turns[0].role == "system" else ""
        prompt, completion, earlier = turns[-2].text, turns[-1].text, turns[:-2]
    else:
        assert isinstance(example, Pair), "these layouts' examples are pairs or conversations"
        system, prompt, completion, earlier = "", example.prompt, example.completion, []
    found: dict[str, Json] = {}
    context = ""
    if context_role in fields and style:
        prompt, context = parted(prompt, *(optional_text_of(style, fields[role]) for role in (prompt_role, context_role)))
    values: dict[str, Json] = {prompt_role: prompt, context_role: context, completion_role: completion, "system": system}
    values["history"] = [[earlier[i].text, earlier[i + 1].text] for i in range(0, len(earlier), 2)]
    for role, column in fields.items():
        put(found, column, values[role], style)
    return found


def _turns(history: Json) -> tuple[Message, ...]:
    """The earlier exchanges, each a list of prompt and reply."""
    history = unpacked(history, 'the column "history"') if history else []
    turns: list[Message] = []
    for exchange in history if isinstance(history, list) else [history]:
        if not isinstance(exchange, list) or len(exchange) != 2 or not all(isinstance(text, str) for text in exchange):
            raise RowError("the history is not a list of [prompt, reply] texts")
        turns += (Message("user", str(exchange[0])), Message("assistant", str(exchange[1])))
    return tuple(turns)
