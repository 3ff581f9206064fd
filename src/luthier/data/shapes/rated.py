"""rated replies: one reply to a prompt, and whether it was good, as KTO learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Rated
from luthier.core.jsonvalue import Json
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Common, Sample, lookup, put
from luthier.data.shapes.openai_chat import MESSAGES_NAMES, TOOLS_NAMES, tools_of
from luthier.data.shapes.pair import COMPLETION_NAMES, PROMPT_NAMES
from luthier.data.shapes.turns import messages_in, spelled

_VERDICTS = ("label", "kto_tag", "thumbs_up", "good", "desirable", "is_good", "liked", "upvoted")
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class RatedReply:
    """A prompt, a completion and a verdict of true or false (TRL); or messages whose last turn the verdict is about (LLaMA-Factory)."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "rated replies"
    roles: ClassVar[tuple[str, ...]] = ("prompt", "completion", "messages", "good", "tools")
    needs: ClassVar[tuple[str, ...]] = ("good",)
    shape: ClassVar[str] = "rated"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column of verdicts beside prompts and completions, or beside messages."""
        if given and "good" not in given:
            return None
        good = given.get("good") or sample.pick(_VERDICTS)
        if good is None or not sample.mostly(good, _is_verdict):
            return None
        found = {"good": good}
        others = {"completion": COMPLETION_NAMES, "messages": MESSAGES_NAMES, "prompt": PROMPT_NAMES, "tools": TOOLS_NAMES}
        for role, names in others.items():
            column = given.get(role) or sample.pick(names, tuple(found.values()))
            if column is not None and not (role == "messages" and "completion" in found):
                found[role] = column
        if "messages" in found:
            found.pop("prompt", None)
            if not any(isinstance(value, list) for value in sample.values(found["messages"])):
                return None
        elif not {"prompt", "completion"} <= found.keys():
            return None
        return cls({role: found[role] for role in cls.roles if role in found})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Rated:
        """The prompt, the reply that was rated, and the verdict."""
        verdict = lookup(record, self.fields["good"])
        if not _is_verdict(verdict):
            raise RowError(f'the column "{self.fields["good"]}" is not true or false')
        good = verdict if isinstance(verdict, bool) else _WORDS[str(verdict).strip().lower()]
        tools = tools_of(record, self.fields.get("tools"))
        if "messages" not in self.fields:
            prompt, reply = (messages_in(_there(record, self.fields[role]), f'the column "{self.fields[role]}"', speaker)  # type: ignore[arg-type]
                             for role, speaker in (("prompt", "user"), ("completion", "assistant")))
            return Rated(row_id, prompt, reply, good, tools, **common)
        turns = messages_in(_there(record, self.fields["messages"]), f'the column "{self.fields["messages"]}"', "assistant")
        if turns[-1].role != "assistant":
            raise RowError(f"the last message is the {turns[-1].role}'s, and a verdict is about what the assistant said")
        return Rated(row_id, turns[:-1], turns[-1:], good, tools, **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The prompt and the reply, apart or as messages, and the verdict."""
        assert isinstance(example, Rated), "this layout's examples are rated"
        found: dict[str, Json] = {}
        sides = {"prompt": example.prompt, "completion": example.completion, "messages": (*example.prompt, *example.completion)}
        for role, column in self.fields.items():
            if role in sides:
                put(found, column, spelled(sides[role], lookup(style, column), bare=role != "messages"), style)
            elif role == "good":
                put(found, column, example.good, style)
            elif example.tools:
                put(found, column, list(example.tools), style)
        return found

    def said(self) -> str:
        """What the rows are, in words."""
        return "replies that were rated: " + ", ".join(f'{role} in "{column}"' for role, column in self.fields.items())


def _is_verdict(value: Json) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _WORDS)


def _there(record: Mapping[str, Json], path: str) -> Json:
    value = lookup(record, path)
    if value in (None, "", []):
        raise RowError(f'the column "{path}" is empty or missing')
    return value
