"""Raw rows to kept rows with sides: reads, cleans, splits, writes, and certifies what was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import Complaints
from luthier.core.examples import AnyExample
from luthier.core.files import write_json, write_jsonl
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run
from luthier.core.secret_keys import secrets_folder
from luthier.data import prepared, versions
from luthier.data.certificate import Certificate, certify
from luthier.data.erased import Erased
from luthier.data.parting import drops, part, refuse_strangers, settle
from luthier.data.pipeline import Prepare, clean, refuse
from luthier.data.profile import check, profile, settings_warning, warnings
from luthier.data.source import BadRow, Data, Recognised, read, recognise
from luthier.data.split import SIDES, Side
from luthier.data.tools import Tools


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
            "test_hash": self.test_hash,
        }
        return {**found, "certificate": self.certificate.as_dict(), **said}


@dataclass(frozen=True)
class Beside:
    """What preparing has to know from outside the run: the data folder of the run whose sides it takes over, and what was erased."""

    taken: Path | None = None
    erased: Erased = Erased()


ALONE = Beside()


def prepare(data: Data, prepare: Prepare, seed: int, task_shape: str | None, folder: Path, beside: Beside = ALONE) -> Prepared:
    """Make `folder/data` from the source.

    Args:
        data: the recipe's `[data]`; paths in it are resolved.
        prepare: the recipe's `[prepare]`.
        seed: the recipe's.
        task_shape: the shape of example that the task needs, None for whichever the source has.
        folder: the run's folder; sides that an earlier run recorded there are kept.
        beside: the run that `split_from` names, and what must not come back.

    Raises:
        LuthierError: everything that is wrong with the source, up to 20 places; then nothing is written.

    """
    home = folder / "data"
    settled = settle(data, seed, home, beside.taken)
    recognised = recognise(data, task_shape)
    examples, bad, erased = _read(data, recognised, beside.erased)
    refuse_strangers(settled, beside.taken, [example.id for example in examples])
    tools = Tools(home=home, secrets=secrets_folder(), seed=seed)
    cleaned = clean(examples, prepare.steps, settled.recorded.sides.keys(), tools)
    kept = [row.example for row in cleaned.kept]
    sides = part(kept, lambda: kept, data, settled, prepared.known_sides(settled.recorded.sides, cleaned.kept, cleaned.dropped))
    cleaned = refuse(cleaned, drops(sides, settled.split))
    check([(row.example, sides.of[row.example.id]) for row in cleaned.kept], cleaned.dropped, settled.split, _where(data))
    settings = settled.settings(data.group)
    # From here on the files change, and what an earlier run made of them is no longer there.
    Run(folder).done("prepare").unlink(missing_ok=True)
    versions.remember(home)
    dropped = [*map(prepared.bad_record, bad), *map(prepared.erased_record, erased), *map(prepared.dropped_record, cleaned.dropped)]
    write_jsonl(home / prepared.KEPT, (prepared.kept_record(row, sides.of[row.example.id]) for row in cleaned.kept))
    write_jsonl(home / prepared.DROPPED, dropped)
    rows = list(prepared.read_rows(home))
    test_hash = prepared.rows_hash(example for example, side in rows if side == "test")
    result = Prepared(
        read=len(examples) + len(bad) + len(erased),
        kept=len(rows) - sum(cleaned.added.values()),
        dropped=prepared.reasons(dropped),
        changed=cleaned.changed(),
        added=cleaned.added,
        split={side: sum(on == side for _, on in rows) for side in SIDES},
        certificate=certify(rows, data.group, settled.split.near_duplicate_threshold),
        test_hash=test_hash,
        recognised=recognised,
        warnings=(*warnings(rows, cleaned.dropped, settled.split), *settings_warning(settled.old_settings, settings)),
    )
    now, absent = prepared.sides_to_record(sides.of, settled.recorded.sides, cleaned.dropped)
    write_json(home / prepared.CLEANING, result.as_dict())
    write_json(home / prepared.PROFILE, profile(rows))
    record: dict[str, Json] = {"schema": 1, "settings": settings, "test_sha256": test_hash, "sides": now, "absent": absent}
    if sides.boundaries:
        record["boundaries"] = {str(side): moment for side, moment in sides.boundaries.items()}
    write_json(home / prepared.SPLIT, record)
    versions.record(home, settled.origin)
    return result


def load_side(folder: Path, side: Side) -> list[AnyExample]:
    """The rows of one side of a run's prepared data, in the order of the source."""
    return [example for example, on in prepared.read_rows(folder / "data") if on == side]


def _read(data: Data, recognised: Recognised, erased: Erased) -> tuple[list[AnyExample], list[BadRow], list[str]]:
    """The rows, the bad ones, and where those stand that must not come back."""
    examples: list[AnyExample] = []
    bad: list[BadRow] = []
    gone: list[str] = []
    complaints = Complaints()
    for row in read(data, recognised):
        if not isinstance(row, BadRow):
            if erased.known and row in erased:
                gone.append(row.source)
            else:
                examples.append(row)
        elif data.bad_rows == "drop":
            bad.append(row)
        else:
            complaints.add(row.source, row.problem, row.fix)
    complaints.raise_if_any()
    return examples, bad, gone


def _where(data: Data) -> str:
    return data.source if isinstance(data.source, str) else data.source[0]
