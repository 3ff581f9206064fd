"""Show: rows as the model sees them, token by token, and the rows that were dropped with their reasons."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.files import read_jsonl
from luthier.core.loading import load
from luthier.core.runs import Run, find_run
from luthier.data.kept import versions
from luthier.models.load import context_of, load_config, load_tokenizer
from luthier.models.tokenizer import LoadedTokenizer
from luthier.objectives import AnyObjective, Classify
from luthier.stages.changes import newest_changes
from luthier.stages.prepare import load_side
from luthier.stages.recipe import Recipe, load_recipe
from luthier.stages.rows import Rowed, to_rows
from luthier.stages.shown import DroppedBy, Piece, Shown, ShownRow, stretches_of
from luthier.stages.tune import objective_of
from luthier.text.renderer import Renderer
from luthier.text.rows import Row
from luthier.text.truncation import Cut, cut_to

_TEXTS = ("text", "prompt", "question", "messages", "completion", "label")
"""Fields of a dropped row that say something of it, the most telling first."""


def show_rows(what: str, n_rows: int, runs: Path) -> Shown:
    """The first training rows of a run, or of the run that a recipe has made; the last of them is one that was cut, if any was.

    Raises:
        LuthierError: there is no such run or recipe, or its rows are not prepared yet.

    """
    run, recipe = _found(what, runs)
    train = load_side(run.folder, "train")
    tokenizer = load_tokenizer(recipe.model.base)
    max_tokens = min(context_of(load_config(recipe.model.base)), recipe.train.max_tokens or 2**31)
    objective = objective_of(recipe, train, max_tokens)
    rowed = to_rows(train, objective, Renderer(tokenizer), max_tokens, recipe.train.too_long)
    chosen = list(itertools.islice(_rows(rowed, objective, tokenizer, max_tokens), n_rows))
    if rowed.n_cut and n_rows > 1 and not any(row.cut for row in chosen):
        chosen[-1] = next(row for row in _rows(rowed, objective, tokenizer, max_tokens) if row.cut)
    dropped = tuple(itertools.islice(read_jsonl(run.dropped), n_rows))
    known = versions.history(run.data)
    changes = newest_changes(run, n_rows)
    return Shown(tuple(chosen), dropped, _reasons(run), rowed.counts(), known[-1] if known else {}, changes)


def _rows(rowed: Rowed, objective: AnyObjective, tokenizer: LoadedTokenizer, max_tokens: int) -> Iterator[ShownRow]:
    """The rows that are trained, each with what was cut from it: rendered again, since a cut row does not know what it lost."""
    renderer = Renderer(tokenizer)
    for example in rowed.examples:
        for rendered in objective.rows(example, renderer):
            found = cut_to(rendered, max_tokens)
            if isinstance(found, Row):
                yield _shown(found, example.source, None, objective, tokenizer)
            elif isinstance(found, Cut) and rowed.n_cut:
                yield _shown(found.row, example.source, (found.at, found.n_removed), objective, tokenizer)


def _shown(row: Row, source: str, cut: tuple[int, int] | None, objective: AnyObjective, tokenizer: LoadedTokenizer) -> ShownRow:
    tokens = [int(token) for token in row.tokens]
    special = tokenizer.special_ids
    pieces = tuple(Piece(tokenizer.piece(token), float(w), token in special) for token, w in zip(tokens, row.weights, strict=True))
    label = objective.labels[row.target] if isinstance(objective, Classify) and row.target is not None else None
    stretches = stretches_of(tokens, pieces, tokenizer.decode, None if cut is None else cut[0])
    return ShownRow(row.id, source, pieces, stretches, label, cut)


def _reasons(run: Run) -> tuple[DroppedBy, ...]:
    """Every reason for which rows were dropped, the most frequent first, each with the first row that it met."""
    counts: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in read_jsonl(run.dropped):
        key = (str(row.get("step")), str(row.get("reason")))
        counts[key] = counts.get(key, 0) + 1
        first.setdefault(key, row)
    ordered = sorted(counts, key=lambda key: (-counts[key], key))
    return tuple(DroppedBy(*key, counts[key], str(first[key].get("source")), _excerpt(first[key])) for key in ordered)


def _excerpt(row: Mapping[str, Any]) -> str:
    """What a dropped row says, at its most telling field."""
    for name in _TEXTS:
        value = row.get(name)
        if isinstance(value, list):
            value = " / ".join(str(one.get("content") or "") for one in value if isinstance(one, Mapping))
        if isinstance(value, str) and value.strip():
            return value
    return ""


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
