"""The cleaning steps, one file each; `AnyStep` is the table of them and what a recipe's `steps` may hold."""

from __future__ import annotations

from typing import TypeAlias

from luthier.data.steps.exact_duplicates import ExactDuplicates
from luthier.data.steps.html_to_text import HtmlToText
from luthier.data.steps.length import Length
from luthier.data.steps.near_duplicates import NearDuplicates
from luthier.data.steps.repair_encoding import RepairEncoding
from luthier.data.steps.whitespace import Whitespace

AnyRowStep: TypeAlias = RepairEncoding | HtmlToText | Whitespace | Length
AnyKeyStep: TypeAlias = ExactDuplicates | NearDuplicates
AnyStep: TypeAlias = RepairEncoding | HtmlToText | Whitespace | Length | ExactDuplicates | NearDuplicates

__all__ = [
    "AnyKeyStep",
    "AnyRowStep",
    "AnyStep",
    "ExactDuplicates",
    "HtmlToText",
    "Length",
    "NearDuplicates",
    "RepairEncoding",
    "Whitespace",
]
