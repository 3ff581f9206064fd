"""The folder of what may be made again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from luthier.core.cache import cache_folder, make_room


def write(folder: Path, name: str, n_bytes: int, used_s: int) -> None:
    (folder / name).write_bytes(b"x" * n_bytes)
    os.utime(folder / name, (used_s, used_s))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    for name, n_bytes, used_s in (("old", 10, 100), ("newest", 30, 400), ("older", 20, 50), ("new", 40, 300)):
        write(tmp_path, name, n_bytes, used_s)
    make_room(tmp_path, 100)
    assert names(tmp_path) == {"old", "newest", "older", "new"}
    make_room(tmp_path, 99)
    assert names(tmp_path) == {"old", "newest", "new"}
    make_room(tmp_path, 69)
    assert names(tmp_path) == {"newest"}
    make_room(tmp_path, 0)
    assert names(tmp_path) == set()


def test_the_environment_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("LUTHIER_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "luthier"
