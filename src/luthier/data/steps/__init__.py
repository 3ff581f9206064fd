"""The cleaning steps, one file each; `AnyStep` is the table of them and what a recipe's `steps` may hold."""

from __future__ import annotations

from typing import TypeAlias

from luthier.data.steps.c4_quality import C4Quality
from luthier.data.steps.contamination import Contamination
from luthier.data.steps.correct_typos import CorrectTypos
from luthier.data.steps.email_debris import EmailDebris
from luthier.data.steps.exact_duplicates import ExactDuplicates
from luthier.data.steps.fineweb_quality import FinewebQuality
from luthier.data.steps.gopher_quality import GopherQuality
from luthier.data.steps.gopher_repetition import GopherRepetition
from luthier.data.steps.html_to_text import HtmlToText
from luthier.data.steps.label_errors import LabelErrors
from luthier.data.steps.languages import Languages
from luthier.data.steps.length import Length
from luthier.data.steps.look_alikes import LookAlikes
from luthier.data.steps.markup_to_text import MarkupToText
from luthier.data.steps.near_duplicates import NearDuplicates
from luthier.data.steps.own_filter import OwnFilter
from luthier.data.steps.personal_data import PersonalData
from luthier.data.steps.repair_encoding import RepairEncoding
from luthier.data.steps.secrets import Secrets
from luthier.data.steps.semantic_duplicates import SemanticDuplicates
from luthier.data.steps.token_length import TokenLength
from luthier.data.steps.whitespace import Whitespace

AnyRowStep: TypeAlias = (
    RepairEncoding | HtmlToText | Whitespace | Length | MarkupToText | LookAlikes | EmailDebris | CorrectTypos | Languages | TokenLength
    | GopherQuality | GopherRepetition | C4Quality | FinewebQuality | PersonalData | Secrets | OwnFilter
    | Contamination
)  # fmt: skip
AnyKeyStep: TypeAlias = ExactDuplicates | NearDuplicates
AnySetStep: TypeAlias = SemanticDuplicates | LabelErrors
AnyStep: TypeAlias = AnyRowStep | AnyKeyStep | AnySetStep

__all__ = [
    "AnyKeyStep",
    "AnyRowStep",
    "AnySetStep",
    "AnyStep",
    "C4Quality",
    "Contamination",
    "CorrectTypos",
    "EmailDebris",
    "ExactDuplicates",
    "FinewebQuality",
    "GopherQuality",
    "GopherRepetition",
    "HtmlToText",
    "LabelErrors",
    "Languages",
    "Length",
    "LookAlikes",
    "MarkupToText",
    "NearDuplicates",
    "OwnFilter",
    "PersonalData",
    "RepairEncoding",
    "Secrets",
    "SemanticDuplicates",
    "TokenLength",
    "Whitespace",
]
