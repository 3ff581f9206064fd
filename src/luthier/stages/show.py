"""Show: rows as the model sees them, token by token, and the rows that were dropped with their reasons."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.files import read_jsonl
from luthier.core.jsonvalue import Json
from luthier.core.loading import load
from luthier.core.runs import Run, find_run
from luthier.models.load import context_of, load_config, load_tokenizer
from luthier.stages.prepare import load_side
from luthier.stages.recipe import Recipe, load_recipe
from luthier.stages.rows import to_rows
from luthier.stages.texts import tokens_text, too_long_lines
from luthier.stages.tune import objective_of
from luthier.text.renderer import Renderer
from luthier.text.rows import Row

_PIECE = ("text", "trained", "special")
TRAINED, SPECIAL, PLAIN = "\x1b[1;32m", "\x1b[36m", "\x1b[0m"


@dataclass(frozen=True)
class ShownRow:
    """A training row's tokens as text, whether each is trained and whether it is a mark, and the class it belongs to."""

    id: str
    source: str
    pieces: tuple[tuple[str, bool, bool], ...]
    label: str | None


@dataclass(frozen=True)
class Shown:
    """Some training rows, some dropped rows, and how many of both there are."""

    rows: tuple[ShownRow, ...]
    dropped: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints."""
        rows: list[Json] = [
            {
                "id": row.id,
                "source": row.source,
                "label": row.label,
                "tokens": [dict(zip(_PIECE, piece, strict=True)) for piece in row.pieces],
            }
            for row in self.rows
        ]
        return {"rows": rows, "dropped": [dict(row) for row in self.dropped], "counts": dict(self.counts)}

    def as_text(self, color: bool) -> str:
        """For the terminal: trained tokens in green or, without colour, between ⟦ and ⟧; marks in cyan."""
        lines = []
        for row in self.rows:
            lines += [f"── {row.source or row.id}" + (f"   label: {row.label}" if row.label is not None else ""), _painted(row, color), ""]
        trained = " (green)" if color else " (in ⟦ ⟧)"
        how = trained if self.counts["n_supervised"] else ""
        lines.append(f"{tokens_text(self.counts)}{how}; the longest row has {self.counts['longest_tokens']:,}")
        lines += too_long_lines(self.counts)
        if self.dropped:
            lines += ["", "Dropped, for example:"]
            lines += [f"  {row.get('source')}: {row.get('step')}: {row.get('reason')}" for row in self.dropped]
        return "\n".join(lines)


def show_rows(what: str, n_rows: int, runs: Path) -> Shown:
    """The first training rows of a run, or of the run that a recipe has made.

    Raises:
        LuthierError: there is no such run or recipe, or its rows are not prepared yet.

    """
    run, recipe = _found(what, runs)
    train = load_side(run.folder, "train")
    tokenizer = load_tokenizer(recipe.model.base)
    max_tokens = min(context_of(load_config(recipe.model.base)), recipe.train.max_tokens or 2**31)
    objective = objective_of(recipe, train, max_tokens)
    rowed = to_rows(train, objective, Renderer(tokenizer), max_tokens, recipe.train.too_long)

    def shown(row: Row, source: str) -> ShownRow:
        pieces = tuple(
            (tokenizer.piece(int(token)), bool(weight), int(token) in tokenizer.special_ids)
            for token, weight in zip(row.tokens, row.weights, strict=True)
        )
        label = None if row.target is None else recipe_labels(objective)[row.target]
        return ShownRow(row.id, source, pieces, label)

    def recipe_labels(one: Any) -> tuple[str, ...]:
        labels: tuple[str, ...] = one.labels
        return labels

    chosen = list(
        itertools.islice(((row, example.source) for unit, example in zip(rowed.units, rowed.examples, strict=True) for row in unit), n_rows)
    )
    dropped = tuple(itertools.islice(read_jsonl(run.dropped), n_rows))
    return Shown(tuple(shown(row, source) for row, source in chosen), dropped, rowed.counts())


def _found(what: str, runs: Path) -> tuple[Run, Recipe]:
    path = Path(what)
    if path.suffix == ".toml":
        recipe = load_recipe(path)
        run = Run(runs / recipe.name)
    else:
        run = find_run(runs, what)
        recipe = load(Recipe, run.recipe)
    if not run.kept.is_file():
        raise LuthierError(str(run.folder), "its rows are not prepared yet", "run `luthier prepare` on the recipe first")
    return run, recipe


def _painted(row: ShownRow, color: bool) -> str:
    parts = []
    for trained, group in itertools.groupby(row.pieces, key=lambda piece: piece[1]):
        if color:
            inside = "".join(f"{SPECIAL}{text}{PLAIN}{TRAINED if trained else ''}" if special else text for text, _, special in group)
            parts.append(f"{TRAINED}{inside}{PLAIN}" if trained else inside)
        else:
            inside = "".join(text for text, _, _ in group)
            parts.append(f"⟦{inside}⟧" if trained else inside)
    return "".join(parts)
