"""prompt/completion: two columns, by any of the names that people give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Chat, Pair
from luthier.core.jsonvalue import Json
from luthier.data.shapes.alpaca import conversation, exchange_record, joined
from luthier.data.shapes.columns import Common, Sample, optional_text_of, text_of

PROMPT_NAMES = ("prompt", "instruction", "question", "query", "problem", "input", "user", "human", "request", "q")
COMPLETION_NAMES = ("completion", "response", "answer", "output", "reply", "solution", "assistant", "gpt", "a", "answers")
CONTEXT_NAMES = ("context", "input", "passage", "background")
SYSTEM_NAMES = ("system", "system_prompt", "system_message")
_TRANSFORMED = (
    ("document", "summary"), ("article", "summary"), ("article", "highlights"), ("dialogue", "summary"), ("text", "summary"),
    ("source", "target"), ("source", "translation"),
)  # fmt: skip


@dataclass(frozen=True)
class PromptCompletion:
    """A prompt and its completion, with what the prompt is about (`context`); a conversation where there is a system column."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "prompt/completion"
    roles: ClassVar[tuple[str, ...]] = ("prompt", "completion", "context", "system")
    needs: ClassVar[tuple[str, ...]] = ("prompt", "completion")

    @property
    def shape(self) -> str:
        """`pair`, or `chat` where there is a system column."""
        return "chat" if "system" in self.fields else "pair"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column called as prompts are and one called as completions are; or the two ends of a summary or a translation."""
        settled = tuple(given.values())
        prompt = given.get("prompt") or sample.pick(PROMPT_NAMES, settled)
        completion = given.get("completion") or sample.pick(COMPLETION_NAMES, (*settled, prompt))
        if (prompt is None or completion is None) and not given:
            ends = next(((sample.pick((a,)), sample.pick((b,))) for a, b in _TRANSFORMED if sample.pick((a,)) and sample.pick((b,))), None)
            prompt, completion = ends or (prompt, completion)
        if prompt is None or completion is None:
            return None
        if not given:
            # Sentences in a list are one text; of several answers the first is learnt.
            prompt += ".*" if _are_lists(sample, prompt) else ""
            completion += ".0" if _are_lists(sample, completion) else ""
        fields = {"prompt": prompt, "completion": completion}
        if not given and not all(sample.holds_texts(column) for column in fields.values()):
            return None
        context = given.get("context") or sample.pick(CONTEXT_NAMES, (*settled, prompt, completion))
        system = given.get("system") or sample.pick(SYSTEM_NAMES, (*settled, prompt, completion))
        return cls(fields | ({"context": context} if context else {}) | ({"system": system} if system else {}))

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Pair | Chat:
        """The prompt is its column, a blank line, and the context where there is any."""
        prompt = joined(text_of(record, self.fields["prompt"]), optional_text_of(record, self.fields.get("context")))
        completion = text_of(record, self.fields["completion"])
        if self.shape == "pair":
            return Pair(row_id, prompt, completion, **common)
        return Chat(row_id, conversation(optional_text_of(record, self.fields["system"]), (), prompt, completion), **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The prompt and its context apart where they were apart, and the completion."""
        return exchange_record(example, self.fields, ("prompt", "context", "completion"), style)

    def said(self) -> str:
        """What the rows are, in words."""
        kind = "prompts with completions" if self.shape == "pair" else "conversations of one exchange"
        return f"{kind}: " + ", ".join(f'the {role} in "{column}"' for role, column in self.fields.items())


def _are_lists(sample: Sample, column: str) -> bool:
    """Whether a column holds lists of texts."""
    return sample.mostly(column, lambda value: isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value))
