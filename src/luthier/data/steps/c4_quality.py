"""Lines and pages that are no prose, by the rules of C4."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.cleaning.prose_rules import n_sentences
from luthier.data.cleaning.stretches import map_prose, prose
from luthier.data.decisions import Changed, Dropped, Kept, changed_or_kept

_CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]")
_OPENED = re.compile(r"\[[\da-z ]{0,16}$")
_ENDS = (".", "!", "?", '"', "”")
_POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_LONGEST_WORD = 1000


@dataclass(frozen=True, kw_only=True)
class C4Quality:
    """Keeps the lines that are sentences, and drops rows that are no prose, by the rules of C4.

    Raffel et al. (2020, arXiv 1910.10683, section 2.2; the numbers of the JMLR version): a line stays if it ends with a period,
    exclamation mark, question mark or closing quotation mark (not with an ellipsis) and has at least three words, none over
    1,000 characters, and speaks of neither JavaScript nor cookies and privacy policies; marks of citation go. A row goes if it
    says "lorem ipsum", holds a curly bracket, or has fewer than five sentences left. Judged is what is learnt to be written. Left
    out are the list of bad words, which takes what is written by and about minorities (Dodge et al., 2021, arXiv 2104.08758), and
    repeated sentences and other languages, for which there are steps of their own.
    """

    kind: Literal["c4_quality"] = "c4_quality"
    min_sentences: Annotated[int, Field(ge=1)] = option(5, about="fewest sentences that a row has left", why="the paper's threshold")
    min_words_per_line: Annotated[int, Field(ge=1)] = option(3, about="fewest words of a line", why="the paper's threshold")
    decodes: ClassVar[bool] = False

    def apply(self, example: AnyExample) -> Kept | Changed | Dropped:
        """`Dropped` with the rule that the row breaks, else `Changed` where lines were taken out."""
        text = prose(example)
        if "lorem ipsum" in text.lower():
            return Dropped('"lorem ipsum"')
        if "{" in text:
            return Dropped("a curly bracket")
        left = map_prose(example, self._sentences_of)
        n_left = n_sentences(prose(left))
        if n_left < self.min_sentences:
            return Dropped(f"under {self.min_sentences} sentences", f"{n_left} sentences in lines that are prose")
        return changed_or_kept(example, left, "lines that are no sentences")

    def _sentences_of(self, text: str) -> str:
        return "\n".join(line for line in map(_without_citations, text.split("\n")) if self._is_prose(line))

    def _is_prose(self, line: str) -> bool:
        if not line.endswith(_ENDS) or line.endswith("..."):
            return False
        said = line.split()
        if len(said) < self.min_words_per_line or any(len(word) > _LONGEST_WORD for word in said):
            return False
        small = line.lower()
        return "javascript" not in small and not any(policy in small for policy in _POLICIES)


def _without_citations(line: str) -> str:
    """The line without `[1]` and its like; not inside of another bracket, whose halves would then join to a new one."""
    return _CITATION.sub(lambda found: found[0] if _OPENED.search(line[max(0, found.start() - 18) : found.start()]) else "", line).strip()
