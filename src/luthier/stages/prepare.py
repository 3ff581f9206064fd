"""Raw rows to kept rows with sides: reads, cleans, splits, writes, and certifies what was written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from luthier.core.errors import Complaints
from luthier.core.examples import AnyExample
from luthier.core.files import file_hash, write_json, write_jsonl
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run
from luthier.core.secret_keys import secrets_folder
from luthier.data.engine import Engine
from luthier.data.execution.facts import Account, Written, account, facts, write_large_json
from luthier.data.execution.light import OnSides
from luthier.data.execution.spool import from_line, kept_line
from luthier.data.execution.streamed import ROWS_IN_SHARD, Streamed, Work
from luthier.data.execution.streaming import clean_on_disk
from luthier.data.execution.workers import HERE
from luthier.data.execution.workplace import workplace
from luthier.data.kept import prepared, versions
from luthier.data.kept.additions import Additions, going
from luthier.data.kept.erased import Erased, ErasedRow
from luthier.data.kept.parting import Settled, columns_of, drops, part, refuse_strangers, settle
from luthier.data.pipeline import Prepare
from luthier.data.profile import check, settings_warning, warnings
from luthier.data.sides.certificate import Certificate, certify
from luthier.data.sides.relations import relations_of
from luthier.data.sides.split import SIDES, Side, Sides
from luthier.data.source.reading import BadRow, Data, Recognised, read, recognise
from luthier.data.steps import label_errors
from luthier.data.tools import NO_TOOLS, Tools


@dataclass(frozen=True)
class Prepared:
    """What became of the rows: the object that `luthier prepare --json` prints, what the source is, and warnings.

    read = kept + Σ dropped, and Σ split = kept + Σ added. `test_hash` is the SHA-256 of the test rows' content.
    """

    read: int
    kept: int
    dropped: Mapping[str, Mapping[str, int]]
    changed: Mapping[str, int]
    added: Mapping[str, int]
    split: Mapping[str, int]
    certificate: Certificate
    augmentation: Mapping[str, Json]
    test_hash: str
    recognised: Recognised
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Json]:
        """The object of the contract, with what was recognised, warnings and the test rows' hash besides."""
        found: dict[str, Json] = {name: getattr(self, name) for name in ("read", "kept", "dropped", "changed", "added", "split")}
        said: dict[str, Json] = {
            "recognised": self.recognised.said,
            "layout": self.recognised.layout,
            "fields": dict(self.recognised.fields),
            "columns": list(self.recognised.columns),
            "warnings": list(self.warnings),
            "augmentation": dict(self.augmentation),
            "test_hash": self.test_hash,
        }
        return {**found, "certificate": self.certificate.as_dict(), **said}


@dataclass(frozen=True)
class Beside:
    """What preparing has to know from outside the run: the data folder of the run whose sides it takes over, and what was erased."""

    taken: Path | None = None
    erased: Erased = Erased()


ALONE = Beside()


@dataclass(frozen=True)
class Making:
    """How the work is done; none of it changes the result.

    Attributes:
        made_for: a hash of all that the result depends on, by which a killed process's work is known again; None for work that
            nobody goes on with.
        engine: what row steps and keys are spread over.
        rows_in_shard: rows that are worked on at once.
        pause: called between two pieces of work; it raises where somebody has asked to stop.

    """

    made_for: str | None = None
    engine: Engine = HERE
    rows_in_shard: int = ROWS_IN_SHARD
    pause: Callable[[], None] = lambda: None


