"""What is in a message because it came by mail: earlier messages, signatures, notices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.cleaning.email_parts import without_debris
from luthier.data.cleaning.stretches import map_sides, unchanged
from luthier.data.decisions import Changed, Kept, changed_or_kept


@dataclass(frozen=True, kw_only=True)
class EmailDebris:
    """Takes quoted replies, signatures and notices of confidentiality out of what a model is given; never all of a text.

    Earlier messages: lines that begin with `>`, "On … wrote:" and its like in 17 languages, and the heads that Outlook writes;
    what was forwarded stays, for it is what the message is about. Signatures: after `--`, after "Kind regards" and its like, a
    name with ways to reach it, "Sent from my phone". Replies that a model has to write stay as they are,
    and so do texts with fenced code. Not among the default
    steps, because `>` quotes in other texts too, and what was quoted may be what is asked about.
    """

    kind: Literal["email_debris"] = "email_debris"
    quotes: bool = option(True, about="whether earlier messages go", why="they repeat another row, and often answer it")
    signatures: bool = option(True, about="whether signatures go", why="they name people and say nothing of the matter")
    notices: bool = option(True, about="whether notices of confidentiality and the like go", why="they are the same in every message")
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """A step that would take nothing out."""
        if not (self.quotes or self.signatures or self.notices):
            yield "kind", '"email_debris" with everything switched off does nothing', "leave the step out, or switch something on"

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` where something was taken out."""
        return changed_or_kept(example, map_sides(example, self._without, unchanged), "e-mail debris")

    def _without(self, text: str) -> str:
        return text if "```" in text else without_debris(text, self.quotes, self.signatures, self.notices)
