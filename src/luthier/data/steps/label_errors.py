"""Rows whose label is probably wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from luthier.core.examples import AnyExample, Labelled
from luthier.core.files import read_jsonl, write_jsonl
from luthier.core.jsonvalue import Json
from luthier.core.options import option
from luthier.data.cleaning.doubt import Doubt, Judged, cross_validated, doubts
from luthier.data.decisions import Kept, KeyDecision
from luthier.data.likeness.compared import whole
from luthier.data.likeness.components import joined_by_key
from luthier.data.likeness.neighbours import band_keys
from luthier.data.likeness.said import group_value
from luthier.data.tools import NO_TOOLS, Tools

FILE = "label_errors.jsonl"
"""In the run's `data` folder: the suspects, the surest first."""
REASON = "label in doubt"
_ALIKE = 0.8


@dataclass(frozen=True, kw_only=True)
class LabelErrors:
    """Lists rows whose label is probably wrong, and takes those among the training rows out where `action` is "drop".

    Confident learning (Northcutt, Jiang and Chuang, 2021, arXiv:1911.00068) by the probabilities that logistic regression on
    TF-IDF gives each row, trained without it: folds never part rows that are alike or of one group. The suspects are
    written to `label_errors.jsonl` with the given label, the suggested one and the probabilities of both, for a person to
    look at. Test and validation rows are listed too, and never dropped: a test without the rows that a classifier finds hard
    would flatter every model. Rows of a label with fewer rows than folds are not judged.
    """

    kind: Literal["label_errors"] = "label_errors"
    action: Literal["flag", "drop"] = option(
        "flag",
        about="list the suspects only, or drop those among the training rows as well",
        why="some suspects are right, and merely rare",
    )
    folds: Annotated[int, Field(ge=2, le=20)] = option(
        5, about="parts that rows are judged in, each by a model of the others", why="four fifths of the rows to learn from"
    )
    decodes: ClassVar[bool] = False

    def with_tools(self, tools: Tools) -> Suspecting:
        """The step with the place for its list, the seed and the group column."""
        return Suspecting(self, tools)

    def decide(self, rows: Callable[[], Iterable[AnyExample]]) -> Iterator[KeyDecision]:
        """Nothing is dropped before it is known which rows are for training."""
        return self.with_tools(NO_TOOLS).decide(rows)


@dataclass(frozen=True)
class Suspecting:
    """The step at work."""

    step: LabelErrors
    tools: Tools
    kind: str = "label_errors"

    def decide(self, rows: Callable[[], Iterable[AnyExample]]) -> Iterator[KeyDecision]:
        """Write the list; each row stays."""
        found = self.suspects(rows)
        if self.tools.home is not None:
            write_jsonl(self.tools.home / FILE, found)
        return (Kept() for _ in rows())

    def suspects(self, rows: Callable[[], Iterable[AnyExample]]) -> list[dict[str, Json]]:
        """One object for each row in doubt, the surest first."""
        judged = self._judged(rows())
        if not judged.can_be_judged:
            return []
        with tempfile.TemporaryFile() as file:
            probabilities = cross_validated(judged, lambda: (row.text for row in _labelled(rows())), self.step.folds, self.tools.seed, file)
            found = doubts(probabilities, judged.given)
        enough = np.bincount(judged.given, minlength=len(judged.labels)) >= self.step.folds
        listed = [
            _record(row, judged.labels, found[i])
            for i, row in enumerate(_labelled(rows()))
            if i in found and enough[judged.given[i]]
        ]  # fmt: skip
        return sorted(listed, key=lambda one: (float(str(one["p_given"])) - float(str(one["p_suggested"])), str(one["id"])))

    def _judged(self, rows: Iterable[AnyExample]) -> Judged:
        """The ids and classes of the labelled rows, and which of them hang together."""
        ids: list[str] = []
        said: list[str] = []
        keys: list[tuple[bytes, ...]] = []
        for row in _labelled(rows):
            group = group_value(row, self.tools.group)
            ids.append(row.id)
            said.append(str(row.label))
            keys.append((*band_keys(whole(row), _ALIKE), *(() if group is None else (f"group {group}".encode("utf-8", "surrogatepass"),))))
        labels = sorted(set(said))
        place = {label: i for i, label in enumerate(labels)}
        joined = joined_by_key(keys, len(keys))
        clusters = np.array([joined.of(i) for i in range(len(ids))], dtype=np.int64)
        return Judged(ids, labels, np.array([place[label] for label in said], dtype=np.int64), clusters)


def suspects_in(home: Path) -> dict[str, str]:
    """Of the list that the step wrote into the run's `data` folder: what is said about each row in doubt, by its id."""
    return {
        str(one["id"]): f"given {one['label']}, {one['suggested']} is likelier ({one['p_suggested']} to {one['p_given']})"
        for one in read_jsonl(home / FILE)
    }


def warning(steps: Iterable[object], home: Path) -> list[str]:
    """What a person should be told of the list, where a step has written one."""
    if not any(isinstance(step, LabelErrors) for step in steps):
        return []
    n_rows = len(suspects_in(home))
    some = "1 row has a label" if n_rows == 1 else f"{n_rows:,} rows have labels"
    return [f"{some} in doubt. Look at data/{FILE} in the run's folder, the surest first; test rows are among them."] if n_rows else []


def _labelled(rows: Iterable[AnyExample]) -> Iterator[Labelled]:
    return (row for row in rows if isinstance(row, Labelled) and row.label is not None)


def _record(row: Labelled, labels: list[str], doubt: Doubt) -> dict[str, Json]:
    return {
        "id": row.id, "source": row.source, "text": row.text, "label": row.label, "suggested": labels[doubt.suggested],
        "p_suggested": round(doubt.p_suggested, 4), "p_given": round(doubt.p_given, 4),
    }  # fmt: skip