def prepare(
    data: Data,
    prepare: Prepare,
    seed: int,
    task_shape: str | None,
    folder: Path,
    beside: Beside = ALONE,
    tools: Tools = NO_TOOLS,
    making: Making = Making(),
) -> Prepared:
    """Make `folder/data` from the source; rows are on the disk, and never all in memory.

    Args:
        data: the recipe's `[data]`; paths in it are resolved.
        prepare: the recipe's `[prepare]`.
        seed: the recipe's.
        task_shape: the shape of example that the task needs, None for whichever the source has.
        folder: the run's folder; sides that an earlier run recorded there are kept.
        beside: the run that `split_from` names, and what must not come back.
        tools: what steps may need.
        making: how the work is done.

    Raises:
        LuthierError: everything that is wrong with the source, up to 20 places; then nothing is written.

    """
    home = folder / "data"
    settled = settle(data, seed, home, beside.taken)
    recognised = recognise(data, task_shape)
    before = file_hash(home / prepared.SPLIT) if settled.recorded.sides and (home / prepared.SPLIT).is_file() else ""
    made_for = None if making.made_for is None else f"{making.made_for} {before}"
    with workplace(home, made_for, making.engine, making.rows_in_shard, making.pause) as work:
        elders = settled.recorded.sides.keys()
        secrets = tools.secrets or secrets_folder()
        tools = replace(tools, home=home, secrets=secrets, seed=seed, elders=elders, group=data.group)
        cleaned = clean_on_disk(lambda: _read(data, recognised, beside.erased), prepare.steps, work, elders, tools)
        if beside.taken is not None:
            refuse_strangers(settled, beside.taken, cleaned.ids())
        sides, rows = _parted(cleaned, data, settled, work)
        gone = going(lambda: _on(rows, "train"), prepare.steps, prepare.balance, seed, home)
        cleaned.drop(gone, work.folder)
        rows = rows.without(gone)
        parted = _Parted(cleaned, sides, rows, account(cleaned.dropped_lines()), label_errors.warning(prepare.steps, home))
        check(rows, parted.dropped.rows(), settled.split, _where(data))
        # From here on the files change, and what an earlier run made of them is no longer there.
        run = Run(folder)
        for gone_too in (run.done("prepare"), run.done("profile"), run.profile, run.profile.with_suffix(".html")):
            gone_too.unlink(missing_ok=True)
        versions.remember(home)
        result = _write(parted, data, recognised, settled, work, _additions(prepare, parted, settled, tools))
        versions.record(home, settled.origin)
    return result


def _on(rows: Iterable[tuple[AnyExample, str]], *sides: str) -> Iterator[AnyExample]:
    return (row for row, side in rows if side in sides)


def _parted(cleaned: Streamed, data: Data, settled: Settled, work: Work) -> tuple[Sides, OnSides]:
    """The sides, and the rows, without their texts, with theirs; those that have none are dropped."""
    split = settled.split
    with work.shown("gathering", cleaned.n_kept) as advance:
        found = facts(cleaned, data.group, columns_of(split), work.folder, advance)
    twins = account(cleaned.dropped_lines()).twins
    known = prepared.sides_of_known(settled.recorded.sides, (row.id for row in found.rows), twins)
    # Where no row has a side of its own or an earlier one, none is refused, and it is enough to know what hangs together.
    is_first = not known and not columns_of(split) and not (settled.home / prepared.KEPT).is_file()
    with work.shown("comparing all with all", None) as advance:
        related = relations_of(found.said, split.near_duplicate_threshold, is_first, work.folder, advance)
    sides = part(found.rows, lambda: (row.example for row in cleaned.rows()), data, settled, known, related)
    cleaned.drop(drops(sides, split), work.folder)
    return sides, OnSides(found.rows, sides.of)


def _certified(home: Path, group: str | None, threshold: float, work: Work) -> tuple[Certificate, str]:
    """The certificate, and the hash of the test rows' content, from the file as it was written."""
    test = prepared.RowsHash(work.folder)

    def rows() -> Iterator[tuple[AnyExample, str]]:
        for example, side in prepared.read_rows(home):
            if side == "test":
                test.add(example)
            yield example, side

    with work.shown("certifying", None) as advance:
        certificate = certify(rows(), group, threshold, work.folder, advance)
    return certificate, test.hexdigest()


