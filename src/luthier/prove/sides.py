"""Proofs about the split, from the files as they are now: nothing is shared between sides, and nobody touched the test rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import get_args

from luthier.core.examples import AnyExample
from luthier.core.proofs import Proof
from luthier.data.kept.prepared import rows_hash
from luthier.data.sides.certificate import Certificate, certify
from luthier.data.sides.split import Side

MOST_ROWS = 50_000
"""Rows up to which near-duplicates are joined again; beyond it groups alone are, and the join of `prepare` is cited."""


def split_certificate(rows: Sequence[tuple[AnyExample, str]], recorded: Certificate) -> Proof:
    """Join the rows again, by group and by similarity, from (example, side) pairs as they stand in the file.

    Args:
        rows: what `kept.jsonl.gz` holds.
        recorded: the certificate that `prepare` wrote; its group column and threshold are used.

    """
    joined = len(rows) <= MOST_ROWS
    found = certify(rows if joined else _without_text(rows), recorded.group_column, recorded.threshold)
    near = found.near_duplicates_shared if joined else recorded.near_duplicates_shared
    counts = {side: sum(on == side for _, on in rows) for side in get_args(Side)}
    sizes = ", ".join(f"{n:,} {side}" for side, n in counts.items())
    group = f"by {recorded.group_column!r}" if recorded.group_column else "there is no group column"
    how = "joined again exactly" if joined else f"joined when they were prepared; beyond {MOST_ROWS:,} rows groups alone are joined again"
    said = f"{sizes}: {found.groups_shared:,} groups stand on two sides ({group}); {near:,} near-duplicates of validation or test rows do"
    known = sum(counts.values()) == len(rows)
    return Proof(known and not found.groups_shared and not near, f"{said} (Jaccard from {recorded.threshold:g}, {how})")


def test_untouched(test: Sequence[AnyExample], recorded: Collection[str], trained: Collection[str]) -> Proof:
    """The test rows are those whose hash was recorded when they were set aside, before training, and none was trained on.

    Args:
        test: the test rows as they are now.
        recorded: the hashes that the files of `prepare` hold.
        trained: the ids of the rows that were trained on or chosen by.

    """
    now = rows_hash(test)
    inside = [example.id for example in test if example.id in trained]
    before = ", ".join(sorted({one[:12] for one in recorded}))
    said = f"SHA-256 of the {len(test):,} test rows: {before}… when they were set aside, {now[:12]}… now"
    said += f"; {len(inside):,} of them are among the {len(trained):,} rows of training and validation"
    return Proof(set(recorded) == {now} and not inside, said)


def _without_text(rows: Sequence[tuple[AnyExample, str]]) -> list[tuple[AnyExample, str]]:
    return [(example.map_text(lambda text: ""), side) for example, side in rows]
