"""The README, read as somebody new would: every command in it is given, and every recipe and file that it names is there."""

from __future__ import annotations

import csv
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.made_models import messages_of
from tests.sessions import Ran, Typed, lines_to_type, run_session

from luthier.stages.recipe import load_recipe

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = lines_to_type(README)
HELD = 3


def tickets(path: Path, n: int, seed: int) -> None:
    """Rows with the columns that the README's recipe names."""
    draw = random.Random(seed)
    rows = [{"message": one["message"], "team": one["intent"], "customer_id": f"C{draw.randrange(n)}"} for one in messages_of(n, seed)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """What came of each command, by its first two words, given in the README's order in a folder with `tickets.csv` and `new.csv`."""
    folder = tmp_path_factory.mktemp("readme")
    tickets(folder / "tickets.csv", 90, 0)
    tickets(folder / "new.csv", 9, 1)
    (snippet,) = [one for one in re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if "OpenAI" in one]
    typed: list[str] = []
    for line in LINES:
        command = line.partition(" #")[0].strip()
        if command.startswith("luthier serve"):
            wait = "until curl -sf http://127.0.0.1:8000/ready >/dev/null || ! kill -0 $!; do sleep 0.2; done"
            typed += [f"{command} --port 8000 > server.log 2>&1 &\n{wait}"]
        elif not command.startswith("make"):
            typed.append(line)
    typed += [f"python - <<'END'\n{snippet}END", "kill $!; wait $!; cat server.log"]
    ran = run_session([Typed(one, (), i) for i, one in enumerate(typed)], folder)
    return {" ".join(one.typed.command.split()[:2]): one for one in ran}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_every_command_of_the_readme_works_in_the_order_in_which_it_stands_there(said: dict[str, Ran]) -> None:
    codes = {name: one.code for name, one in said.items() if not name.startswith("kill")}
    assert codes.pop("luthier run") in (0, HELD), said["luthier run"].said
    assert {name: code for name, code in codes.items() if code} == {}, said
    assert {"luthier new", "luthier check", "luthier report", "luthier predict", "luthier chat", "luthier serve"} <= set(codes)
    assert "9 rows answered in out.csv" in said["luthier predict"].said
    assert said["luthier report"].said.endswith("runs/tickets/evaluation/report.html")
    labels = {one["intent"] for one in messages_of(3)}
    assert said["python -"].said in labels
    (curl,) = (one for name, one in said.items() if name.startswith("curl"))
    assert re.search(rf'"content":\s*"({"|".join(labels)})"', curl.said)


def test_what_make_is_asked_for_in_the_readme_sets_everything_up_by_itself() -> None:
    targets = [line.split()[1] for line in LINES if line.startswith("make ")]
    assert targets == ["demo", "test"]
    begins = ["-m venv absent", 'absent/bin/pip install -q "torch']
    for target, then in (
        ("demo", ["absent/bin/pip install -q -e .\n", "absent/bin/luthier demo"]),
        ("test", ['absent/bin/pip install -q -e ".[dev]"', "absent/bin/ruff", "absent/bin/mypy", "absent/bin/python -m pytest"]),
    ):
        wanted = [*begins, *then]
        planned = subprocess.run(["make", "-n", target, "VENV=absent"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert all(step in planned for step in wanted), planned
        assert sorted(wanted, key=planned.index) == wanted


def test_the_recipe_in_the_readme_is_one(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"^```toml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "tickets.toml").write_text(recipe, encoding="utf-8")
    found = load_recipe(tmp_path / "tickets.toml")
    assert (found.name, found.goal.task, found.data.group) == ("tickets", "classify", "customer_id")


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "examples/README.md"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_links_to_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [*re.findall(r"\]\(([^)#\s]+)", text), *re.findall(r'(?:src|srcset|href)="([^"#]+)"', text)]
    assert [one for one in links if "://" not in one and not (path.parent / one).exists()] == []


def test_every_page_of_the_documents_is_linked_to_from_another_that_people_read() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    linked = {Path(one).name for path, text in texts.items() for one in re.findall(r"\]\(([^)#\s]+)", text) if Path(one).name != path.name}
    assert pages - linked == set()
