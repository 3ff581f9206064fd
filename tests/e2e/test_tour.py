"""The ten-minute tour, typed as it stands there: each command's output is the one that is shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.sessions import is_as_shown, run_session, sessions

TOUR = ROOT / "docs" / "tour.md"
TYPED = sessions(TOUR.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_tour_goes_as_it_says(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copytree(ROOT / "examples", clone / "examples")
    wrong = [
        f"docs/tour.md:{one.typed.line}: $ {one.typed.command}\n(exit code {one.code})\n{one.said}\n"
        for one in run_session(TYPED, clone)
        if not is_as_shown(one.said, one.typed.shown)
    ]
    assert not wrong, "\n".join(["the output is another than the one shown:", *wrong])


def test_the_tour_meets_every_stage_from_a_file_to_an_endpoint() -> None:
    commands = " ".join(one.command for one in TYPED)
    for verb in ("new", "check", "run", "show", "report", "predict", "chat", "compare", "serve"):
        assert f"luthier {verb} " in commands, verb
    assert "curl" in commands
    assert "OpenAI" in commands


@pytest.mark.parametrize(
    ("said", "shown", "same"),
    [
        ("a\nb", ["a", "b"], True),
        ("a\nb", ["a"], False),
        ("a", ["a", "b"], False),
        ("took 3.1 s", ["took … s"], True),
        ("took 3.1 min", ["took … s"], False),
        ("a\nx\ny\nb", ["a", "…", "b"], True),
        ("a\nb", ["a", "…", "b"], True),
        ("a\nx\ny", ["a", "…", "b"], False),
        ("a.c", ["abc"], False),
        ("", [], True),
        ("a", [], False),
        ("a  ", ["a"], True),
    ],
)
def test_three_dots_stand_for_anything_in_a_line_or_for_any_lines(said: str, shown: list[str], same: bool) -> None:
    assert is_as_shown(said, shown) is same


def test_commands_are_read_with_the_lines_that_they_go_on_in_and_what_is_shown_below_them() -> None:
    text = "x\n```console\n$ cat > a <<'END'\n> one\n>\n> two\n> END\n$ cat a\none\n\ntwo\n```\n$ not this\n```sh\n$ nor this\n```\n"
    found = sessions(text)
    assert [(one.command, one.shown, one.line) for one in found] == [
        ("cat > a <<'END'\none\n\ntwo\nEND", (), 3), ("cat a", ("one", "", "two"), 8),
    ]  # fmt: skip


def test_what_is_typed_goes_into_one_shell_which_remembers(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    lines = ["$ A=1; mkdir in; cd in", "$ echo $A; basename $PWD; echo wrong >&2; false", "$ cat > f <<'END'", "> 8000", "> END", "$ cat f"]
    ran = run_session(sessions("\n".join(["```console", *lines, "```"])), folder)
    assert [(one.code, one.said) for one in ran] == [(0, ""), (1, "1\nin\nwrong"), (0, ""), (0, "8000")]
