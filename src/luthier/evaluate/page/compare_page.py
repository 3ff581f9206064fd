"""The page that sets runs side by side."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.evaluate.estimates import Comparison
from luthier.evaluate.page import figures as drawings
from luthier.evaluate.page.html import rendered
from luthier.evaluate.page.material import Material
from luthier.evaluate.page.runs_compared import RunsCompared
from luthier.evaluate.page.words import difference_of, direction, number_of
from luthier.evaluate.verdict import ALPHA

N_LABELS = 60


def compare_page(found: RunsCompared, runs: Mapping[str, Material]) -> str:
    """The page; a function of the runs' files alone."""
    systems = {run: {name: number_of(one) for name, one in numbers.items()} for run, numbers in found.estimates.items()}
    context = {
        "found": found,
        "runs": runs,
        "names": list(runs),
        "metrics": list(next(iter(found.estimates.values()))),
        "systems": systems,
        "summary": [_in_words(one) for one in found.comparisons],
        "differences": [(one, difference_of(one)) for one in (*found.comparisons, *found.others)],
        "labels": [(label, one, difference_of(one)) for label, one in found.labels[:N_LABELS]],
        "figure": drawings.systems(found.metric, {run: numbers[found.metric] for run, numbers in systems.items()}, systems),
        "broken": {
            name: [proof.replace("_", " ") for proof, one in material.report["proofs"].items() if not one["holds"]]
            for name, material in runs.items()
        },
    }
    return rendered("compare.html.jinja", context)


def _in_words(one: Comparison) -> str:
    """Which of two runs is better, if any is shown to be."""
    if one.difference is None or one.p_holm is None:
        return f"{one.a} and {one.b} have no judged row in common."
    numbers = f"{one.a} − {one.b} is {difference_of(one).whole}"
    if one.p_holm >= ALPHA:
        return f"No difference between {one.a} and {one.b} is shown in {one.metric}: {numbers}."
    better, worse = (one.a, one.b) if one.difference * direction(one.metric) > 0 else (one.b, one.a)
    return f"{better} is better than {worse} by {one.metric}: {numbers}."
