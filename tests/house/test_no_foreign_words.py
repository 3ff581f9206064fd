"""No stubs, no notes to ourselves, no paths of the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".toml", ".sh", ".html", ".jinja", ".txt", ""}
FILES = sorted(
    path
    for top in ("src", "docs", "examples", "recipes", "bench", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", ".ci")
    for path in ([ROOT / top] if (ROOT / top).is_file() else (ROOT / top).rglob("*"))
    if path.is_file() and path.suffix in TEXT
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
STUB = re.compile(r"raise NotImplementedError\s*(\(\s*\))?\s*$", re.MULTILINE)
MACHINE = re.compile(r"(?<![\w.$})~/-])/(tmp|home|root|Users|mnt|srv|var/folders)/\w")


def complaints(text: str) -> list[str]:
    """What a text of the project must not say."""
    found = [one for law in (UNFINISHED, STUB, MACHINE) for one in law.finditer(text)]
    return [f"line {text.count(chr(10), 0, one.start()) + 1}: {one[0]}" for one in found]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_finished_and_says_nothing_of_the_machine(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8")) == []


def test_the_law_itself_sees_what_it_forbids() -> None:
    unfinished = "TO" + "DO"
    assert complaints(f"a\n# {unfinished}: later") == [f"line 2: {unfinished}"]
    assert complaints("    raise NotImplementedError") and complaints("    raise NotImplementedError()")
    assert all(complaints(f"see {mark}/{top}/x") for mark in ("", "`", '"') for top in ("home", "tmp", "srv"))
    assert all(
        complaints(f"{before}/{top}/x and mastodon") == [] for before in ("shared", "https://a.org", "~") for top in ("home", "tmp", "srv")
    )
    assert complaints('raise NotImplementedError(f"{name} must say what its fields are")') == []
