"""What makes tuning or judging impossible, and what should be known before either."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from luthier.core.errors import Complaints, LuthierError
from luthier.core.examples import AnyExample, Labelled
from luthier.core.jsonvalue import Json
from luthier.data.pipeline import DroppedRow
from luthier.data.sides.split import SIDES, TWO_SIDES, AnySplit, ByColumn, TimeSplit

FEW_TRAINING_ROWS = 200
_FEW_TEST_ROWS = 50
_IMBALANCE = 10
_N_NAMED = 5
_TORN = 20
"""One row in so many that had to go to keep the sides apart is worth a word."""

Placed = Collection[tuple[AnyExample, str]]


def label_counts(rows: Placed) -> dict[str, dict[str, int]]:
    """Label → side → rows, the most frequent label first."""
    counts: dict[str, dict[str, int]] = {}
    for example, side in rows:
        if isinstance(example, Labelled) and example.label is not None:
            counts.setdefault(example.label, dict.fromkeys(SIDES, 0))[side] += 1
    return dict(sorted(counts.items(), key=lambda item: (-sum(item[1].values()), item[0])))


def check(rows: Placed, dropped: Sequence[DroppedRow], split: AnySplit, where: str) -> None:
    """Refuse data on which tuning or judging is impossible.

    Args:
        rows: the kept rows with their sides.
        dropped: the others.
        split: the shares that were asked for.
        where: the source, as messages call it.

    Raises:
        LuthierError: no row is left, there is one label only, a label cannot be learnt, or there are no test rows.

    """
    if not rows:
        counted = Counter((row.step, row.reason) for row in dropped).most_common(3)
        why = ", ".join(f"{n} × {step}: {reason}" for (step, reason), n in counted) or "the source has none"
        raise LuthierError(where, f"no row is left after cleaning ({why})", "look at the rows, or change [prepare] steps")
    complaints = Complaints()
    counts = label_counts(rows)
    if len(counts) == 1:
        only = next(iter(counts))
        left = f" left after {len(dropped):,} were dropped" if dropped else ""
        complaints.add(where, f'every row{left} has the label "{only}", and to classify takes at least two', "add rows with other labels")
    for label, by_side in counts.items():
        if by_side["train"] == 0:
            sides = " and ".join(side for side in SIDES if by_side[side])
            places = [example.source or example.id for example, _ in rows if isinstance(example, Labelled) and example.label == label]
            complaints.add(
                places[0],
                f'the label "{label}" has rows in {sides} only ({_named(places)}), so it cannot be learnt',
                "add training rows with this label, or take these rows out",
            )
    if split.wants("test") and not any(side == "test" for _, side in rows):
        why, fix = _why_no_test_rows(len(rows), counts, sum(row.step == "near_duplicates" for row in dropped), split)
        complaints.add(where, f"none of the {len(rows)} rows can be set aside as test rows: {why}", fix)
    complaints.raise_if_any()


def _why_no_test_rows(n_rows: int, counts: Mapping[str, Mapping[str, int]], n_alike: int, split: AnySplit) -> tuple[str, str]:
    """Why every row went to training, and what to do about it."""
    if 2 * len(counts) > max(n_rows, 4):
        why = f"they have {len(counts)} labels, and the first row of each is needed for training"
        return why, "add rows of each label, merge labels, or see whether [data] fields names the right column as label"
    if isinstance(split, ByColumn):
        fix = 'say which value means test under [data.split] sides, or part the rows by shares'
        return f'the column "{split.column}" names none of them', fix
    if isinstance(split, TimeSplit):
        return f'the moments in "{split.column}" leave no place to cut', "name a finer column, or part the rows by shares"
    few = n_rows * split.test < 1
    why = "there are too few" if few else "they hang together by group or by nearly equal text"
    if n_alike > n_rows:
        why += f", for {n_alike} were dropped as nearly equal to others, as rows are that share a long instruction"
    return why, "add rows" if few else "add rows, or group them by a finer column if [data] group names one"


def warnings(rows: Placed, dropped: Sequence[DroppedRow], split: AnySplit) -> list[str]:
    """What does not stop anyone, but should be known: few rows, a small test, rare labels, imbalance."""
    n_on = Counter(side for _, side in rows)
    said: list[str] = []
    if n_on["train"] < FEW_TRAINING_ROWS:
        said.append(
            f"There are {n_on['train']} training rows, fewer than {FEW_TRAINING_ROWS}. Expect a model that learns the form of the answers "
            "but not much of their content, and results that change with the seed; several hundred rows are the usual start."
        )
    if split.wants("test") and n_on["test"] < _FEW_TEST_ROWS:
        said.append(
            f"There are {n_on['test']} test rows: a proportion measured on them is known to about ±{_half_width(n_on['test']):.0%}. "
            "`luthier check` says which differences between two systems they can show."
        )
    if split.wants("validation") and n_on["validation"] == 0:
        said.append("No row could be set aside for validation, so tuning cannot stop early.")
    n_torn = sum(row.reason == TWO_SIDES for row in dropped)
    if n_torn * _TORN >= len(rows):
        said.append(
            f"{n_torn:,} rows were dropped since they belong to two sides: rows of one group, or nearly equal ones, that the split "
            "would part. Test rows stay, and what is tied to them cannot be trained on. See data/dropped.jsonl.gz."
        )
    n_alike = sum(row.step == "near_duplicates" for row in dropped)
    if n_alike >= max(len(rows), 20):
        said.append(
            f"{n_alike} rows were dropped as nearly equal to others, more than are left. If rows share a long instruction, "
            "put it into a system message, where it is not compared, or raise the threshold of near_duplicates."
        )
    return said + _label_warnings(label_counts(rows), split)


def settings_warning(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """What to say when sides were recorded under other settings; rows keep them all the same."""
    differ = [name for name in new if old and old.get(name) != new[name]]
    if not differ:
        return []
    changes = ", ".join(f"{name} was {_setting(old.get(name))}, is {_setting(new[name])}" for name in differ)
    return [
        f"Rows keep the sides that an earlier run recorded, though settings have changed ({changes}). "
        "Delete data/split.json in the run's folder to split afresh."
    ]


def _setting(value: Json) -> str:
    return "not set" if value is None else str(value)


def _label_warnings(counts: Mapping[str, Mapping[str, int]], split: AnySplit) -> list[str]:
    said: list[str] = []
    unseen = [label for label, by_side in counts.items() if split.wants("test") and by_side["test"] == 0]
    if unseen:
        said.append(
            f"{len(unseen)} of {len(counts)} labels have too few rows for a test row: {_named(unseen)}. Their errors will not be seen."
        )
    spelled: dict[str, list[str]] = {}
    for label in counts:
        spelled.setdefault(re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", label.casefold()), []).append(label)
    alike = [" and ".join(f'"{label}"' for label in labels) for labels in spelled.values() if len(labels) > 1]
    if alike:
        said.append(
            f"Labels that differ in case, spaces or hyphens only are learnt as different ones: {_named(alike)}. "
            "If they mean the same, spell them alike in the source."
        )
    n_rows = {label: sum(by_side.values()) for label, by_side in counts.items()}
    if n_rows:
        most, least = max(n_rows, key=n_rows.__getitem__), min(n_rows, key=n_rows.__getitem__)
        if n_rows[most] >= _IMBALANCE * n_rows[least]:
            said.append(
                f'The labels are unbalanced: "{most}" has {n_rows[most]} rows, "{least}" {n_rows[least]}. '
                "Look at macro-F1 rather than accuracy."
            )
    return said


def _half_width(n: int) -> float:
    """Half the width of a 95 % interval of a proportion near one half."""
    return 0.98 / math.sqrt(max(n, 1))


def _named(things: Sequence[str]) -> str:
    """The first few things, and how many more there are."""
    more = len(things) - _N_NAMED
    return ", ".join(things[:_N_NAMED]) + (f" and {more} more" if more > 0 else "")
