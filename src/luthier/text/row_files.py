"""Rows in a file of their own: small, read back bit for bit, and checked against the digest of what was written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from luthier.core.files import text_hash
from luthier.core.jsonvalue import Json, canonical
from luthier.text.rows import Row, rows_digest

Units = Sequence[tuple[Row, ...]]


@dataclass(frozen=True, eq=False)
class KeptRows:
    """The rows of some examples, those of one example together.

    `places` says for each unit which of the examples it came from, `counts` what else is worth keeping of the making.
    """

    units: Units
    places: tuple[int, ...]
    counts: Mapping[str, int]

    def digest(self) -> str:
        """SHA-256 over everything that is kept, as hex."""
        sizes: list[Json] = [len(unit) for unit in self.units]
        rows = rows_digest(row for unit in self.units for row in unit)
        return text_hash(canonical({"rows": rows, "sizes": sizes, "places": list(self.places), "counts": dict(self.counts)}))


def can_be_kept(units: Units, ids: Sequence[str]) -> bool:
    """Whether rows are tokens, weights and classes only, and named after their examples: all that a file holds of them."""
    return all(row.id == id_ and not row.group and not row.channels for unit, id_ in zip(units, ids, strict=True) for row in unit)


def save_rows(path: Path, kept: KeptRows) -> None:
    """Write the file, whole or not at all.

    Raises:
        OSError: it cannot be written.

    """
    rows = [row for unit in kept.units for row in unit]
    tokens = np.concatenate([row.tokens for row in rows]) if rows else np.zeros(0, dtype=np.int64)
    weights = np.concatenate([row.weights for row in rows]) if rows else np.zeros(0, dtype=np.float32)
    assert not rows or (tokens.min() >= 0 and tokens.max() < 2**32), "a token id is a number below 2^32"
    small = np.uint16 if not rows or tokens.max() < 2**16 else np.uint32
    begins = np.flatnonzero(np.r_[True, weights[1:] != weights[:-1]][: len(weights)])  # of stretches of one weight
    arrays: dict[str, NDArray[Any]] = {
        "tokens": tokens.astype(small),
        "weights": weights[begins],
        "weight_lengths": np.diff(np.r_[begins, len(weights)]).astype(np.int64),
        "row_lengths": np.array([row.n_tokens for row in rows], dtype=np.int64),
        "targets": np.array([-1 if row.target is None else row.target for row in rows], dtype=np.int64),
        "unit_sizes": np.array([len(unit) for unit in kept.units], dtype=np.int64),
        "places": np.array(kept.places, dtype=np.int64),
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    own = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # two processes may be writing the same rows
    try:
        own.touch(mode=0o600)
        save_file(arrays, own, {"digest": kept.digest(), "counts": canonical(dict(kept.counts))})
        os.replace(own, path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        own.unlink(missing_ok=True)


def load_rows(path: Path, ids: Sequence[str], counts: Sequence[str]) -> KeptRows | None:
    """What `save_rows` wrote for examples of these ids; None where there is no such file, or it is not as it was written.

    Args:
        path: the file.
        ids: of all examples, those that gave no rows included.
        counts: the names of what was counted.

    """
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
            said = file.metadata()
        found = KeptRows(_units(arrays, ids), tuple(arrays["places"].tolist()), _counts(said["counts"], counts))
        return found if found.digest() == said["digest"] else None
    except (OSError, SafetensorError, KeyError, ValueError, IndexError, TypeError, AssertionError):
        return None


def _counts(text: str, names: Sequence[str]) -> dict[str, int]:
    found = json.loads(text)
    return {name: int(found[name]) for name in names}


def _units(arrays: Mapping[str, NDArray[Any]], ids: Sequence[str]) -> list[tuple[Row, ...]]:
    """All rows as views of one array of tokens and one of weights."""
    tokens = arrays["tokens"].astype(np.int64)
    for name in ("weight_lengths", "row_lengths"):  # before a damaged number asks for all memory
        if not ((arrays[name] >= 0) & (arrays[name] <= len(tokens))).all() or arrays[name].sum() != len(tokens):
            raise ValueError(f"{name} are not those of {len(tokens)} tokens")
    weights = np.repeat(arrays["weights"], arrays["weight_lengths"]).astype(np.float32, copy=False)
    ends = np.cumsum(arrays["row_lengths"]).tolist()
    targets = arrays["targets"].tolist()
    units, r, start = [], 0, 0
    for size, place in zip(arrays["unit_sizes"].tolist(), arrays["places"].tolist(), strict=True):
        unit = []
        for _ in range(size):
            target = None if targets[r] < 0 else targets[r]
            unit.append(Row(tokens[start : ends[r]], weights[start : ends[r]], id=ids[place], target=target))
            start, r = ends[r], r + 1
        units.append(tuple(unit))
    return units
