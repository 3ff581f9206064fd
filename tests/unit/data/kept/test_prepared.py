"""The hash of the test rows: of their content alone, in whichever order, and in little memory."""

from __future__ import annotations

import hashlib
import random
import tracemalloc

import pytest

from luthier.core.examples import AnyExample, Labelled, to_record
from luthier.core.jsonvalue import canonical
from luthier.data.kept import prepared
from luthier.data.kept.prepared import RowsHash, rows_hash


def rows_of(n: int) -> list[AnyExample]:
    draw = random.Random(0)
    texts = ["", "a", "a", 'ä\n"b"', "\ud800", "\U0001f3bb"]
    texts += ["".join(draw.choices("ab \u00e9\n", k=draw.randrange(40))) for _ in range(n)]
    return [Labelled(f"r{i % 50}", text, draw.choice("xy"), source=f"a.csv:{i}") for i, text in enumerate(texts)]


@pytest.mark.parametrize("n", [0, 1, 200])
@pytest.mark.parametrize("n_files", [2, 64])
def test_the_hash_of_rows_is_that_of_their_lines_in_order_however_much_of_them_is_held(
    n: int, n_files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(n) if n != 1 else rows_of(0)[:1]
    records = [{name: value for name, value in to_record(row).items() if name != "source"} for row in rows]
    by_hand = hashlib.sha256(b"\n".join(sorted(canonical(one).encode("utf-8", "backslashreplace") for one in records))).hexdigest()
    assert rows_hash(rows) == by_hand
    monkeypatch.setattr(prepared, "_BYTES_SORTED", 300)
    monkeypatch.setattr(prepared, "_MOST_FILES", n_files)
    for order in range(3):
        assert rows_hash(random.Random(order).sample(rows, len(rows))) == by_hand
    assert rows_hash(rows[1:]) != by_hand


def test_of_many_rows_little_is_held_while_they_are_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "_BYTES_SORTED", 200_000)
    found = RowsHash()
    tracemalloc.start()
    for i in range(3_000):
        found.add(Labelled(f"r{i}", f"{i} " * 200, "x"))
    found.hexdigest()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_200_000
