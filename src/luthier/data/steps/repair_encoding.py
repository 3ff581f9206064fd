"""Text that was decoded with the wrong encoding, once or several times over, made readable again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.data.cleaning.mojibake import repaired
from luthier.data.decisions import Changed, Kept, changed_or_kept


@dataclass(frozen=True, kw_only=True)
class RepairEncoding:
    """Repairs mojibake (`cafÃ©` for `café`), nested mojibake and halves of surrogate pairs; clean text is left as it is.

    Found are texts, and stretches of texts, whose UTF-8 was read as one of 23 encodings, each time any of them. What was
    lost on the way (bytes replaced by a question mark or left out) cannot be brought back. A decoder: it runs once, on raw text.
    """

    kind: Literal["repair_encoding"] = "repair_encoding"
    decodes: ClassVar[bool] = True

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` where a text was mojibake."""
        return changed_or_kept(example, example.map_text(repaired), "wrongly decoded characters")
