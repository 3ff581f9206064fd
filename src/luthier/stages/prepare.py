"""Raw rows to kept rows with sides: reads, cleans, splits, writes, and certifies what was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import Complaints
from luthier.core.examples import AnyExample
from luthier.core.files import write_json, write_jsonl
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run
from luthier.data import prepared
from luthier.data.certificate import Certificate, certify
from luthier.data.pipeline import Prepare, clean, refuse
from luthier.data.profile import check, profile, settings_warning, warnings
from luthier.data.source import BadRow, Data, Recognised, read, recognise
from luthier.data.split import SIDES, TWO_SIDES, Side, assign


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


def prepare(data: Data, prepare: Prepare, seed: int, task_shape: str | None, folder: Path) -> Prepared:
    """Make `folder/data` from the source.

    Args:
        data: the recipe's `[data]`; paths in it are resolved.
        prepare: the recipe's `[prepare]`.
        seed: the recipe's.
        task_shape: the shape of example that the task needs, None for whichever the source has.
        folder: the run's folder; sides that an earlier run recorded there are kept.

    Raises:
        LuthierError: everything that is wrong with the source, up to 20 places; then nothing is written.

    """
    home = folder / "data"
    recorded, old_settings = prepared.read_split(home)
    recognised = recognise(data, task_shape)
    examples, bad = _read(data, recognised)
    cleaned = clean(examples, prepare.steps, recorded.keys())
    sides = assign(
        [row.example for row in cleaned.kept], data.split, seed, data.group, prepared.known_sides(recorded, cleaned.kept, cleaned.dropped)
    )
    cleaned = refuse(cleaned, "split", TWO_SIDES, {row: f"related to rows in {' and in '.join(on)}" for row, on in sides.refused.items()})
    check([(row.example, sides.of[row.example.id]) for row in cleaned.kept], cleaned.dropped, data.split, _where(data))
    settings: dict[str, Json] = {**dataclasses.asdict(data.split), "seed": seed, "group": data.group}
    # From here on the files change, and what an earlier run made of them is no longer there.
    Run(folder).done("prepare").unlink(missing_ok=True)
    dropped = [*map(prepared.bad_record, bad), *map(prepared.dropped_record, cleaned.dropped)]
    write_jsonl(home / prepared.KEPT, (prepared.kept_record(row, sides.of[row.example.id]) for row in cleaned.kept))
    write_jsonl(home / prepared.DROPPED, dropped)
    rows = list(prepared.read_rows(home))
    test_hash = prepared.rows_hash(example for example, side in rows if side == "test")
    result = Prepared(
        read=len(examples) + len(bad),
        kept=len(rows) - sum(cleaned.added.values()),
        dropped=prepared.reasons(dropped),
        changed=cleaned.changed(),
        added=cleaned.added,
        split={side: sum(on == side for _, on in rows) for side in SIDES},
        certificate=certify(rows, data.group, data.split.near_duplicate_threshold),
        test_hash=test_hash,
        recognised=recognised,
        warnings=(*warnings(rows, cleaned.dropped, data.split), *settings_warning(old_settings, settings)),
    )
    now, absent = prepared.sides_to_record(sides.of, recorded, cleaned.dropped)
    write_json(home / prepared.CLEANING, result.as_dict())
    write_json(home / prepared.PROFILE, profile(rows))
    write_json(home / prepared.SPLIT, {"schema": 1, "settings": settings, "test_sha256": test_hash, "sides": now, "absent": absent})
    return result


def load_side(folder: Path, side: Side) -> list[AnyExample]:
    """The rows of one side of a run's prepared data, in the order of the source."""
    return [example for example, on in prepared.read_rows(folder / "data") if on == side]


def _read(data: Data, recognised: Recognised) -> tuple[list[AnyExample], list[BadRow]]:
    examples: list[AnyExample] = []
    bad: list[BadRow] = []
    complaints = Complaints()
    for row in read(data, recognised):
        if not isinstance(row, BadRow):
            examples.append(row)
        elif data.bad_rows == "drop":
            bad.append(row)
        else:
            complaints.add(row.source, row.problem, row.fix)
    complaints.raise_if_any()
    return examples, bad


def _where(data: Data) -> str:
    return data.source if isinstance(data.source, str) else data.source[0]