@dataclass(frozen=True, eq=False)
class _Parted:
    """The rows with their sides, an account of those that are dropped, and what a step has to tell a person."""

    cleaned: Streamed
    sides: Sides
    rows: OnSides
    dropped: Account
    told: Sequence[str] = ()


def _additions(prepare: Prepare, parted: _Parted, settled: Settled, tools: Tools) -> Additions:
    """What makes rows of the training rows."""
    side_of = parted.sides.of

    def judged() -> Iterator[AnyExample]:
        return (row.example for row in parted.cleaned.rows() if side_of[row.example.id] != "train")

    threshold = settled.split.near_duplicate_threshold
    return Additions(prepare.balance, prepare.augment, lambda: _on(parted.rows, "train"), judged, threshold, tools)


def _lines_and_sides(parted: _Parted, more: Additions) -> tuple[Iterator[bytes], Mapping[str, str]]:
    """The rows as lines, those that are made behind their parents, and the side of each."""
    cleaned, side_of = parted.cleaned, parted.sides.of
    if not more.makes_rows:
        return cleaned.lines(), side_of
    rows = more.after((row, side_of[row.example.id]) for row in cleaned.rows())
    return (kept_line(row) for row, _ in rows), defaultdict(lambda: "train", side_of)


def _write(parted: _Parted, data: Data, recognised: Recognised, settled: Settled, work: Work, more: Additions) -> Prepared:
    """Write all files but the list of versions."""
    home, cleaned, sides, dropped = settled.home, parted.cleaned, parted.sides, parted.dropped
    written, settings = Written(Counter(), Counter()), settled.settings(data.group)
    write_jsonl(home / prepared.KEPT, written.records(*_lines_and_sides(parted, more)))
    added = cleaned.added + more.account.made
    write_jsonl(home / prepared.DROPPED, map(from_line, cleaned.dropped_lines()))
    certificate, test_hash = _certified(home, data.group, settled.split.near_duplicate_threshold, work)
    said = [*parted.told, *warnings(parted.rows, dropped.rows(), settled.split)]
    result = Prepared(
        read=cleaned.n_read,
        kept=written.sides.total() - added.total(),
        dropped=dropped.reasons,
        changed=dict(written.changed),
        added=dict(added),
        split={side: written.sides[side] for side in SIDES},
        certificate=certificate,
        augmentation=more.account.as_dict(),
        test_hash=test_hash,
        recognised=recognised,
        warnings=(*said, *settings_warning(settled.old_settings, settings)),
    )
    assert result.read == result.kept + dropped.n_rows, "every row that was read is kept or dropped"
    kept_on = {row.id: side for row, side in parted.rows}
    now, absent = prepared.sides_to_keep(kept_on, {**settled.recorded.sides, **sides.of}, dropped.twins)
    write_json(home / prepared.CLEANING, result.as_dict())
    record: dict[str, Json] = {"schema": 1, "settings": settings, "test_sha256": test_hash, "sides": now, "absent": absent}
    if sides.boundaries:
        record["boundaries"] = {str(side): moment for side, moment in sides.boundaries.items()}
    write_large_json(home / prepared.SPLIT, record)
    return result


def load_side(folder: Path, side: Side) -> list[AnyExample]:
    """The rows of one side of a run's prepared data, in the order of the source."""
    return [example for example, on in prepared.read_rows(folder / "data") if on == side]


def _read(data: Data, recognised: Recognised, erased: Erased) -> Iterator[AnyExample | BadRow | ErasedRow]:
    """The rows of the source; bad ones, unless they may be dropped, are raised together at its end; of erased ones the place is left."""
    complaints = Complaints()
    for row in read(data, recognised):
        if isinstance(row, BadRow) and data.bad_rows == "error":
            complaints.add(row.source, row.problem, row.fix)
        elif not complaints:
            is_erased = bool(erased.known) and not isinstance(row, BadRow) and row in erased
            yield ErasedRow(row.source) if is_erased else row
    complaints.raise_if_any()


def _where(data: Data) -> str:
    return data.source if isinstance(data.source, str) else data.source[0]
