"""Imports go down the layers, and never sideways."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "luthier"
LAYERS = (
    ("core",),
    ("data", "text"),
    ("models",),
    ("methods", "objectives"),
    ("train", "generate", "retrieve"),
    ("evaluate", "prove"),
    ("serve", "watch", "annotate"),
    ("stages",),
    ("cli", "studio"),
)
LAYER_OF = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}
MAP = SOURCE.parents[1] / "docs" / "map.md"
ROOMS = (
    "tools", "engine", "decisions", "files", "shapes", "readers", "personal", "cleaning", "likeness", "sides", "source", "augment", "steps",
    "pipeline", "kept", "execution", "profile",
)  # fmt: skip
"""The rooms of `data`, and the modules that stand between them: each imports only those before it."""
FILES = sorted(SOURCE.rglob("*.py"))
FOREIGN = {
    "core": {"torch", "transformers", "tokenizers", "polars", "sklearn", "matplotlib", "peft"},
    "data": {"torch", "transformers", "tokenizers", "peft"},
    "text": {"transformers", "peft"},
}


def imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Each dotted name that a module imports, wherever in it, with relative imports resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            yield from ((*module, alias.name) for alias in node.names)


def complaint(importer: str, target: tuple[str, ...]) -> str | None:
    """What is wrong with an import, in a module of the package `importer` (empty: the top), None if nothing is."""
    if target[0] != "luthier":
        return f"{importer} must do without {target[0]}" if target[0] in FOREIGN.get(importer, ()) else None
    if len(target) < 2 or target[1] not in LAYER_OF or target[1] == importer:
        return None
    if importer and LAYER_OF[target[1]] >= LAYER_OF[importer]:
        return f"{importer} (layer {LAYER_OF[importer]}) imports {target[1]} (layer {LAYER_OF[target[1]]})"
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    package = ("luthier", *path.relative_to(SOURCE).parent.parts)
    importer = package[1] if len(package) > 1 and package[1] in LAYER_OF else ""
    found = [complaint(importer, target) for target in imported(ast.parse(path.read_text(encoding="utf-8")), package)]
    assert [one for one in found if one] == []


def upward(room: str, targets: Iterable[tuple[str, ...]]) -> list[str]:
    """The rooms of `data` that come after this one and are imported by it."""
    found = {target[2] for target in targets if target[:2] == ("luthier", "data") and len(target) > 2}
    return sorted(name for name in found if ROOMS.index(name) > ROOMS.index(room))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_data_imports_only_rooms_before_it(room: str) -> None:
    place = SOURCE / "data" / room
    paths = sorted(place.rglob("*.py")) or [place.with_suffix(".py")]
    trees = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]
    found = {path.name: upward(room, imported(tree, ("luthier", *path.relative_to(SOURCE).parent.parts))) for path, tree in trees}
    assert {name: rooms for name, rooms in found.items() if rooms} == {}


def test_everything_in_data_is_a_room_or_stands_between_rooms_and_the_map_lists_it_in_that_order() -> None:
    there = {path.stem for path in (SOURCE / "data").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__"} == set(ROOMS) and len(set(ROOMS)) == len(ROOMS)
    section = MAP.read_text(encoding="utf-8").partition("## The rooms of `data/`")[2].partition("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)/?`", " ".join(first_cells)) == list(ROOMS)


def test_the_law_of_rooms_itself_sees_imports_that_lead_up_and_no_others() -> None:
    def said(room: str, code: str) -> list[str]:
        return upward(room, imported(ast.parse(code), ("luthier", "data", room)))

    assert said("files", "from luthier.data.shapes import columns") == ["shapes"]
    assert said("files", "def f():\n    from luthier.data import pipeline, files") == ["pipeline"]
    assert said("files", "from ..execution.spool import Spool\nimport luthier.data.kept.versions") == ["execution", "kept"]
    assert said("execution", "from luthier.data.files.record import Record\nfrom luthier.data.execution.spool import Spool") == []
    assert said("files", "from luthier.core.errors import LuthierError\nimport json") == []


def test_every_package_with_code_has_a_layer() -> None:
    with_code = {path.relative_to(SOURCE).parts[0] for path in FILES if path.parent != SOURCE}
    assert with_code - set(LAYER_OF) - {"demo"} == set()


@pytest.mark.parametrize(
    ("importer", "code", "wrong"),
    [
        ("core", "from luthier.text import rows", True),
        ("core", "import luthier.text", True),
        ("core", "def f():\n    import torch.nn", True),
        ("core", "import json", False),
        ("data", "from luthier.text.rows import Row", True),
        ("data", "from luthier import text", True),
        ("data", "from ..text import rows", True),
        ("data", "from . import readers", False),
        ("data", "from luthier.core.errors import LuthierError", False),
        ("data", "from luthier import __version__", False),
        ("text", "import transformers", True),
        ("text", "import torch", False),
        ("stages", "from luthier.train import fit", False),
        ("stages", "from luthier.cli import main", True),
    ],
)
def test_the_law_itself_sees_each_kind_of_import(importer: str, code: str, wrong: bool) -> None:
    found = [complaint(importer, target) for target in imported(ast.parse(code), ("luthier", importer))]
    assert any(found) is wrong
