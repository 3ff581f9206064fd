"""The rows that are looked at closely: all of a small set, and of a large one as many as memory and patience allow."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from luthier.core.draws import seed_of
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Preference, Ranking, Rated
from luthier.core.messages import Message

MOST_ROWS = 10_000
"""So many rows give every share to ± 1 point (95 % interval)."""
MOST_CHARACTERS = 40_000_000
LONGEST = 32_000
"""Characters of one row that are kept; of a longer row only the beginning is looked at."""
_SHARED = frozenset({"system", "developer"})


@dataclass(frozen=True)
class Looked:
    """A row that is looked at: its side, its label, and its texts with who says them, cut to `LONGEST` characters together.

    `n_characters` are those of the whole row.
    """

    id: str
    source: str
    side: str
    label: str | None
    parts: tuple[tuple[str, str], ...]
    n_characters: int

    @property
    def texts(self) -> tuple[str, ...]:
        """Each stretch of text that a model would read."""
        return tuple(text for _, text in self.parts)

    @property
    def own(self) -> str:
        """What is particular to the row: everything but a system message, which rows share."""
        return "\n".join(text for who, text in self.parts if who not in _SHARED)

    @property
    def n_looked_at(self) -> int:
        """The characters that were kept."""
        return sum(len(text) for _, text in self.parts)


def looked(example: AnyExample, side: str) -> Looked:
    """A row as it is looked at."""
    room, kept, n_characters = LONGEST, [], 0
    for who, text in _parts(example):
        n_characters += len(text)
        kept.append((who, text[:room]))
        room = max(0, room - len(text))
    label = example.label if isinstance(example, Labelled) else None
    return Looked(example.id, example.source, side, label, tuple(kept), n_characters)


def _parts(example: AnyExample) -> Iterable[tuple[str, str]]:
    """Who says what: the texts of conversations by their roles, of other rows by their place in it."""
    match example:
        case Chat():
            turns: tuple[Message, ...] = example.messages
        case Preference():
            turns = (*example.prompt, *example.chosen, *example.rejected)
        case Ranking():
            turns = (*example.prompt, *(message for reply in example.replies for message in reply))
        case Rated():
            turns = (*example.prompt, *example.completion)
        case Pair():
            yield from (("prompt", example.prompt), ("completion", example.completion))
            return
        case _:
            yield "text", example.text
            return
    for message in turns:
        yield message.role, message.text
        if message.reasoning is not None:
            yield message.role, message.reasoning


class Sample:
    """Rows drawn by seed while all of them go by: those whose number, a hash of seed and id, is lowest.

    As many as fit into both bounds; which ones does not depend on the order of the rows.
    """

    def __init__(self, seed: int, most_rows: int = MOST_ROWS, most_characters: int = MOST_CHARACTERS) -> None:
        self._seed, self._most_rows, self._most_characters = seed, most_rows, most_characters
        self._drawn: list[tuple[int, int, Looked]] = []
        self._n_characters = self._n_met = 0
        self._limit: int | None = None

    def add(self, example: AnyExample, side: str) -> None:
        """Meet one more row."""
        self._n_met += 1
        number = seed_of(self._seed, "profile", example.id)
        if self._limit is not None and number >= self._limit:
            return
        row = looked(example, side)
        heapq.heappush(self._drawn, (-number, -self._n_met, row))
        self._n_characters += row.n_looked_at
        while len(self._drawn) > self._most_rows or (self._n_characters > self._most_characters and len(self._drawn) > 1):
            last, _, gone = heapq.heappop(self._drawn)
            self._n_characters -= gone.n_looked_at
            self._limit = -last

    def rows(self) -> tuple[Looked, ...]:
        """The rows that were drawn, in the order in which they were met."""
        return tuple(row for _, _, row in sorted(self._drawn, key=lambda one: -one[1]))
