"""Templates to HTML: everything that is put in is escaped, and made printable, unless it is a figure of ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from luthier.evaluate.page.svg import Figure, palette
from luthier.evaluate.page.words import clipped, counted, metric_about, number_of, printable
from luthier.evaluate.table import p_text

TEXT_CHARACTERS = 700
"""What is shown of one text of a row; more says little about an error and makes pages long."""
START_CHARACTERS = 240
"""The same for a text that stands beside another."""


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """A whole page.

    Args:
        template: the template's file name.
        context: what it is filled with; strings in it are anybody's text and are escaped.

    """
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("luthier.evaluate.page"), autoescape=True, undefined=StrictUndefined, finalize=_finalized, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "number": number_of, "counted": counted, "clipped": lambda text: clipped(text, TEXT_CHARACTERS),
        "start": lambda text: clipped(text, START_CHARACTERS), "figure": _figure,
        "name": lambda name: str(name).replace("_", " "), "about": metric_about, "p": p_text, "thousands": lambda n: f"{n:,}",
    }  # fmt: skip
    environment.globals |= {"palette": palette()}
    return environment


def _finalized(value: Any) -> Any:
    """What stands in the page for a value; `Markup` is ours, everything else is not."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _figure(figure: Figure) -> Markup:
    """A figure's SVG, the one thing that is put in as it is: its texts were escaped when it was drawn."""
    return Markup(figure.inline)  # noqa: S704
