"""The templates of reports and comparisons, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment

from luthier.core.page.html import environment
from luthier.evaluate.page.words import metric_about, number_of
from luthier.evaluate.table import p_text


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """A whole page.

    Args:
        template: the template's file name.
        context: what it is filled with; strings in it are anybody's text and are escaped.

    """
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> Environment:
    return environment("luthier.evaluate.page", {"number": number_of, "about": metric_about, "p": p_text})
