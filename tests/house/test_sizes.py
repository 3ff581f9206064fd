"""Files, functions and recipe sections stay small enough to be read at one sitting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "luthier"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES, MAX_FUNCTION_LINES, MAX_ARGUMENTS, MAX_OPTIONS = 400, 60, 9, 12


def too_big(source: str) -> Iterator[str]:
    """What in a module's text is larger than it may be."""
    n_lines = len(source.splitlines())
    if n_lines > MAX_LINES:
        yield f"{n_lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if n_lines > MAX_FUNCTION_LINES:
                yield f"{node.name}: {n_lines} lines"
            names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            n_arguments = len([name for name in names if name not in ("self", "cls")])
            if n_arguments > MAX_ARGUMENTS:
                yield f"{node.name}: {n_arguments} arguments"
        elif isinstance(node, ast.ClassDef) and _n_options(node) > MAX_OPTIONS:
            yield f"{node.name}: {_n_options(node)} options"


def _n_options(node: ast.ClassDef) -> int:
    """How many fields of a class are options of a recipe section."""
    calls = [one.value.func for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.value, ast.Call)]
    return sum(getattr(call, "id", getattr(call, "attr", "")) in ("option", "required") for call in calls)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_is_small_and_so_is_everything_in_it(path: Path) -> None:
    assert list(too_big(path.read_text(encoding="utf-8"))) == []


def test_the_law_itself_counts_right() -> None:
    assert list(too_big("\n" * 400)) == [] and list(too_big("\n" * 401)) == ["401 lines"]
    assert list(too_big("def f():\n" + "    a\n" * 59)) == [] and list(too_big("def f():\n" + "    a\n" * 60)) == ["f: 61 lines"]
    assert list(too_big("def f(self, a, b, c, d, e, f, *, g, h, i): 0")) == []
    assert list(too_big("def f(self, a, b, c, d, e, f, *, g, h, i, j): 0")) == ["f: 10 arguments"]
    options = [f"    o{n}: int = option({n}, about='')" for n in range(13)]
    assert list(too_big("\n".join(["class A:", "    kind: str = 'a'", *options[:12]]))) == []
    assert list(too_big("\n".join(["class A:", *options]))) == ["A: 13 options"]
