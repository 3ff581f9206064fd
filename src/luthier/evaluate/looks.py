"""How often a test set has been looked at: each look is a chance to be fooled by luck."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, write_json

LEDGER = "looks.json"


def count_look(runs: Path, gold_hash: str, answers_hash: str, run: str) -> int:
    """Note an evaluation in the ledger beside the runs, and say how many looks this test set has had.

    A look is a set of answers: evaluating the same answers again shows nothing new and counts once, so that a repeated
    run gives the same report. The ledger is `looks.json` in `runs`: test set's hash → answers' hash → first run's name.

    Raises:
        LuthierError: the ledger cannot be read; it is never silently begun anew, for that would forget the looks.

    """
    path = runs / LEDGER
    runs.mkdir(parents=True, exist_ok=True)
    with open(runs / f".{LEDGER}.lock", "w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        ledger = _read(path)
        looks = ledger.setdefault(gold_hash, {})
        if answers_hash not in looks:
            looks[answers_hash] = run
            write_json(path, ledger)
        return len(looks)


def _read(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    try:
        found = read_json(path)
    except ValueError as error:
        raise LuthierError(str(path), "it is not JSON", "restore it, or delete it to count looks anew") from error
    if not isinstance(found, Mapping) or not all(isinstance(looks, Mapping) for looks in found.values()):
        raise LuthierError(str(path), "it is not a ledger of looks", "restore it, or delete it to count looks anew")
    return {str(name): {str(key): str(run) for key, run in looks.items()} for name, looks in found.items() if isinstance(looks, Mapping)}
