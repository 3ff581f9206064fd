"""Text that was decoded with the wrong encoding, once or several times over, made readable again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import ftfy

from luthier.core.examples import AnyExample
from luthier.data.decisions import Changed, Kept, changed_or_kept

# Only what undoes a wrong decoding: quotes, ligatures, full-width letters and line ends are the writer's own choice.
_CONFIG = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    remove_control_chars=False,
    normalization=None,
    explain=False,
)


@dataclass(frozen=True, kw_only=True)
class RepairEncoding:
    """Repairs mojibake (`cafÃ©` for `café`), nested mojibake and lone surrogates; clean text is left as it is.

    A decoder: it runs once, on raw text. Source: ftfy (Speer, 2019, doi:10.5281/zenodo.2591652), with every repair
    switched off that is a matter of taste.
    """

    kind: Literal["repair_encoding"] = "repair_encoding"
    decodes: ClassVar[bool] = True

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` where a text was mojibake."""
        return changed_or_kept(example, example.map_text(_repaired), "wrongly decoded characters")


def _repaired(text: str) -> str:
    return text if text.isascii() else ftfy.fix_text(text, _CONFIG)
