"""What happens to the training rows once sides are known: some go, copies are made, and rows are made of rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from luthier.core.draws import seed_of, unit
from luthier.core.errors import Complaints
from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import Json
from luthier.data.augment import AnyAugmentation
from luthier.data.augment.balance import TOO_MANY, AnyBalance, Oversample, Undersample, copies, too_many
from luthier.data.likeness.near_index import NearRows
from luthier.data.pipeline import KeptRow
from luthier.data.sides.split import Side
from luthier.data.steps.label_errors import REASON, LabelErrors, suspects_in
from luthier.data.tools import Tools

COPIES = Oversample().kind
TOO_LIKE = "nearly the same as a validation or test row"
_AT_ONCE = 256


def going(
    train: Callable[[], Iterable[AnyExample]], steps: Sequence[object], balance: AnyBalance | None, seed: int, home: Path
) -> dict[str, tuple[str, str, str]]:
    """The training rows that go, as (step, reason, detail) by id.

    First those whose labels are in doubt, where that was asked for, then what a label has too many of.

    Args:
        train: reads the training rows from the beginning.
        steps: the recipe's; `home` holds what a step has written.
        balance: the recipe's.
        seed: the recipe's.
        home: the run's `data` folder.

    Raises:
        LuthierError: balancing would do nothing.

    """
    gone: dict[str, tuple[str, str, str]] = {}
    doubters = [step for step in steps if isinstance(step, LabelErrors) and step.action == "drop"]
    if doubters:
        said = suspects_in(home)
        gone |= {row.id: (doubters[0].kind, REASON, said[row.id]) for row in train() if row.id in said}
    if isinstance(balance, Undersample):
        left = (row for row in train() if row.id not in gone)
        gone |= {name: (balance.kind, TOO_MANY, detail) for name, detail in too_many(balance, left, seed).items()}
    return gone


@dataclass
class Account:
    """What was made: rows by step, and why rows that were tried were not."""

    made: Counter[str] = field(default_factory=Counter)
    refused: dict[str, Counter[str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Json]:
        """For `cleaning.json`: by step, the rows made, and those not made by reason."""
        names = dict.fromkeys([*self.made, *self.refused])
        return {name: {"made": self.made[name], "not_made": dict(self.refused.get(name, {}))} for name in names}


class Additions:
    """Makes rows of training rows: copies first, then by each augmentation a row of some of them all.

    A row that is made has its parent's id with the step's name behind it, and its parent's group and source. It is not made
    where it would be nearly the same as a validation or test row, by the exact rule of the certificate.
    """

    def __init__(
        self, balance: AnyBalance | None, augment: Sequence[AnyAugmentation], train: Callable[[], Iterable[AnyExample]],
        judged: Callable[[], Iterable[AnyExample]], threshold: float, tools: Tools,
    ) -> None:  # fmt: skip
        self.makes_rows = bool(augment) or isinstance(balance, Oversample)
        self._augment = dict(zip(names(augment), augment, strict=True))
        self._tools = tools
        self._copies = copies(balance, train(), tools.seed) if isinstance(balance, Oversample) else {}
        self._near = NearRows(list(judged()), threshold) if augment else None
        self.account = Account(refused={name: Counter() for name in self._augment})

    def after(self, placed: Iterable[tuple[KeptRow, Side]]) -> Iterator[tuple[KeptRow, Side]]:
        """All rows in order, each training row followed by what was made of it.

        Raises:
            LuthierError: at the end, if an augmentation made nothing of all rows.

        """
        waiting = iter(placed)
        while part := list(islice(waiting, _AT_ONCE)):
            families = [self._family(row.example) if side == "train" else [] for row, side in part]
            parents = [row for family in families for row, _ in family]
            made: dict[str, list[tuple[AnyExample, str]]] = {}
            for name, step in self._augment.items():
                for child in self._children(name, step, parents):
                    assert child.parent is not None
                    made.setdefault(child.parent, []).append((child, name))
            for (row, side), family in zip(part, families, strict=True):
                yield row, side
                children = [*family[1:], *(child for parent, _ in family for child in made.get(parent.id, ()))]
                for child, _ in children:
                    yield KeptRow(child), side
        self.refuse_idle()

    def refuse_idle(self) -> None:
        """Raise if an augmentation made nothing of all rows."""
        complaints = Complaints()
        for place, (name, counts) in enumerate(self.account.refused.items()):
            if self.account.made[name]:
                continue
            why = ", ".join(f"{reason} ({n:,} rows)" for reason, n in counts.most_common(3))
            found = f"tried {counts.total():,} training rows and made nothing of them: {why}" if why else "was drawn for no training row"
            fix = "change its options, or remove it" if why else "raise its share, or remove it"
            complaints.add(f"[prepare] augment[{place}]", f'"{name}" {found}', fix)
        complaints.raise_if_any()

    def _family(self, row: AnyExample) -> list[tuple[AnyExample, str]]:
        """A training row and its copies, with the step that made them."""
        n_copies = self._copies.get(row.id, 0)
        if n_copies:
            self.account.made[COPIES] += n_copies
        return [(row, ""), *((dataclasses.replace(row, id=f"{row.id}+copy-{i + 1}", parent=row.id), COPIES) for i in range(n_copies))]

    def _children(self, name: str, step: AnyAugmentation, rows: Sequence[AnyExample]) -> Iterator[AnyExample]:
        seed = self._tools.seed
        parents = [row for row in rows if unit(seed, "augment", name, row.id) < step.share]
        made = step.make(parents, [seed_of(seed, name, row.id) for row in parents], self._tools)
        for parent, one in zip(parents, made, strict=True):
            if isinstance(one, str):
                self.account.refused[name][one] += 1
            elif self._near is not None and self._near.meets(one) is not None:
                self.account.refused[name][TOO_LIKE] += 1
            else:
                self.account.made[name] += 1
                yield dataclasses.replace(one, id=f"{parent.id}+{name}", parent=parent.id)


def names(augment: Sequence[AnyAugmentation]) -> list[str]:
    """What each augmentation is called: its kind; the second of a kind has -2 behind it, and so on."""
    counts: Counter[str] = Counter()
    found = []
    for step in augment:
        counts[step.kind] += 1
        found.append(step.kind if counts[step.kind] == 1 else f"{step.kind}-{counts[step.kind]}")
    return found
