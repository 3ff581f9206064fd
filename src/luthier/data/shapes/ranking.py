"""ranked replies: several replies to one prompt, with a rank or a score each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Ranking
from luthier.core.jsonvalue import Json
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import Common, Sample, lookup, put, unpacked
from luthier.data.shapes.openai_chat import MESSAGES_NAMES
from luthier.data.shapes.pair import PROMPT_NAMES
from luthier.data.shapes.turns import messages_in, spelled

_REPLIES = ("responses", "replies", "answers", "completions", "outputs", "candidates", "ranked", "output")
_RANKS = ("ranks", "rank", "ranking", "rankings")
_SCORES = ("scores", "ratings", "rewards", "score")


@dataclass(frozen=True)
class RankedReplies:
    """A list of replies beside a list of ranks (1 is the best) or of scores (the highest is); without either, the best comes first."""

    fields: Mapping[str, str]

    name: ClassVar[str] = "ranked replies"
    roles: ClassVar[tuple[str, ...]] = ("prompt", "replies", "ranks", "scores")
    needs: ClassVar[tuple[str, ...]] = ("prompt", "replies")
    shape: ClassVar[str] = "ranking"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """A column of prompts and one of lists of replies; one of ranks or scores too, unless the recipe names the replies' column."""
        prompt = given.get("prompt") or sample.pick((*PROMPT_NAMES, *MESSAGES_NAMES))
        replies = given.get("replies") or sample.pick(_REPLIES, (prompt,))
        if prompt is None or replies is None or not _are_lists(sample, replies):
            return None
        order = {role: given.get(role) or sample.pick(names) for role, names in (("ranks", _RANKS), ("scores", _SCORES))}
        found = {role: column for role, column in order.items() if column is not None and _are_lists(sample, column)}
        if not found and "replies" not in given:
            return None
        return cls({"prompt": prompt, "replies": replies, **dict(list(found.items())[:1])})

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Ranking:
        """The prompt, the replies in the order of the row, and their ranks."""
        prompt = messages_in(lookup(record, self.fields["prompt"]), f'the column "{self.fields["prompt"]}"', "user")
        found = unpacked(lookup(record, self.fields["replies"]), f'the column "{self.fields["replies"]}"')
        if not isinstance(found, list) or len(found) < 2:
            raise RowError(f'the column "{self.fields["replies"]}" is not a list of two or more replies')
        replies = tuple(messages_in(reply, f"reply {n}", "assistant") for n, reply in enumerate(found, 1))
        return Ranking(row_id, prompt, replies, self._ranks(record, len(replies)), **common)

    def _ranks(self, record: Mapping[str, Json], n: int) -> tuple[int, ...]:
        role = next((role for role in ("ranks", "scores") if role in self.fields), None)
        if role is None:
            return tuple(range(1, n + 1))
        column = self.fields[role]
        values = unpacked(lookup(record, column), f'the column "{column}"')
        if not isinstance(values, list) or len(values) != n:
            raise RowError(f'the column "{column}" does not hold a number for each of the {n} replies')
        numbers: list[float] = []
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise RowError(f'the column "{column}" holds {value!r}, which is no number')
            numbers.append(-float(value) if role == "scores" else float(value))
        order = sorted(set(numbers))
        return tuple(order.index(number) + 1 for number in numbers)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The prompt, the replies, and their ranks, or the scores that were given for them."""
        assert isinstance(example, Ranking), "this layout's examples are rankings"
        olds = lookup(style, self.fields["replies"])
        styles = olds if isinstance(olds, list) and len(olds) == len(example.replies) else [None] * len(example.replies)
        found = put({}, self.fields["prompt"], spelled(example.prompt, lookup(style, self.fields["prompt"]), bare=True), style)
        put(found, self.fields["replies"], [spelled(one, old, bare=True) for one, old in zip(example.replies, styles, strict=True)], style)
        if "ranks" in self.fields:
            put(found, self.fields["ranks"], list(example.ranks), style)
        if "scores" in self.fields:
            put(found, self.fields["scores"], lookup(style, self.fields["scores"]) or [-rank for rank in example.ranks], style)
        return found

    def said(self) -> str:
        """What the rows are, in words."""
        order = "" if len(self.fields) > 2 else "; the first reply is the best"
        return "ranked replies: " + ", ".join(f'{role} in "{column}"' for role, column in self.fields.items()) + order


def _are_lists(sample: Sample, column: str) -> bool:
    return sample.mostly(column, lambda value: isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith("[")))
