"""Rows that mean the same as another row."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled, Pair, Rated, Scored, Tagged
from luthier.core.options import option, required
from luthier.data.decisions import Dropped, Kept, KeyDecision
from luthier.data.shapes.conversations import all_turns
from luthier.data.tools import Embed, Tools

_AT_ONCE = 256
"""Rows that are embedded together."""
_ROUNDING = 1e-4
"""How far a product of many vectors at once may be from the exact one; what is nearer to the threshold is multiplied out."""
_EQUAL = 1e-6
"""How far the cosine of a vector of 32-bit numbers with itself may be from 1."""


@dataclass(frozen=True, kw_only=True)
class SemanticDuplicates:
    """Keeps the first of the rows whose embeddings' cosine is at or over the threshold (SemDeDup, Abbas and others, 2023).

    Source: arXiv:2303.09540, which compares within clusters only and keeps the row farthest from its cluster's centre;
    here all rows are compared, in order, with the rows kept before them, so a chain of small changes does not pull in its
    far end. Rows that were here on an earlier run come first. Rows with different labels both stay. Of prompts and
    conversations, what is asked and what is answered have both to be alike. What a cosine means is the embedder's own: look
    at the rows that go before you trust a threshold.

    Memory: vectors lie in a file that is thrown away afterwards; `block` kept rows are in memory at once. Time grows with
    rows × kept rows.
    """

    kind: Literal["semantic_duplicates"] = "semantic_duplicates"
    model: str = required(about='what embeds the rows: a folder, a hub id, or "sprout"; an encoder made to compare sentences is best')
    threshold: Annotated[float, Field(gt=0, le=1)] = option(
        0.95, about="cosine of two rows' embeddings from which they mean the same", why="cautious; raise or lower it for your embedder"
    )
    block: Annotated[int, Field(ge=1)] = option(4096, about="rows compared at once", why="some megabytes; it changes no decision")
    decodes: ClassVar[bool] = False

    def with_tools(self, tools: Tools) -> Embedded:
        """The step with its embedder."""
        if tools.embed is None:
            raise LuthierError(
                "[prepare] steps", '"semantic_duplicates" needs a model to embed rows by, and none can be loaded here',
                "run it through `luthier prepare`, or hand over Tools(embed=…)",
            )  # fmt: skip
        return Embedded(self, tools.embed(self.model), frozenset(tools.elders))

    def decide(self, rows: Callable[[], Iterable[AnyExample]]) -> Iterator[KeyDecision]:
        """It cannot without an embedder."""
        yield from self.with_tools(Tools()).decide(rows)


@dataclass(frozen=True)
class Embedded:
    """The step at work: with the embedder, and the ids of rows that take precedence."""

    step: SemanticDuplicates
    embed: Embed
    elders: frozenset[str]
    kind: str = "semantic_duplicates"

    def decide(self, rows: Callable[[], Iterable[AnyExample]]) -> Iterator[KeyDecision]:
        """Embed all rows, then keep each that is not alike an earlier kept one."""
        with tempfile.TemporaryFile() as file:
            found = self._embedded(rows(), file)
            twins = found.twins(self.step.threshold, self.step.block) if found.ids else {}
        for i in range(len(found.ids)):
            if i not in twins:
                yield Kept()
                continue
            other = found.ids[twins[i][0]]
            yield Dropped("means nearly the same as another row", f"cosine {twins[i][1]:.3f} to row {other}", other)

    def _embedded(self, rows: Iterable[AnyExample], file: IO[bytes]) -> _Vectors:
        ids: list[str] = []
        kinds: list[int] = []
        is_elder: list[bool] = []
        numbers: dict[str, int] = {}
        width = 0
        waiting = iter(rows)
        while part := list(islice(waiting, _AT_ONCE)):
            vectors = self._of(part)
            width = vectors.shape[2]
            file.write(vectors.tobytes())
            ids.extend(row.id for row in part)
            kinds.extend(numbers.setdefault(_kind(row), len(numbers)) for row in part)
            is_elder.extend(row.id in self.elders for row in part)
        file.flush()
        vectors = np.memmap(file, np.float32, "r", shape=(len(ids), 2, width)) if ids else np.zeros((0, 2, 0), np.float32)
        return _Vectors(ids, np.array(kinds), np.array(is_elder, dtype=np.bool_), vectors)

    def _of(self, part: Sequence[AnyExample]) -> NDArray[np.float32]:
        """(rows, 2, width): what is asked, and what is answered; zeros where nothing is to be compared."""
        texts = [_asked_and_answered(row) for row in part]
        places = [(i, k) for i, both in enumerate(texts) for k in range(2) if both[k]]
        found = self.embed([texts[i][k] for i, k in places]) if places else np.zeros((0, 1), np.float32)
        vectors = np.zeros((len(part), 2, found.shape[1]), np.float32)
        for (i, k), vector in zip(places, found, strict=True):
            vectors[i, k] = vector
        return vectors


@dataclass(frozen=True, eq=False)
class _Vectors:
    """The embedded rows: ids, what only rows of one kind have in common (shape and label), and vectors (n, 2, width)."""

    ids: Sequence[str]
    kinds: NDArray[np.int64]
    is_elder: NDArray[np.bool_]
    vectors: NDArray[np.float32]

    def twins(self, threshold: float, block: int) -> dict[int, tuple[int, float]]:
        """The rows that go: the first kept row that each is alike, and the cosine (of the two parts, the smaller one)."""
        order = np.argsort(~self.is_elder, kind="stable")
        kept: list[int] = []
        twins: dict[int, tuple[int, float]] = {}
        for start in range(0, len(order), block):
            part = order[start : start + block]
            mine = self.vectors[part, 0]
            for low in range(0, len(kept), block):
                some = np.array(kept[low : low + block])
                for a, b in self._candidates(part, mine, some, self.vectors[some, 0], threshold):
                    self._note(int(part[a]), int(some[b]), threshold, twins)
            pairs = self._candidates(part, mine, part, mine, threshold)
            for a, b in pairs:
                # Pairs come row by row, so by now it is known of each earlier row whether it stays.
                if b < a and int(part[b]) not in twins:
                    self._note(int(part[a]), int(part[b]), threshold, twins)
            kept.extend(i for i in part.tolist() if i not in twins)
        return twins

    def _candidates(
        self, rows: NDArray[np.int64], mine: NDArray[np.float32], others: NDArray[np.int64], theirs: NDArray[np.float32], threshold: float
    ) -> list[tuple[int, int]]:
        """Places of pairs that may be alike, row by row; rounding may let one in, and keeps none out."""
        near = (mine @ theirs.T >= threshold - _ROUNDING) & (self.kinds[rows][:, None] == self.kinds[others])
        a, b = near.nonzero()
        return list(zip(a.tolist(), b.tolist(), strict=True))

    def _note(self, i: int, j: int, threshold: float, twins: dict[int, tuple[int, float]]) -> None:
        """Record that row i goes for row j, if it does, and for no earlier one."""
        if i in twins:
            return
        first, second = (self.vectors[one].astype(np.float64) for one in (i, j))
        # Multiplied out pair by pair: the same whatever else is compared at once.
        cosines = [float((first[k] * second[k]).sum()) for k in range(2) if first[k].any() or second[k].any()]
        if cosines and min(cosines) >= threshold - _EQUAL:
            twins[i] = (j, min(cosines))


def _kind(row: AnyExample) -> str:
    """What only rows that may stand for one another have in common: the shape, and what they are to be told to be."""
    match row:
        case Labelled():
            return f"{row.shape}: {row.label}"
        case Scored():
            return f"{row.shape}: {row.target}"
        case Tagged():
            return f"{row.shape}: {' '.join(row.tags or ())}"
        case Rated():
            return f"{row.shape}: {row.good}"
        case _:
            return row.shape


def _asked_and_answered(row: AnyExample) -> tuple[str, str]:
    """The two texts of a row that are compared; a text without question and answer is the first."""
    if isinstance(row, Pair):
        return row.prompt, row.completion
    turns = all_turns(row)
    if turns:
        said = {role: "\n".join(message.text for message in turns if message.role == role) for role in ("user", "assistant")}
        return said["user"], said["assistant"]
    return "\n".join(row.texts()), ""
