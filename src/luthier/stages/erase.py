"""Erase: somebody's rows taken out of every run, whatever was made of their texts removed, and what learnt from them named."""

from __future__ import annotations

import contextlib
import gzip
import html
import json
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from luthier.core.cache import cache_folder
from luthier.core.errors import Complaints, LuthierError
from luthier.core.examples import AnyExample
from luthier.core.files import expanded, read_jsonl, write_jsonl
from luthier.core.jsonvalue import Json
from luthier.core.loading import load
from luthier.core.page.words import counted
from luthier.core.runs import Run, is_run, lock
from luthier.data.kept import erasing
from luthier.data.kept.erased import Erasure, keyed_hash, noted, read_erasures, read_key, value_of, write_erasures
from luthier.data.source.erasing import erase_from_sources
from luthier.data.source.reading import recognise
from luthier.stages.recipe import SHAPE_OF_TASK, Recipe
from luthier.stages.report import write_page

NOT_REACHED = (
    "what the models named above remember: tune them again, and take down what is served or was exported of them",
    "copies elsewhere: backups, earlier commits, answers that `luthier predict` wrote, logs of a server, other folders of runs",
    "rows that have nothing in that column, and rows that could not be read",
    "models that were tuned on such rows before these had left the data in another way",
)
_CACHES = ("rows", "profiles")
"""What of the cache is made of rows; it is made again when it is needed."""
UNFINISHED = ".work"
"""Where a preparation that was cut off left rows in a run's `data` folder."""
_TELLING = 12
_MOST_BYTES = 50_000_000
_TEXTUAL = (".json", ".jsonl", ".gz", ".html", ".md", ".toml", ".txt", ".csv", ".tsv", ".svg", ".done")


@dataclass(frozen=True)
class InRun:
    """What one run held, and whether its bundle learnt from it."""

    name: str
    folder: Path
    found: erasing.Found
    has_bundle: bool

    def as_dict(self) -> dict[str, Json]:
        """The numbers; nothing of the rows themselves."""
        return {
            "run": self.name, "kept": self.found.n_kept, "sides": dict(self.found.sides), "dropped": self.found.n_dropped,
            "learnt": self.found.learnt and self.has_bundle,
        }  # fmt: skip


