"""Keys lie in files of their own, for their owner's eyes alone, and are never half there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.secret_keys import KEY_BYTES, key_file, read_key, read_or_make_key, secrets_folder


def test_a_key_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "secrets"
    key = read_or_make_key(folder, "personal")
    assert len(key) == KEY_BYTES and len(set(key)) > 8
    assert read_or_make_key(folder, "personal") == key == read_key(folder, "personal")
    assert read_or_make_key(folder, "other") != key
    assert key_file(folder, "personal").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(one.name for one in folder.iterdir()) == ["other.key", "personal.key"]


def test_processes_that_make_it_at_once_end_up_with_one(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    found: list[bytes] = []

    def make() -> None:
        start.wait()
        found.append(read_or_make_key(tmp_path / "secrets", "personal"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0o600, "there is no such key"),
        ("luthier-key-1:" + "ab" * 32, 0o640, "others than its owner may use it (mode 640)"),
        ("luthier-key-1:" + "ab" * 31, 0o600, "it is not a key of Luthier's"),
        ("luthier-key-1:" + "zz" * 32, 0o600, "it is not a key of Luthier's"),
        ("ab" * 32, 0o600, "it is not a key of Luthier's"),
        ("", 0o600, "it is not a key of Luthier's"),
        ("é", 0o600, "it cannot be read"),
    ],
)
def test_a_key_that_cannot_be_trusted_is_refused_without_being_shown(tmp_path: Path, content: str | None, mode: int, said: str) -> None:
    path = key_file(tmp_path, "personal")
    if content is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
    with pytest.raises(LuthierError) as caught:
        read_key(tmp_path, "personal")
    assert caught.value.problem.startswith(said) and str(path) == caught.value.where
    assert "abab" not in str(caught.value) and "zzzz" not in str(caught.value)


def test_a_broken_key_is_never_replaced_by_a_new_one(tmp_path: Path) -> None:
    key_file(tmp_path, "personal").write_text("oops", encoding="utf-8")
    key_file(tmp_path, "personal").chmod(0o600)
    with pytest.raises(LuthierError):
        read_or_make_key(tmp_path, "personal")
    assert key_file(tmp_path, "personal").read_text(encoding="utf-8") == "oops"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(LuthierError, match="LUTHIER_SECRETS"):
        read_or_make_key(tmp_path / "file", "personal")


def test_the_folder_is_the_one_that_the_environment_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUTHIER_SECRETS", str(tmp_path / "keys"))
    assert secrets_folder() == tmp_path / "keys"
    monkeypatch.delenv("LUTHIER_SECRETS")
    assert secrets_folder() == Path(os.path.expanduser("~")) / ".config" / "luthier" / "secrets"
