"""The cleaning of rows: steps in order, each row kept or dropped with a reason, and nothing lost on the way."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.augment import AnyAugmentation
from luthier.data.augment.balance import AnyBalance
from luthier.data.decisions import AppliesToMany, Changed, ComparesTexts, Dropped, Kept, KeyStep, Parted, RowStep, SetStep, ready
from luthier.data.likeness.components import Components, joined_by_key
from luthier.data.likeness.neighbours import are_alike, grams
from luthier.data.steps import (
    AnyStep,
    ExactDuplicates,
    HtmlToText,
    Length,
    NearDuplicates,
    PersonalData,
    RepairEncoding,
    Secrets,
    Whitespace,
)
from luthier.data.tools import NO_TOOLS, Tools

DEFAULT_STEPS: tuple[AnyStep, ...] = (RepairEncoding(), HtmlToText(), Whitespace(), Length(), ExactDuplicates(), NearDuplicates())


@dataclass(frozen=True)
class Prepare:
    """The recipe's `[prepare]`: the cleaning steps, in order, and what is done to the training rows once sides are known."""

    steps: tuple[AnyStep, ...] = option(
        DEFAULT_STEPS, about="cleaning steps, in order", why="raw text is decoded first, tidied next, and compared last"
    )
    balance: AnyBalance | None = option(
        None, about="how training rows are evened out by label: fewer of the frequent, or copies of the rare", why="your shares may be real"
    )
    augment: tuple[AnyAugmentation, ...] = option(
        (), about="rows that are made of training rows, beside them", why="made rows are worth less than real ones; try without first"
    )

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Decoders that would run on decoded text, and personal data that would be put on record before it is covered."""
        seen: list[str] = []
        for i, step in enumerate(self.steps):
            if step.decodes and step.kind in seen:
                yield f"steps[{i}]", f'"{step.kind}" stands twice, and would decode what is decoded already', "leave it in once"
            elif step.decodes and any(isinstance(earlier, KeyStep) for earlier in self.steps[:i]):
                yield f"steps[{i}]", f'"{step.kind}" comes after duplicates were looked for in raw text', "put it before them"
            elif isinstance(step, PersonalData | Secrets) and any(isinstance(one, KeyStep | SetStep) for one in self.steps[:i]):
                problem = f'"{step.kind}" comes after steps that compare rows, and rows that they drop are recorded as they are'
                yield f"steps[{i}]", problem, "put it before them"
            seen.append(step.kind)
        for i, one in enumerate(self.augment):
            if one in self.augment[:i]:
                yield f"augment[{i}]", f'this "{one.kind}" stands twice', "leave it in once, and raise its share"
        if [step.kind for step in self.steps].count("label_errors") > 1:
            yield "steps", '"label_errors" stands twice, and the second list would replace the first', "leave it in once"


@dataclass(frozen=True)
class Change:
    """What a step changed about a row."""

    step: str
    reason: str


@dataclass(frozen=True)
class KeptRow:
    """A row that stays, with what was changed about it."""

    example: AnyExample
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class DroppedRow:
    """A row that goes, as it was when it went: by which step and why. `detail` and `kept_id` are as in `Dropped`."""

    example: AnyExample
    step: str
    reason: str
    detail: str = ""
    kept_id: str | None = None


@dataclass(frozen=True)
class Cleaned:
    """The rows after all steps: n read + Σ added = n kept + n dropped."""

    kept: tuple[KeptRow, ...]
    dropped: tuple[DroppedRow, ...]
    added: Mapping[str, int] = field(default_factory=dict)

    def changed(self) -> dict[str, int]:
        """How many of the kept rows each step changed."""
        return dict(Counter(name for row in self.kept for name in sorted({change.step for change in row.changes})))


def clean(
    examples: Iterable[AnyExample],
    steps: Sequence[RowStep | KeyStep | SetStep],
    elders: Collection[str] = frozenset(),
    tools: Tools = NO_TOOLS,
) -> Cleaned:
    """Run the steps over the rows, all of them in memory: what cleaning means. `streaming` does the same on the disk.

    Rows stay in the order in which they came. Dropped rows stand step by step, those of one step in that order.

    Args:
        examples: rows with ids of their own.
        steps: row steps, key steps and set steps, in order.
        elders: ids of rows that were here on an earlier run; among duplicates they come first, so that a row that was
            added later never takes the place of one that a model was tuned or judged on.
        tools: what steps may need.

    """
    rows = [KeptRow(example) for example in examples]
    dropped: list[DroppedRow] = []
    added: Counter[str] = Counter()
    for step in (ready(one, tools) for one in steps):
        match step:
            case KeyStep():
                gone = chosen(step, [row.example for row in rows], elders)
                dropped.extend(dropped_row(rows[i].example, step.kind, gone[i]) for i in sorted(gone))
                rows = [row for i, row in enumerate(rows) if i not in gone]
            case SetStep():
                rows = _all_together(rows, step, dropped)
            case _:
                rows = one_by_one(rows, step, dropped, added)
    return Cleaned(tuple(rows), tuple(dropped), dict(added))


def tidied(example: AnyExample, steps: Sequence[RowStep | KeyStep | SetStep]) -> AnyExample:
    """A row that waits for its answer, changed as the steps changed the training rows; it is answered whatever it is like.

    A step that needs tools is run without them, and so changes only what it can change without.
    """
    for step in steps:
        if not isinstance(step, KeyStep | SetStep):
            outcome = step.apply(example)
            example = outcome.example if isinstance(outcome, Changed) else example
    return example


def one_by_one(rows: list[KeptRow], step: RowStep, dropped: list[DroppedRow], added: Counter[str]) -> list[KeptRow]:
    """The rows that a row step leaves, changed as it wants; what it drops and adds is noted."""
    left: list[KeptRow] = []
    examples = [row.example for row in rows]
    decisions = step.apply_all(examples) if isinstance(step, AppliesToMany) else map(step.apply, examples)
    for row, decision in zip(rows, decisions, strict=True):
        match decision:
            case Kept():
                left.append(row)
            case Changed(example, reason):
                left.append(KeptRow(example, (*row.changes, Change(step.kind, reason))))
            case Dropped(reason, detail, kept_id, shown):
                dropped.append(DroppedRow(shown or row.example, step.kind, reason, detail, kept_id))
            case Parted(children):
                assert children, "a row that becomes nothing is dropped, with a reason"
                added[step.kind] += len(children) - 1
                left.extend(dataclasses.replace(row, example=child) for child in children)
    return left


def chosen(step: KeyStep, examples: Sequence[AnyExample], elders: Collection[str]) -> dict[int, Dropped]:
    """The rows that a key step drops, by their numbers."""
    gone: dict[int, Dropped] = {}
    for component in related(step, examples).several():
        members = sorted(component, key=lambda i: (examples[i].id not in elders, i))
        decisions = step.choose([examples[i] for i in members])
        assert len(decisions) == len(members), f"{step.kind} decides about each row"
        gone |= {i: decision for i, decision in zip(members, decisions, strict=True) if isinstance(decision, Dropped)}
    return gone


def related(step: KeyStep, examples: Sequence[AnyExample]) -> Components:
    """The rows that concern one another: they share a key, and, where the step compares texts, theirs are alike."""
    keys = [step.keys(example) for example in examples]
    if not isinstance(step, ComparesTexts):
        return joined_by_key(keys, len(keys))
    components = Components(len(examples))
    with_key: dict[bytes, list[int]] = {}
    for i, some in enumerate(keys):
        for key in some:
            with_key.setdefault(key, []).append(i)
    known: dict[int, frozenset[str]] = {}

    def grams_of(i: int) -> frozenset[str]:
        if i not in known:
            known[i] = grams(step.compared(examples[i]))
        return known[i]

    for run in with_key.values():
        members = np.array(run, dtype=np.int64)
        for k, i in enumerate(run[:-1]):
            others = members[k + 1 :]
            for j in others[components.of_each(others) != components.of(i)].tolist():
                if components.of(i) != components.of(j) and are_alike(grams_of(i), grams_of(j), step.threshold):
                    components.join(i, j)
    return components


def _all_together(rows: list[KeptRow], step: SetStep, dropped: list[DroppedRow]) -> list[KeptRow]:
    left: list[KeptRow] = []
    for row, decision in zip(rows, step.decide(lambda: (one.example for one in rows)), strict=True):
        if isinstance(decision, Dropped):
            dropped.append(dropped_row(row.example, step.kind, decision))
        else:
            left.append(row)
    return left


def dropped_row(example: AnyExample, step: str, decision: Dropped) -> DroppedRow:
    """A row that a step has decided against."""
    return DroppedRow(decision.shown or example, step, decision.reason, decision.detail, decision.kept_id)


def refuse(cleaned: Cleaned, drops: Mapping[str, tuple[str, str, str]]) -> Cleaned:
    """The same, with the kept rows of these ids dropped: (step, reason, detail) by id."""
    gone = [row.example for row in cleaned.kept if row.example.id in drops]
    kept = tuple(row for row in cleaned.kept if row.example.id not in drops)
    dropped = tuple(DroppedRow(example, *drops[example.id]) for example in gone)
    return dataclasses.replace(cleaned, kept=kept, dropped=(*cleaned.dropped, *dropped))
