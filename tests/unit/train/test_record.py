"""What was measured is remembered whole or not at all, and never stands in the way of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from luthier.core.jsonvalue import Json
from luthier.train.record import FORMAT, Record, cache_folder, machine


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def five() -> dict[str, Json]:
    return {"seconds": 5}


def never() -> dict[str, Json]:
    raise AssertionError("it was measured before")


def test_a_thing_is_measured_once_and_others_beside_it() -> None:
    record = Record({"width": 8})
    assert record.recall("one", five) == {"seconds": 5}
    assert record.recall("two", lambda: {"seconds": 6}) == {"seconds": 6}
    assert Record({"width": 8}).recall("one", never) == {"seconds": 5}
    written = json.loads(record.path.read_text())
    assert written["about"] == {"format": FORMAT, "width": 8} and written["found"] == {"one": {"seconds": 5}, "two": {"seconds": 6}}
    assert list(record.path.parent.iterdir()) == [record.path]


def test_another_subject_has_a_record_of_its_own() -> None:
    Record({"width": 8}).recall("one", five)
    assert Record({"width": 9}).recall("one", lambda: {"seconds": 6}) == {"seconds": 6}
    assert Record({"width": 8}).recall("one", never) == {"seconds": 5}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"about": 1}', '{"found": {"one": {"seconds": 1}}}', "\x00"])
def test_a_damaged_record_is_measured_anew_and_mended(damage: str) -> None:
    record = Record({"width": 8})
    record.recall("one", lambda: {"seconds": 1})
    record.path.write_text(damage)
    assert record.recall("one", five) == {"seconds": 5}
    assert record.recall("one", never) == {"seconds": 5}


def test_a_record_that_was_edited_is_measured_anew() -> None:
    record = Record({"width": 8})
    record.recall("one", five)
    record.path.write_text(record.path.read_text().replace('"seconds": 5', '"second": 5'))
    assert record.recall("one", lambda: {"seconds": 6}) == {"seconds": 6}


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "file" / "cache"))
    assert Record({}).recall("one", five) == {"seconds": 5}
    assert Record({}).recall("one", lambda: {"seconds": 6}) == {"seconds": 6}


def test_the_first_of_two_who_measure_at_once_is_believed() -> None:
    record = Record({"width": 8})

    def slowly() -> dict[str, Json]:
        Record({"width": 8}).recall("one", five)
        return {"seconds": 6}

    assert record.recall("one", slowly) == {"seconds": 5}


def test_the_folder_is_the_users_unless_another_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", "~/there")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "there"
    monkeypatch.delenv("LUTHIER_CACHE")
    assert cache_folder() == tmp_path / ".cache" / "luthier"


def test_a_machine_is_told_by_its_processor_its_library_and_its_threads() -> None:
    found = machine(torch.device("cpu"))
    assert set(found) == {"device", "processor", "model", "cpus", "threads", "torch"}
    assert found["torch"] == torch.__version__ and found["threads"] == torch.get_num_threads() and found["cpus"] == os.cpu_count()
