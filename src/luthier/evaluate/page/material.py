"""What a page is made of: the files of one run, read once."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text, from_record
from luthier.core.files import read_json, read_jsonl
from luthier.core.runs import Run
from luthier.evaluate.answers import Answer, Gold, System
from luthier.evaluate.report import SCHEMA
from luthier.train.journal import Entry, read_entries

TUNED = "tuned"
N_DROPPED_SHOWN = 200


@dataclass(frozen=True)
class Material:
    """The files of a run, as they were read; what a run lacks is empty, and only the report must be there.

    `rows` are the kept examples by side. `dropped` are the first of the rows that were not used.
    """

    report: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)
    scores: Sequence[Mapping[str, Any]] = ()
    journal: Sequence[Entry] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Sequence[AnyExample]] = field(default_factory=dict)
    dropped: Sequence[Mapping[str, Any]] = ()
    cleaning: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""

    @property
    def task(self) -> str:
        """What the model is for."""
        return str(self.report["goal"]["task"])

    @property
    def metric(self) -> str:
        """The name of the metric that decides."""
        return str(self.report["goal"]["metric"])

    @property
    def seed(self) -> int:
        """The run's."""
        return int(self.report["seed"])

    @cached_property
    def options(self) -> Mapping[str, Any]:
        """The recipe's sections and options; none where the recipe is not there."""
        return tomllib.loads(self.recipe)

    @cached_property
    def test(self) -> Mapping[str, AnyExample]:
        """The test rows by id."""
        return {row.id: row for row in self.rows.get("test", ())}

    @cached_property
    def gold(self) -> tuple[Gold, ...]:
        """What is true of each scored row, in the order of the scores."""
        return tuple(Gold(str(row["id"]), str(row["gold"]), row["group"]) for row in self.scores)

    def system(self, name: str) -> System:
        """What a system said about each scored row; silence where the scores say nothing of it."""
        return System(name, tuple(_answer(row, name) for row in self.scores))

    def estimate(self, system: str, metric: str) -> Mapping[str, Any] | None:
        """A number of the report, None where it has no such."""
        found: Mapping[str, Any] | None = self.report["systems"].get(system, {}).get(metric)
        return found

    def comparison(self, other: str, metric: str) -> Mapping[str, Any] | None:
        """Tuned against another system, None where they were not compared."""
        return next((one for one in self.report["comparisons"] if (one["a"], one["b"], one["metric"]) == (TUNED, other, metric)), None)

    def is_few(self, system: str, metric: str) -> bool:
        """Whether a number rests on too few rows or groups to lean on."""
        return metric in self.details.get(system, {}).get("few_rows", ())

    @cached_property
    def label_counts(self) -> Mapping[str, Mapping[str, int]]:
        """Label → side → rows."""
        found: dict[str, Counter[str]] = {}
        for side, rows in self.rows.items():
            for row in rows:
                if isinstance(row, Labelled) and row.label is not None:
                    found.setdefault(row.label, Counter())[side] += 1
        return found


def read_material(run: Run) -> Material:
    """Read a run's files.

    Raises:
        LuthierError: it has no report, or one of another schema.

    """
    if not run.report.is_file():
        raise LuthierError(str(run.folder), "it has no report", "evaluate it first: luthier evaluate RECIPE")
    report = _object(run.report)
    if report.get("schema") != SCHEMA:
        problem = f"its schema is {report.get('schema')}, and this version reads {SCHEMA}"
        raise LuthierError(str(run.report), problem, "evaluate the run again with this version")
    rows: dict[str, list[AnyExample]] = {}
    for record in read_jsonl(run.kept) if run.kept.is_file() else ():
        rows.setdefault(str(record["side"]), []).append(from_record(record))
    return Material(
        report=report,
        details=_object(run.evaluation / "details.json"),
        scores=list(read_jsonl(run.scores)) if run.scores.is_file() else [],
        journal=list(read_entries(run.metrics)),
        plan=_object(run.plan),
        rows=rows,
        dropped=list(islice(read_jsonl(run.dropped), N_DROPPED_SHOWN)) if run.dropped.is_file() else [],
        cleaning=_object(run.cleaning),
        profile=_object(run.profile),
        recipe=run.recipe.read_text(encoding="utf-8") if run.recipe.is_file() else "",
    )


_OTHER_SHAPES = "rows of other shapes are not tuned, and so not judged"


def asked(example: AnyExample) -> str:
    """What a model is asked, as one text: the text, the prompt, or the conversation before its last reply."""
    if isinstance(example, Labelled | Text):
        return example.text
    if isinstance(example, Pair):
        return example.prompt
    assert isinstance(example, Chat), _OTHER_SHAPES
    return "\n".join(f"{message.role}: {message.text}" for message in example.messages[: _last_reply(example)])


def replied(example: AnyExample) -> str:
    """What is right: the label, the completion, the last reply; '' for plain text, which answers nothing."""
    if isinstance(example, Labelled):
        return example.label or ""
    if isinstance(example, Pair):
        return example.completion
    if isinstance(example, Text):
        return ""
    assert isinstance(example, Chat), _OTHER_SHAPES
    last = _last_reply(example)
    return example.messages[last].text if last < len(example.messages) else ""


def _last_reply(chat: Chat) -> int:
    """Where the last turn of the assistant stands; the end where it never spoke."""
    return max((i for i, message in enumerate(chat.messages) if message.role == "assistant"), default=len(chat.messages))


def _answer(row: Mapping[str, Any], name: str) -> Answer:
    said = row["systems"].get(name, {})
    text, sure = said.get("answer"), said.get("probability")
    # The file holds the probability of the answer, and those of all labels only where the goal is judged by them.
    probabilities = said.get("probabilities") or (None if text is None or sure is None else {text: sure})
    return Answer(str(row["id"]), text, probabilities, said.get("loss_nats"), said.get("n_tokens"), said.get("n_bytes"))


def _object(path: Path) -> Mapping[str, Any]:
    """A JSON object, empty where there is no such file."""
    found: Any = read_json(path) if path.is_file() else {}
    return dict(found)
