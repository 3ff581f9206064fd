"""Examples to rows, with every row that is too long counted and dealt with as the recipe says."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import luthier
from luthier.core.cache import cache_folder, make_room
from luthier.core.errors import Complaints, LuthierError
from luthier.core.examples import AnyExample
from luthier.core.files import file_hash
from luthier.core.jsonvalue import dump
from luthier.objectives import Objective
from luthier.stages.rendering import rendered
from luthier.text.renderer import Renderer
from luthier.text.row_files import KeptRows, can_be_kept, load_rows, save_rows
from luthier.text.rows import Row
from luthier.text.truncation import Cut, TooLong, Unfit, cut_to

_COUNTED = ("n_too_long", "n_cut", "n_dropped", "n_tokens_removed", "n_unsupervised")


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


def to_rows(
    examples: Sequence[AnyExample], objective: Objective, renderer: Renderer, max_tokens: int, too_long: TooLong, *, anew: bool = False
) -> Rowed:
    """Render every example and fit its rows into `max_tokens`.

    What the same examples, tokenizer and settings gave before is read back from the cache, whichever stage or run made it,
    unless `anew` asks for it to be done again.

    Raises:
        LuthierError: rows that cannot be rendered and, with `too_long="error"`, rows that are too long; all of them at once.

    """
    path = None if anew else _path(examples, objective, renderer, max_tokens, too_long)
    kept = None if path is None else load_rows(path, [example.id for example in examples], _COUNTED)
    if path is not None and kept is not None:
        with contextlib.suppress(OSError):
            os.utime(path)  # the files used longest ago make room for new ones
    else:
        kept = _make(examples, objective, renderer, max_tokens, too_long)
        if path is not None and can_be_kept(kept.units, [examples[place].id for place in kept.places]):
            with contextlib.suppress(OSError):  # a cache that cannot be written is done without
                save_rows(path, kept)
                make_room(path.parent)
    return Rowed(tuple(kept.units), tuple(examples[place] for place in kept.places), **kept.counts)


def _path(examples: Sequence[AnyExample], objective: Objective, renderer: Renderer, max_tokens: int, too_long: TooLong) -> Path | None:
    """The cache's file of exactly these rows: its name is a hash of all that shapes them, the program included."""
    tokenizer = renderer.tokenizer.fingerprint
    if tokenizer is None or not examples:
        return None
    total = hashlib.sha256(repr((_program(), tokenizer, objective, max_tokens, too_long)).encode("utf-8", "surrogatepass"))
    for example in examples:
        total.update(f"\n{dump([example.shape, example.id, example.fields()])}".encode("utf-8", "surrogatepass"))
    return cache_folder() / "rows" / f"{total.hexdigest()[:32]}.safetensors"


@cache
def _program() -> str:
    """SHA-256 over the source of everything that has a say in what rows an example gives: changed code never meets old rows."""
    home = Path(luthier.__file__).parent
    files = [path for package in ("core", "text", "objectives") for path in sorted((home / package).glob("*.py"))]
    total = hashlib.sha256(luthier.__version__.encode())
    for path in (*files, home / "models" / "tokenizer.py", Path(__file__)):
        total.update(f"{path.name} {file_hash(path)}\n".encode() if path.is_file() else b"")
    return total.hexdigest()


def _make(examples: Sequence[AnyExample], objective: Objective, renderer: Renderer, max_tokens: int, too_long: TooLong) -> KeptRows:
    complaints = Complaints()
    units: list[tuple[Row, ...]] = []
    places: list[int] = []
    count = dict.fromkeys(_COUNTED, 0)
    for place, (example, rows) in enumerate(zip(examples, rendered(examples, objective, renderer), strict=True)):
        if isinstance(rows, LuthierError):
            complaints.extend(rows)
            continue
        fitted: list[Row] = []
        for row in rows:
            found = cut_to(row, max_tokens)
            if isinstance(found, Row):
                fitted.append(found)
                continue
            count["n_too_long"] += 1
            if too_long == "error":
                complaints.add(
                    example.source or example.id,
                    f"it has {row.n_tokens:,} tokens, and at most {max_tokens:,} are read",
                    'set [train] too_long to "cut" or "drop"',
                )
            elif too_long == "drop" or isinstance(found, Unfit):
                count["n_dropped"] += 1
            elif isinstance(found, Cut):
                fitted.append(found.row)
                count["n_cut"] += 1
                count["n_tokens_removed"] += found.n_removed
        if fitted:
            units.append(tuple(fitted))
            places.append(place)
        elif not rows:
            count["n_unsupervised"] += 1
    complaints.raise_if_any()
    return KeptRows(units, tuple(places), count)
