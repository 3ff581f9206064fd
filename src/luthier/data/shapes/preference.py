"""chosen/rejected: a reply that was preferred and one that was not, to a prompt of its own or to one that both begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Preference
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message
from luthier.data.files.record import RowError
from luthier.data.shapes.alpaca import parted
from luthier.data.shapes.columns import Common, Sample, lookup, optional_text_of, put
from luthier.data.shapes.openai_chat import MESSAGES_NAMES, TOOLS_NAMES, tools_of
from luthier.data.shapes.pair import CONTEXT_NAMES, PROMPT_NAMES, SYSTEM_NAMES
from luthier.data.shapes.turns import messages_in, spelled

_CHOSEN = ("chosen", "chosen_messages", "preferred", "preferred_output", "chosen_response", "accepted", "better")
_REJECTED = (
    "rejected", "rejected_messages", "non_preferred", "non_preferred_output", "rejected_response", "dispreferred", "refused", "worse",
)  # fmt: skip
_TURN = "\n\nAssistant:"


@dataclass(frozen=True)
class ChosenRejected:
    """TRL's preference layout, and those of LLaMA-Factory, Anthropic's HH and others: texts, messages, or lists of messages.

    Where no column holds the prompt, it is what both replies begin with: the messages that they share, or, in texts with
    `Assistant:` turns, everything up to the last turn that they share.
    """

    fields: Mapping[str, str]

    name: ClassVar[str] = "chosen/rejected"
    roles: ClassVar[tuple[str, ...]] = ("prompt", "chosen", "rejected", "context", "system", "tools")
    needs: ClassVar[tuple[str, ...]] = ("chosen", "rejected")
    shape: ClassVar[str] = "preference"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column called as the preferred replies are and one called as the others are."""
        if given and not set(cls.needs) <= given.keys():
            return None
        chosen, rejected = given.get("chosen") or sample.pick(_CHOSEN), given.get("rejected") or sample.pick(_REJECTED)
        if chosen is None or rejected is None:
            return None
        found = {"chosen": chosen, "rejected": rejected}
        prompts = ("prompt", *MESSAGES_NAMES, *PROMPT_NAMES)
        others = {"prompt": prompts, "context": CONTEXT_NAMES, "system": SYSTEM_NAMES, "tools": TOOLS_NAMES}
        for role, names in others.items():
            column = given.get(role) or sample.pick(names, tuple(found.values()))
            if column is not None and (role != "context" or "prompt" in found):
                found[role] = column
        return cls({role: found[role] for role in cls.roles if role in found})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Preference:
        """The prompt and both replies; what a prompt is about stands below it, a system text before it."""
        columns = {role: self.fields[role] for role in ("chosen", "rejected")}
        for column in columns.values():
            if lookup(record, column) in (None, "", []):
                raise RowError(f'the column "{column}" is empty or missing')
        chosen, rejected = (messages_in(lookup(record, column), f'the column "{column}"', "assistant") for column in columns.values())
        if "prompt" in self.fields:
            prompt = self._prompt(record)
            chosen, rejected = (reply[len(prompt) :] if reply[: len(prompt)] == prompt and len(reply) > len(prompt) else reply
                                for reply in (chosen, rejected))
        else:
            prompt, chosen, rejected = _implicit(chosen, rejected)
        if not chosen or not rejected:
            raise RowError("the preferred reply and the other one are the same, so that nothing is preferred")
        return Preference(row_id, prompt, chosen, rejected, tools_of(record, self.fields.get("tools")), **common)

    def _prompt(self, record: Mapping[str, Json]) -> tuple[Message, ...]:
        path = self.fields["prompt"]
        value = lookup(record, path)
        if value in (None, "", []):
            raise RowError(f'the column "{path}" is empty or missing')
        turns = messages_in(value, f'the column "{path}"', "user")
        context = optional_text_of(record, self.fields.get("context"))
        if context.strip():
            turns = (*turns[:-1], Message(turns[-1].role, f"{turns[-1].text}\n\n{context}"))
        system = optional_text_of(record, self.fields.get("system"))
        return (Message("system", system), *turns) if system.strip() else turns

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The prompt and both replies, in as many messages as they have, or as texts."""
        assert isinstance(example, Preference), "this layout's examples are preferences"
        found: dict[str, Json] = {}
        prompt = example.prompt
        if "system" in self.fields:
            has_one = bool(prompt) and prompt[0].role == "system"
            put(found, self.fields["system"], prompt[0].text if has_one else "", style)
            prompt = prompt[1:] if has_one else prompt
        for role, turns in (("chosen", example.chosen), ("rejected", example.rejected)):
            old = lookup(style, self.fields[role])
            whole = (*prompt, *turns) if "prompt" not in self.fields or _holds(old, len(prompt) + len(turns)) else turns
            put(found, self.fields[role], _spelled(whole, old, "prompt" in self.fields), style)
        if "prompt" in self.fields:
            old = lookup(style, self.fields["prompt"])
            if "context" in self.fields:
                before = (old, optional_text_of(style, self.fields["context"])) if isinstance(old, str) else ("", "")
                asked, context = parted(prompt[-1].text, *before)
                prompt = (*prompt[:-1], replace(prompt[-1], content=asked))
                put(found, self.fields["context"], context, style)
            put(found, self.fields["prompt"], _spelled(prompt, old, True), style)
        if "tools" in self.fields and example.tools:
            put(found, self.fields["tools"], list(example.tools), style)
        return {column: found[column] for column in _in_order(self.fields, found)}

    def said(self) -> str:
        """What the rows are, in words."""
        return "preferences: " + ", ".join(f'{role} in "{column}"' for role, column in self.fields.items())


def _spelled(turns: tuple[Message, ...], old: Json, has_prompt: bool) -> Json:
    """Messages as they were spelled; without a column of prompts, a text is a dialogue, or words that go on from the prompt."""
    if _is_dialogue(old):
        return _labelled(turns, str(old))
    if isinstance(old, str) and not has_prompt and not old.lstrip().startswith(("[{", "{")):
        return "".join(turn.text for turn in turns)
    return spelled(turns, old, bare=True)


def _in_order(fields: Mapping[str, str], found: Mapping[str, Json]) -> list[str]:
    tops = dict.fromkeys(path if path in found else path.partition(".")[0] for path in fields.values())
    return [name for name in tops if name in found]


def _implicit(
    chosen: tuple[Message, ...], rejected: tuple[Message, ...]
) -> tuple[tuple[Message, ...], tuple[Message, ...], tuple[Message, ...]]:
    """What both replies begin with, and what is left of each."""
    if len(chosen) == len(rejected) == 1 and _is_dialogue(chosen[0].text) and _is_dialogue(rejected[0].text):
        chosen, rejected = _turns(chosen[0].text), _turns(rejected[0].text)
    elif len(chosen) == len(rejected) == 1 and chosen != rejected:
        return _of_texts(chosen[0].text, rejected[0].text)
    n_shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False))))
    # Replies that share their own first turns still have to have a last word of the assistant that differs.
    while n_shared and chosen[n_shared - 1].role == "assistant" and (n_shared == len(chosen) or n_shared == len(rejected)):
        n_shared -= 1
    if chosen == rejected:
        return chosen, (), ()
    return chosen[:n_shared], chosen[n_shared:], rejected[n_shared:]


def _of_texts(chosen: str, rejected: str) -> tuple[tuple[Message, ...], tuple[Message, ...], tuple[Message, ...]]:
    """The words that two texts begin with, as the prompt; the space behind them belongs to the replies."""
    n = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
    at = max((i for i in range(n) if chosen[i].isspace()), default=0)
    if not chosen[:at].strip():
        raise RowError("there is no prompt: no column holds it, and the two replies begin differently")
    return (Message("user", chosen[:at]),), (Message("assistant", chosen[at:]),), (Message("assistant", rejected[at:]),)


def _is_dialogue(value: object) -> bool:
    """Whether a text is a dialogue in turns of `Human:` and `Assistant:` (Bai et al. 2022, arXiv 2204.05862)."""
    return isinstance(value, str) and value.startswith("\n\nHuman:") and _TURN in value


def _turns(text: str) -> tuple[Message, ...]:
    found: list[Message] = []
    for piece in _pieces(text):
        human = piece.startswith("\n\nHuman:")
        found.append(Message("user" if human else "assistant", piece.partition(":")[2].removeprefix(" ")))
    return tuple(found)


def _pieces(text: str) -> list[str]:
    """The turns of a dialogue, each with its opening."""
    starts = sorted({at for mark in ("\n\nHuman:", _TURN) for at in _places(text, mark)})
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def _places(text: str, mark: str) -> list[int]:
    found, at = [], text.find(mark)
    while at >= 0:
        found.append(at)
        at = text.find(mark, at + 1)
    return found


def _labelled(turns: tuple[Message, ...], old: str) -> str:
    """A dialogue in one text, each turn opened as it was."""
    olds = _pieces(old)
    spaces = [" " if len(olds) != len(turns) or piece.partition(":")[2].startswith(" ") else "" for piece in olds or [""]]
    spaces += [" "] * (len(turns) - len(spaces))
    named = (("Human" if turn.role == "user" else "Assistant", turn.text) for turn in turns)
    return "".join(f"\n\n{name}:{space}{text}" for (name, text), space in zip(named, spaces, strict=False))


def _holds(value: Json, n: int) -> bool:
    """Whether a column holds that many messages: the prompt before the reply."""
    return isinstance(value, list) and len(value) == n
