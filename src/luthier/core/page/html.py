"""Templates to HTML: everything that is put in is escaped, and made printable, unless it is a figure of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from luthier.core.page.figure import Figure, palette
from luthier.core.page.words import clipped, counted, printable

TEXT_CHARACTERS = 700
"""What is shown of one text of a row; more says little about it and makes pages long."""
START_CHARACTERS = 240
"""The same for a text that stands beside another."""


def environment(package: str, filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """Where a package's pages are made: its own templates over the shared ones, its own filters beside the shared ones.

    Args:
        package: the package that has a folder `templates`.
        filters: by the names that its templates use.

    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("luthier.core.page")]), autoescape=True, undefined=StrictUndefined,
        finalize=_finalized, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    made.filters |= {
        "counted": counted, "clipped": lambda text: clipped(text, TEXT_CHARACTERS), "start": lambda text: clipped(text, START_CHARACTERS),
        "figure": _figure, "name": lambda name: str(name).replace("_", " "), "thousands": lambda n: f"{n:,}", **filters,
    }  # fmt: skip
    made.globals |= {"palette": palette()}
    return made


def _finalized(value: Any) -> Any:
    """What stands in the page for a value; `Markup` is ours, everything else is not."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _figure(figure: Figure) -> Markup:
    """A figure's SVG, the one thing that is put in as it is: its texts were escaped when it was drawn."""
    return Markup(figure.inline)  # noqa: S704
