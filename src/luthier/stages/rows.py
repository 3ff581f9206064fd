"""Examples to rows, with every row that is too long counted and dealt with as the recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.core.errors import Complaints, LuthierError
from luthier.core.examples import AnyExample
from luthier.objectives import Objective
from luthier.text.renderer import Renderer
from luthier.text.rows import Row
from luthier.text.truncation import Cut, TooLong, Unfit, cut_to


@dataclass(frozen=True)
class Rowed:
    """The rows of each example that gave any, and what became of those that were too long.

    A unit is the rows of one example; `examples` stand beside their units.
    """

    units: tuple[tuple[Row, ...], ...]
    examples: tuple[AnyExample, ...]
    n_too_long: int = 0
    n_cut: int = 0
    n_dropped: int = 0
    n_tokens_removed: int = 0
    n_unsupervised: int = 0

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return tuple(row for unit in self.units for row in unit)

    def counts(self) -> dict[str, int]:
        """The numbers for people and for JSON."""
        rows = self.rows
        return {
            "n_examples": len(self.units),
            "n_rows": len(rows),
            "n_tokens": sum(row.n_tokens for row in rows),
            "n_supervised": sum(row.n_supervised for row in rows),
            "n_labelled": sum(row.target is not None for row in rows),
            "longest_tokens": max((row.n_tokens for row in rows), default=0),
            "n_too_long": self.n_too_long,
            "n_cut": self.n_cut,
            "n_dropped": self.n_dropped,
            "n_tokens_removed": self.n_tokens_removed,
            "n_unsupervised": self.n_unsupervised,
        }


def to_rows(examples: Sequence[AnyExample], objective: Objective, renderer: Renderer, max_tokens: int, too_long: TooLong) -> Rowed:
    """Render every example and fit its rows into `max_tokens`.

    Raises:
        LuthierError: rows that cannot be rendered and, with `too_long="error"`, rows that are too long; all of them at once.

    """
    complaints = Complaints()
    units: list[tuple[Row, ...]] = []
    kept: list[AnyExample] = []
    n_long = n_cut = n_dropped = n_removed = n_unsupervised = 0
    for example in examples:
        try:
            rows = objective.rows(example, renderer)
        except LuthierError as error:
            complaints.extend(error)
            continue
        fitted: list[Row] = []
        for row in rows:
            found = cut_to(row, max_tokens)
            if isinstance(found, Row):
                fitted.append(found)
                continue
            n_long += 1
            if too_long == "error":
                complaints.add(
                    example.source or example.id,
                    f"it has {row.n_tokens:,} tokens, and at most {max_tokens:,} are read",
                    'set [train] too_long to "cut" or "drop"',
                )
            elif too_long == "drop" or isinstance(found, Unfit):
                n_dropped += 1
            elif isinstance(found, Cut):
                fitted.append(found.row)
                n_cut, n_removed = n_cut + 1, n_removed + found.n_removed
        if fitted:
            units.append(tuple(fitted))
            kept.append(example)
        elif not rows:
            n_unsupervised += 1
    complaints.raise_if_any()
    return Rowed(tuple(units), tuple(kept), n_long, n_cut, n_dropped, n_removed, n_unsupervised)
