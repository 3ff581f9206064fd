"""`metrics.jsonl`: everything that training measured and decided, one object a line. What is decided is decided from it.

Four events: `step` (one a step), `validation` (a loss on the validation rows, with its standard error over examples),
`stop` (training ended early), `digest` (a hash of the state, for the proof that a resumed training is a straight one).
Whether a checkpoint is the best and when patience ends are functions of these lines, so that resuming replays them by
reading.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from luthier.core.errors import LuthierError
from luthier.core.files import write_jsonl
from luthier.core.jsonvalue import Json, dump

Entry: TypeAlias = Mapping[str, Any]
TIMES = ("seconds",)
"""Fields that two equal runs do not share."""


class Journal:
    """The lines of one training, in memory and on the disk."""

    def __init__(self, path: Path, step: int) -> None:
        """Open the journal of a training that stands at `step`: lines of later steps are cut off."""
        self.path = path
        kept = [entry for entry in read_entries(path) if entry["step"] <= step] if step else []
        # By event, since every step looks at them again.
        self._entries: dict[str, list[Entry]] = {}
        for entry in kept:
            self._entries.setdefault(entry["event"], []).append(entry)
        write_jsonl(path, [dict(entry) for entry in kept])
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - it stays open for the whole training

    def add(self, event: str, step: int, **fields: Json) -> None:
        """Append one line: what happened when `step` steps were taken."""
        entry: dict[str, Json] = {"event": event, "step": step, **fields}
        self._entries.setdefault(event, []).append(entry)
        try:
            self._file.write(dump(entry) + "\n")
        except OSError as error:
            raise self._full(error) from error

    def sync(self) -> None:
        """Make sure that the lines are on the disk: before each checkpoint, so that none has lines missing."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._full(error) from error

    def close(self) -> None:
        """Close the file; what counts has been synced, so a full disk has been reported already."""
        with contextlib.suppress(OSError):
            self._file.close()

    def of(self, event: str) -> Sequence[Entry]:
        """The entries of one event, in order."""
        return self._entries.get(event, ())

    @property
    def last_validation(self) -> Entry | None:
        """The newest evaluation of a trained state."""
        return max(self._validations, key=lambda entry: entry["step"], default=None)

    @property
    def best(self) -> Entry | None:
        """The evaluation with the lowest loss, the first of equal ones; that of the untrained model does not stand for election."""
        return min(self._validations, key=lambda entry: entry["loss_nats"], default=None)

    @property
    def n_without_improvement(self) -> int:
        """Evaluations since the best one."""
        best = self.best
        return 0 if best is None else sum(entry["step"] > best["step"] for entry in self._validations)

    @property
    def stopped(self) -> bool:
        """Whether training ended early."""
        return bool(self.of("stop"))

    @property
    def _validations(self) -> list[Entry]:
        return [entry for entry in self.of("validation") if entry["step"] > 0]

    def _full(self, error: OSError) -> LuthierError:
        problem = f"it could not be written: {error.strerror or error}"
        return LuthierError(str(self.path), problem, "free space, then give the same command again")


def read_entries(path: Path) -> Iterator[Entry]:
    """The lines of a journal; a last line that a kill cut short is left out."""
    if not path.is_file():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def without_times(entry: Entry) -> dict[str, Any]:
    """An entry without what two equal runs do not share."""
    return {name: value for name, value in entry.items() if name not in TIMES}
