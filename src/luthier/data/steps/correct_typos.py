"""Plain slips of the keyboard in English prose, put right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.data.cleaning.spelling import corrected
from luthier.data.cleaning.stretches import map_sides, unchanged
from luthier.data.decisions import Changed, Kept, changed_or_kept


@dataclass(frozen=True, kw_only=True)
class CorrectTypos:
    """Puts plain slips in English right, in what a model is given or, where a text has no sides, in the text.

    Never touched are names and other words with capitals, numbers, codes, addresses, texts with code, other languages, and words
    of which it is not plain what was meant (`luthier.data.cleaning.spelling`). What a model has to say stays as it was written: where it
    should be better, a person should say so. Opt-in, for a model that will read slips had better see them, and a rare word can
    still be taken for one.
    """

    kind: Literal["correct_typos"] = "correct_typos"
    decodes: ClassVar[bool] = False

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` where a slip was put right."""
        return changed_or_kept(example, map_sides(example, corrected, unchanged), "slips of the keyboard")