@dataclass(frozen=True)
class Erasing:
    """What was, or would be, erased.

    `descend` are runs whose base model is the bundle of one that learnt. `left` are files that still hold some of it, by what was
    wrong. `silent` are runs with rows that have nothing in the column.
    """

    runs: tuple[InRun, ...]
    done: bool
    descend: tuple[str, ...] = ()
    sources: Mapping[str, int] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    silent: Mapping[str, int] = field(default_factory=dict)

    @property
    def learnt(self) -> tuple[str, ...]:
        """The runs whose bundles were tuned on, or chosen by, rows that went."""
        return tuple(one.name for one in self.runs if one.found.learnt and one.has_bundle)

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints."""
        return {
            "done": self.done, "runs": [one.as_dict() for one in self.runs], "learnt": list(self.learnt), "descend": list(self.descend),
            "sources": dict(self.sources), "left": list(self.left), "silent": dict(self.silent), "not_reached": list(NOT_REACHED),
        }  # fmt: skip

    def as_text(self) -> str:
        """For the terminal."""
        verb = "erased" if self.done else "would be erased"
        lines = [] if self.runs else ["No run holds such rows." + (" It is noted that none may take them in." if self.done else "")]
        for one in self.runs:
            sides = ", ".join(f"{n:,} {side}" for side, n in one.found.sides.items() if n)
            lines.append(f"{one.name}: {counted(one.found.n_kept, 'kept row')}{f' ({sides})' if sides else ''} and "
                         f"{counted(one.found.n_dropped, 'dropped row')} {verb}")
        lines += [f"{path}: {counted(n, 'row')} {verb} from the source" for path, n in self.sources.items()]
        if self.learnt:
            lines.append(f"Models that learnt from them, to be tuned again (`luthier run` on their recipes): {', '.join(self.learnt)}")
        if self.descend:
            lines.append(f"Models that were tuned from those: {', '.join(self.descend)}")
        lines += [f"! {path}" for path in self.left]
        lines += [f"! {run}: {counted(n, 'row')} with nothing in that column" for run, n in self.silent.items()]
        if self.runs or self.sources:
            lines += ["Not reached:", *(f"  {one}" for one in NOT_REACHED)]
        if not self.done:
            lines.append("Nothing has been changed: add --yes to do it.")
        return "\n".join(lines)


def erase(column: str, value: str, runs: Path, *, sure: bool, sources: bool, say: Callable[[str], None]) -> Erasing:
    """Take the rows whose `column` is `value` out of every run in a folder.

    Args:
        column: the group column, or any other; `id` is the rows' own names.
        value: whose rows.
        runs: the folder of runs.
        sure: do it; else only say what would be done.
        sources: take them out of the recipes' source files too.
        say: tells people what is going on.

    Raises:
        LuthierError: there is no such value, a run is at work, or a file could not be rewritten; a call that was cut off or
            that failed is made again, and goes on.

    """
    if not value.strip():
        raise LuthierError("luthier erase", "the value is empty", "say whose rows: COLUMN VALUE, or - to be asked for the value")
    held, silent = _look(column, value, runs)
    plan = Erasing(tuple(held), False, _descendants(held, runs), {}, (), silent)
    if not sure:
        return plan
    entries, key = read_erasures(runs), read_key(runs)
    now = datetime.now(UTC).date().isoformat()
    rows = {one.name: one.found.n_kept + one.found.n_dropped for one in held}
    entry = Erasure(now, column, keyed_hash(key, column, value), rows, plan.learnt)
    # First of all it is noted that these rows must not come back, whatever stops us later.
    write_erasures(runs, noted(entries, entry))
    begun = [path for path in runs.rglob(f"data/{UNFINISHED}") if path.is_dir()]
    with contextlib.ExitStack() as locks:
        _lock_all([*(one.folder for one in held), *(path.parent.parent for path in begun)], locks)
        for path in begun:
            shutil.rmtree(path)
        taken = _erase_sources(runs, column, value) if sources else ({}, [])
        left = list(taken[1])
        for one in held:
            say(f"erase: {one.name} …")
            left += _erase_in(one)
    for name in _CACHES:
        shutil.rmtree(cache_folder() / name, ignore_errors=True)
    texts = frozenset(text for one in held for text in one.found.texts)
    left += _quoting([path for path in runs.glob("*") if path.is_file()], texts, runs)
    finished = Erasure(entry.on, column, entry.keyed_hash, {}, plan.learnt, True)
    write_erasures(runs, noted(read_erasures(runs), finished))
    return Erasing(plan.runs, True, plan.descend, taken[0], tuple(left), silent)


def _look(column: str, value: str, runs: Path) -> tuple[list[InRun], dict[str, int]]:
    """Every run in the folder, at any depth, that holds such rows; and how many rows of which runs cannot be told."""
    wanted = value.strip()

    def theirs(example: AnyExample) -> bool:
        return value_of(example, column) == wanted

    held, silent = [], {}
    for kept in sorted(runs.rglob("data/kept.jsonl.gz")):
        folder = kept.parent.parent
        if not is_run(folder):
            continue
        found = erasing.find(kept.parent, theirs, lambda example: value_of(example, column) is None)
        name = folder.relative_to(runs).as_posix()
        if found.n_silent:
            silent[name] = found.n_silent
        if found:
            held.append(InRun(name, folder, found, (folder / "bundle" / "bundle.json").is_file()))
    return held, silent


def _descendants(held: Sequence[InRun], runs: Path) -> tuple[str, ...]:
    """The runs whose base model lies in the folder of a run that learnt, and those that descend from them."""
    bases: dict[str, Path] = {}
    for path in runs.rglob("recipe.toml"):
        with contextlib.suppress(LuthierError):
            if is_run(path.parent):
                bases[path.parent.relative_to(runs).as_posix()] = expanded(load(Recipe, path).model.base)
    origins = [one.folder.resolve() for one in held if one.found.learnt and one.has_bundle]
    found: list[str] = []
    grown = True
    while grown:
        new = [name for name, base in bases.items() if name not in found and any(one in base.resolve().parents for one in origins)]
        found += new
        origins += [(runs / name).resolve() for name in new]
        grown = bool(new)
    return tuple(sorted(found))


def _lock_all(folders: Sequence[Path], locks: contextlib.ExitStack) -> None:
    complaints = Complaints()
    for folder in dict.fromkeys(folders):
        try:
            locks.enter_context(lock(Run(folder)))
        except LuthierError as error:
            complaints.extend(error)
    complaints.raise_if_any()


def _erase_sources(runs: Path, column: str, value: str) -> tuple[dict[str, int], list[str]]:
    """Rewrite the source files of every run; gives the rows that went by path, and what could not be done."""
    found: dict[str, int] = {}
    left: list[str] = []
    for path in sorted(runs.rglob("recipe.toml")):
        if not is_run(path.parent):
            continue
        try:
            recipe = load(Recipe, path)
            recognised = recognise(recipe.data, SHAPE_OF_TASK[recipe.goal.task])
            gone = erase_from_sources(recipe.data, recognised, lambda example: value_of(example, column) == value.strip())
        except LuthierError as error:
            left += [f"{problem.where}: {problem.problem}; {problem.fix}" for problem in error.errors]
            continue
        found |= gone
        left += [f"{name}: its SHA-256 is another now: correct [data] sha256" for name in recipe.data.sha256 if name in map(_name, gone)]
    return found, list(dict.fromkeys(left))


def _name(path: str) -> str:
    return Path(path).name


def _erase_in(one: InRun) -> list[str]:
    """Rewrite one run, and remove what was made of those rows; gives what is left of them."""
    run, found = Run(one.folder), one.found
    judged = ("evaluate", "page", "bundle", "prove") if found.n_kept else ()
    for stage in ("prepare", "profile", *judged, *(("tune",) if found.learnt else ())):
        run.done(stage).unlink(missing_ok=True)
    if found.learnt:
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    if found.n_kept:
        shutil.rmtree(run.folder / "curve", ignore_errors=True)
        if run.scores.is_file():
            write_jsonl(run.scores, [row for row in read_jsonl(run.scores) if row["id"] not in found.ids])
    for path in run.folder.rglob("*.tmp"):
        if path.is_file():
            path.unlink()
    if found.n_kept:
        _remove_page(run)
    # Last of all: until this is done, a call that is made again finds the rows.
    erasing.erase(run.data, found)
    if found.n_kept and run.report.is_file():
        _write_page_anew(run)
    return _quoting([path for path in run.folder.rglob("*") if path.is_file()], found.texts, run.folder.parent)


def _write_page_anew(run: Run) -> None:
    """The page without the rows; one that cannot be made from what is left is removed."""
    try:
        write_page(run)
    except (LuthierError, KeyError, ValueError, AssertionError):
        _remove_page(run)


def _remove_page(run: Run) -> None:
    (run.evaluation / "report.html").unlink(missing_ok=True)
    shutil.rmtree(run.evaluation / "figures", ignore_errors=True)


def _quoting(paths: Sequence[Path], texts: frozenset[str], home: Path) -> list[str]:
    """Look for what is left of the texts: pages that quote them are removed, for they can be made again; other files are named."""
    told = {form for text in texts for form in _forms(text)}
    left = []
    for path in paths if told else ():
        if path.suffix not in _TEXTUAL or path.stat().st_size > _MOST_BYTES:
            continue
        content = _content(path)
        if any(form in content for form in told):
            if path.suffix in (".html", ".svg"):
                path.unlink()
            else:
                left.append(f"{path.relative_to(home).as_posix()} still quotes one of these rows, or another row says the same")
    return left


def _forms(text: str) -> set[str]:
    """How a text's longest line may stand in a file: as it is, in JSON, in HTML; nothing of texts too short to tell."""
    line = max(text.splitlines(), key=len, default="").strip()[:200]
    return {line, json.dumps(line)[1:-1], json.dumps(line, ensure_ascii=False)[1:-1], html.escape(line)} if len(line) >= _TELLING else set()


def _content(path: Path) -> str:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error):
        return ""
    return raw.decode("utf-8", "replace")


