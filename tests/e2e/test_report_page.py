"""The page of real runs, through the command line; and in a browser where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.e2e.conftest import Ran, Recipes
from tests.made_models import luthier
from tests.pages import addresses, numbers, parsed, words

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.parametrize("task", ["classify", "answer", "chat", "pretrain"])
def test_a_run_of_each_task_has_a_page_with_the_numbers_of_its_report(task: str, workplace: Path, recipes: Recipes) -> None:
    assert luthier("run", recipes(workplace, task)).code in (0, 3)
    said = luthier("report", task)
    assert said.code == 0, said.err
    path = Path(said.out.strip())
    assert path == Path("runs") / task / "evaluation" / "report.html"
    page = path.read_text(encoding="utf-8")
    document = parsed(page)
    report = json.loads(path.with_name("report.json").read_text())
    shown = numbers(page)
    for found in report["systems"].values():
        for one in found.values():
            assert one["value"] is None or {one["value"], one["low"], one["high"], float(one["n"])} <= shown
    for one in report["comparisons"]:
        assert one["difference"] is None or {one["difference"], one["low"], one["high"], one["p"], one["p_holm"]} <= shown
    text = words(page)
    assert report["verdict"] in text[:60].lower()
    assert all(reason["claim"] in text for reason in report["reasons"])
    assert len(list(document.iter("figure"))) >= 3
    assert [one for one in addresses(page) if not one.startswith("#")] == []
    before = path.read_bytes()
    assert luthier("report", task, "--json").json == {"page": str(path)}
    assert path.read_bytes() == before


def test_two_runs_of_one_recipe_have_the_same_page(ran: Ran) -> None:
    assert luthier("run", ran.recipe, "--runs", "again").code in (0, 3)
    pages = []
    for runs in ("runs", "again"):
        pages.append(Path(luthier("report", "classify", "--runs", runs).out.strip()).read_bytes())
    assert pages[0] == pages[1]


def test_compare_writes_a_page_beside_the_runs_or_where_it_is_told(ran: Ran) -> None:
    made = ran.recipe
    other = made.with_name("other.toml")
    other.write_text(made.read_text().replace('name = "classify"', 'name = "other"'))
    assert luthier("run", other, "--set", "method.kind=full", "--set", "train.epochs=3").code in (0, 3)
    said = luthier("compare", "classify", "other")
    assert said.code == 0, said.err
    path = Path("runs/compare-classify-other.html")
    assert said.out.endswith(f"Page: {path}\n")
    page = path.read_text(encoding="utf-8")
    parsed(page)
    assert "method.kind" in words(page) and "run:classify" in words(page)
    told = luthier("compare", "classify", "other", "--page", "here/there.html", "--json").json
    assert told["page"] == "here/there.html" and Path("here/there.html").read_bytes() == path.read_bytes()
    assert {one["metric"] for one in told["other_comparisons"]} >= {"accuracy"}
    assert luthier("report", "runs").code == 2


def test_what_is_not_there_is_refused_and_nothing_is_written(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    assert luthier("report", "missing").code == 2
    assert luthier("prepare", made).code == 0
    said = luthier("report", "classify", "--json")
    assert said.code == 2 and "has no report" in said.json["errors"][0]["problem"]
    assert not Path("runs/classify/evaluation").exists()


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
def test_a_browser_shows_the_page_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    from tests.made_runs import write_run

    from luthier.stages.report import write_page

    path = write_page(write_run(tmp_path / "made"))
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert re.search(r'<h2 id="proven">', done.stdout)
    assert "Refused to" not in done.stderr and "net::ERR" not in done.stderr
