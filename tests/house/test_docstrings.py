"""Everything public says what it is, in more words than its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "luthier"
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.read_text(encoding="utf-8").strip())

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(node: Documented, name: str) -> Iterator[tuple[str, Documented]]:
    """A module, and each public class, function and method in it, with its dotted name."""
    yield name, node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
            yield from public(inner, f"{name}.{inner.name}")


def complaint(node: Documented, name: str) -> str | None:
    """What is wrong with a docstring, None if nothing is."""
    text = ast.get_docstring(node)
    if text is None:
        return f"{name} has no docstring"
    first = text.split("\n\n")[0]
    if not re.search(r"[.!?:](`|\))?$", first.strip()):
        return f"{name}: its first line is no sentence"
    words = set(re.findall(r"\w+", first.lower()))
    own = set(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rsplit(".", 1)[-1]).lower()))
    return None if words - own - {"the", "a", "an", "of"} or "`" in first else f"{name}: its docstring only repeats its name"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_everything_public_has_a_docstring_that_says_more_than_its_name(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [complaint(node, name) for name, node in public(tree, path.stem)]
    assert [one for one in found if one] == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('"""Rows and their hashes."""', []),
        ('"""Rows."""\ndef _a(): 0', []),
        ('"""Rows."""\nclass RowHash:\n    """A row hash."""', ["m.RowHash: its docstring only repeats its name"]),
        ('"""Rows."""\ndef f():\n    """Counts rows"""', ["m.f: its first line is no sentence"]),
        ('"""Rows."""\nclass A:\n    """Some rows."""\n    def g(self): 0', ["m.A.g has no docstring"]),
        ('"""Rows."""\ndef h():\n    """Count rows."""', []),
        ("a = 1", ["m has no docstring"]),
    ],
)
def test_the_law_itself_tells_good_docstrings_from_bad_ones(code: str, said: list[str]) -> None:
    found = [complaint(node, name) for name, node in public(ast.parse(code), "m")]
    assert [one for one in found if one] == said
