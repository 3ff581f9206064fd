"""The pages by axe-core's rules (Deque, the engine behind most audits of WCAG), in headless Chromium, in light and in dark.

Neither is among the development requirements: axe-core is found by `LUTHIER_AXE` (the path of an axe.min.js), or in the
package axe-playwright-python or axe-core-python where one is installed (`pip install --no-deps axe-playwright-python`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import string
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.made_profiles import Letters, labelled, profile
from tests.made_runs import Made, write_replies, write_run

from luthier.core.examples import Labelled
from luthier.data.pipeline import DroppedRow
from luthier.data.profile.page import About, profile_page
from luthier.data.profile.private import Privacy
from luthier.data.profile.tokens import Model
from luthier.evaluate.page.compare_page import compare_page
from luthier.evaluate.page.material import read_material
from luthier.evaluate.page.report_page import report_page
from luthier.evaluate.page.runs_compared import compared

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def axe() -> Path | None:
    """The script, None where there is none."""
    told = os.environ.get("LUTHIER_AXE")
    if told:
        return Path(told)
    for name in ("axe_playwright_python", "axe_core_python"):
        found = importlib.util.find_spec(name)
        for place in (found.submodule_search_locations or ()) if found is not None else ():
            if (Path(place) / "axe.min.js").is_file():
                return Path(place) / "axe.min.js"
    return None


AXE = axe()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here"),
    pytest.mark.skipif(AXE is None, reason="axe-core is not here: set LUTHIER_AXE to an axe.min.js, or install axe-playwright-python"),
]
RUN = """
axe.run(document, {{ resultTypes: ['violations'] }}).then(
  found => {{ document.body.innerHTML = ''; document.body.textContent = '[[' + JSON.stringify(found) + ']]'; }},
  error => {{ document.body.textContent = '[[' + JSON.stringify({{ error: String(error) }}) + ']]'; }});
"""


def judged(page: str, folder: Path, dark: bool) -> Any:
    """What axe says of a page: its rules with the places that break them."""
    assert BROWSER is not None and AXE is not None
    # The page allows no script; the copy that is judged has one, and nothing else is changed.
    free = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page)
    scripts = f"<script>{AXE.read_text(encoding='utf-8')}</script><script>{RUN.format()}</script>"
    path = folder / "page.html"
    path.write_text(free.replace("</body>", f"{scripts}</body>"), encoding="utf-8")
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", f"--user-data-dir={folder / 'profile'}", "--window-size=1000,900",
         f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=60000", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    said = re.search(r"\[\[(\{.*\})\]\]", done.stdout, re.DOTALL)
    assert said is not None, f"axe said nothing: {done.stderr[-500:]}"
    found = json.loads(unescape(said[1]))
    assert "error" not in found, found
    return found


def violations(page: str, folder: Path, dark: bool = False) -> list[str]:
    return [f"{one['id']}: {place['html'][:200]}" for one in judged(page, folder, dark)["violations"] for place in one["nodes"]]


def a_report(folder: Path) -> str:
    return report_page(read_material(write_run(folder / "run")))[0]


def a_report_of_replies(folder: Path) -> str:
    return report_page(read_material(write_replies(folder / "replies")))[0]


def a_report_that_says_hold(folder: Path) -> str:
    made = Made(n_train=60, n_test=60, right={"tuned": 0.4, "base": 0.5, "classical": 0.9}, sure=0.99, certificate=(1, 2))
    return report_page(read_material(write_run(folder / "bad", made)))[0]


def a_comparison(folder: Path) -> str:
    made = {"good": Made(), "worse": Made(right={"tuned": 0.6, "base": 0.3, "classical": 0.5})}
    runs = {name: read_material(write_run(folder / name, one)) for name, one in made.items()}
    return compare_page(compared(runs), runs)


def a_profile(folder: Path) -> str:
    texts = ("ok", "Лак потрескался \ufffd", "x" * 5000)
    odd = [Labelled(f"odd {i}", text, "repair", source=f"rows.csv:{i}") for i, text in enumerate(texts)]
    gone = [DroppedRow(row, "exact_duplicates", "duplicate of another row", "", "r7") for row in labelled(9, seed=3)]
    model = Model("letters", Letters(string.printable), 100, unknown_id=0, reference=("plain prose",))
    privacy = Privacy(lambda text: (("email", "3." in text),), lambda text: text)
    found = profile(folder / "data", [*labelled(200), *odd], model, dropped=gone, privacy=privacy)
    return profile_page(found, About("bows", "rows of text and label", ("There are few test rows.",), ("20 test rows show little.",)))


PAGES: list[Callable[[Path], str]] = [a_report, a_report_of_replies, a_report_that_says_hold, a_comparison, a_profile]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_no_rule_of_axe_is_broken(page: Callable[[Path], str], dark: bool, tmp_path: Path) -> None:
    assert violations(page(tmp_path), tmp_path, dark) == []


def test_a_page_that_breaks_rules_is_caught(tmp_path: Path) -> None:
    broken = a_report(tmp_path).replace('<html lang="en"', "<html").replace("</main>", '<img src="x"><p style="color:#ddd">pale</p></main>')
    found = {one.partition(":")[0] for one in violations(broken, tmp_path)}
    assert {"html-has-lang", "image-alt", "color-contrast"} <= found
