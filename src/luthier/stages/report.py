"""Report: the page that a person reads, written from the files of a run and from nothing else."""

from __future__ import annotations

from pathlib import Path

from luthier.core.files import write_text
from luthier.core.runs import Run
from luthier.evaluate.page.material import read_material
from luthier.evaluate.page.report_page import report_page


def write_page(run: Run) -> Path:
    """Write `evaluation/report.html` and `evaluation/figures/*.svg`; the same files of a run give the same bytes.

    Figures that an earlier page had and this one has not are removed.

    Raises:
        LuthierError: the run has no report, or one of another schema.

    """
    page, figures = report_page(read_material(run))
    folder = run.evaluation / "figures"
    for figure in figures:
        write_text(folder / f"{figure.name}.svg", figure.alone)
    for old in folder.glob("*.svg"):
        if old.stem not in {figure.name for figure in figures}:
            old.unlink()
    path = run.evaluation / "report.html"
    write_text(path, page)
    return path
