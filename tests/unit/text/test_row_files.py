"""Rows in files: read back as they were written, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from luthier.text.row_files import KeptRows, can_be_kept, load_rows, save_rows
from luthier.text.rows import Row, make_row

IDS = ("a", "b", "c", "d")
COUNTS = {"n_cut": 2, "n_dropped": 1}
KEPT = KeptRows(
    [
        (make_row([1, 2, 3], [0, 0, 1], id="a"), make_row([7], [0], id="a")),
        (make_row([9, 70_000, 4, 5, 6], [0, 0.1, 0.1, 0, 2.5], id="c", target=0),),
        (make_row([2**32 - 1, 0], [0, 1], id="d", target=76),),
    ],
    (0, 2, 3),
    COUNTS,
)


def same(first: Row, second: Row) -> bool:
    arrays = ((first.tokens, second.tokens), (first.weights, second.weights))
    return (first.id, first.target) == (second.id, second.target) and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays)


def check(found: KeptRows | None, wanted: KeptRows = KEPT) -> None:
    assert found is not None and (found.places, found.counts) == (wanted.places, wanted.counts)
    assert list(map(len, found.units)) == list(map(len, wanted.units))
    assert all(same(a, b) for x, y in zip(found.units, wanted.units, strict=True) for a, b in zip(x, y, strict=True))


def test_rows_are_read_back_bit_for_bit(tmp_path: Path) -> None:
    save_rows(tmp_path / "made" / "rows", KEPT)
    check(load_rows(tmp_path / "made" / "rows", IDS, tuple(COUNTS)))
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["rows"]
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0 and (tmp_path / "made" / "rows").stat().st_mode & 0o077 == 0


def test_small_tokens_take_two_bytes_each(tmp_path: Path) -> None:
    small = KeptRows([(make_row([2**16 - 1] * 5_000, id="a"),)], (0,), COUNTS)
    save_rows(tmp_path / "rows", small)
    check(load_rows(tmp_path / "rows", IDS, tuple(COUNTS)), small)
    assert 10_000 < (tmp_path / "rows").stat().st_size < 11_000


def test_no_rows_at_all_are_rows_too(tmp_path: Path) -> None:
    nothing = KeptRows([], (), COUNTS)
    save_rows(tmp_path / "rows", nothing)
    check(load_rows(tmp_path / "rows", IDS, tuple(COUNTS)), nothing)


def test_what_is_not_there_or_cut_off_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    assert load_rows(path, IDS, tuple(COUNTS)) is None
    save_rows(path, KEPT)
    whole = path.read_bytes()
    for n in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:n])
        assert load_rows(path, IDS, tuple(COUNTS)) is None


def test_a_flipped_bit_anywhere_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    save_rows(path, KEPT)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        found = load_rows(path, IDS, tuple(COUNTS))
        if found is not None:  # a bit that means nothing, such as a space of the header
            check(found)


@pytest.mark.parametrize("name", ["tokens", "weights", "weight_lengths", "row_lengths", "targets", "unit_sizes", "places"])
def test_each_part_is_checked(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows"
    save_rows(path, KEPT)
    with safe_open(path, framework="np") as file:
        arrays, said = {one: file.get_tensor(one) for one in file.keys()}, file.metadata()  # noqa: SIM118
    save_file({**arrays, name: arrays[name][::-1].copy()}, path, said)
    assert load_rows(path, IDS, tuple(COUNTS)) is None
    del arrays[name]
    save_file(arrays, path, said)
    assert load_rows(path, IDS, tuple(COUNTS)) is None


def test_other_counts_are_other_rows(tmp_path: Path) -> None:
    save_rows(tmp_path / "rows", KEPT)
    assert load_rows(tmp_path / "rows", IDS, ("n_cut",)) is None
    assert load_rows(tmp_path / "rows", IDS, ("n_cut", "n_dropped", "n_other")) is None


def test_rows_that_hold_more_than_a_file_does_are_not_kept() -> None:
    assert can_be_kept(KEPT.units, ("a", "c", "d"))
    assert not can_be_kept(KEPT.units, ("a", "c", "e"))
    assert not can_be_kept([(make_row([1], id="a", group="g"),)], ("a",))
    assert not can_be_kept([(make_row([1], id="a", channels={"margin": 1.0}),)], ("a",))
