from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.files import read_json, write_json
from luthier.core.runs import Run, done_detail, find_run, fingerprint, is_run, lock, mark_done, stage_is_done

HOLD = """
import sys
from pathlib import Path
from luthier.core.runs import Run, lock
with lock(Run(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock of a run until it is killed or its stdin is closed."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_fingerprint_depends_on_content_and_not_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": (1, 2), "a": 1})
    distinct = [{"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": True}, {"a": None}, {"a": [1]}, {}, [2, 1], [1, 2]]
    assert len({fingerprint(value) for value in distinct}) == len(distinct)


def test_a_fingerprint_stays_what_it_was_in_earlier_versions() -> None:
    # printf '{"a":[1,"\\\\u00e9"]}' | sha256sum
    assert fingerprint({"a": [1, "é"]}) == "83a175c500b5b96c13553ef38f7d1acfb22f0f69d64880f0156110554c0b2b0c"


def test_a_stage_is_done_only_for_the_same_fingerprint_and_format(tmp_path: Path) -> None:
    run = Run(tmp_path / "r")
    assert not stage_is_done(run, "prepare", "f")
    mark_done(run, "prepare", "f", {"rows": 3}, 2)
    assert stage_is_done(run, "prepare", "f", 2)
    assert not stage_is_done(run, "prepare", "g", 2)
    assert not stage_is_done(run, "prepare", "f", 3)
    assert not stage_is_done(run, "tune", "f", 2)
    assert done_detail(run, "prepare") == {"rows": 3}
    assert done_detail(run, "tune") is None


def test_another_version_of_the_package_does_not_undo_a_stage(tmp_path: Path) -> None:
    run = Run(tmp_path)
    mark_done(run, "tune", "f")
    content = read_json(run.done("tune"))
    assert isinstance(content, dict) and content.keys() == {"fingerprint", "format", "luthier", "detail"}
    write_json(run.done("tune"), {**content, "luthier": "0.0.0"})
    assert stage_is_done(run, "tune", "f")


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"format": 1}'])
def test_a_done_file_that_is_broken_is_not_done(tmp_path: Path, content: str) -> None:
    run = Run(tmp_path)
    run.done("tune").write_text(content, encoding="utf-8")
    assert not stage_is_done(run, "tune", "f")


def test_two_processes_in_one_run_are_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    first = hold(tmp_path / "r")
    try:
        with pytest.raises(LuthierError, match=f"process {first.pid} is at work in this run") as caught, lock(Run(tmp_path / "r")):
            pass
        assert caught.value.where == str(tmp_path / "r")
    finally:
        first.communicate("")
    with lock(Run(tmp_path / "r")):
        pass


def test_two_holders_in_one_process_are_refused_too(tmp_path: Path) -> None:
    run = Run(tmp_path / "r")
    with lock(run), pytest.raises(LuthierError, match=f"process {os.getpid()} is at work"), lock(run):
        pass
    with lock(run):
        pass


def test_a_lock_left_by_a_killed_process_does_not_matter(tmp_path: Path) -> None:
    first = hold(tmp_path / "r")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    with lock(Run(tmp_path / "r")) as run:
        assert run.lock_file.read_text() == f"luthier run, process {os.getpid()}\n"


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    run = Run(tmp_path / "r")
    with pytest.raises(ZeroDivisionError), lock(run):
        raise ZeroDivisionError
    with lock(run):
        pass


def test_a_folder_with_somebody_elses_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(LuthierError, match=r"it holds thesis\.txt and is not a run of Luthier"), lock(Run(tmp_path)):
        pass
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["recipe.toml", ".lock"])
def test_a_folder_with_a_recipe_or_a_strange_lock_alone_is_not_a_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(LuthierError, match="is not a run"), lock(Run(tmp_path)):
        pass
    assert (tmp_path / name).read_text() == "x"


def test_an_empty_folder_and_one_whose_process_died_while_it_began_can_be_used(tmp_path: Path) -> None:
    with lock(Run(tmp_path)):
        assert is_run(tmp_path)
    (tmp_path / ".lock").write_text("")
    with lock(Run(tmp_path)):
        assert is_run(tmp_path)


def test_a_run_can_be_opened_again_with_its_files(tmp_path: Path) -> None:
    with lock(Run(tmp_path / "r")) as run:
        run.recipe.write_text("x")
    with lock(run):
        assert run.recipe.read_text() == "x"


def test_a_copied_run_without_its_hidden_files_is_still_a_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("x")
    mark_done(Run(tmp_path), "prepare", "f")
    assert is_run(tmp_path)


def test_a_file_where_a_run_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("x")
    with pytest.raises(LuthierError, match="it is a file"), lock(Run(tmp_path / "r")):
        pass
    with pytest.raises(LuthierError, match="it cannot be written to"), lock(Run(tmp_path / "r" / "below")):
        pass


def test_a_run_is_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lock(Run(tmp_path / "runs" / "bank")):
        pass
    assert find_run(tmp_path / "runs", "bank") == Run(tmp_path / "runs" / "bank")
    assert find_run(tmp_path / "elsewhere", str(tmp_path / "runs" / "bank")) == Run(tmp_path / "runs" / "bank")
    monkeypatch.chdir(tmp_path / "runs" / "bank")
    assert find_run(tmp_path / "elsewhere", ".").name == "bank"


def test_a_run_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="there are no runs in"):
        find_run(tmp_path / "runs", "bank")
    for name in ("bank-intents", "reviews"):
        with lock(Run(tmp_path / "runs" / name)):
            pass
    (tmp_path / "runs" / "notes").mkdir()
    with pytest.raises(LuthierError, match='there is no such run. did you mean "bank-intents"?'):
        find_run(tmp_path / "runs", "bank-intent")
    for name in ("zzz", "", "notes"):
        with pytest.raises(LuthierError, match=r"there are bank-intents, reviews\."):
            find_run(tmp_path / "runs", name)
