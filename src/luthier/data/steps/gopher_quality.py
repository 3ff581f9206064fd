"""Text that is no prose, by the quality rules of Gopher."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.cleaning.prose_rules import lines, words
from luthier.data.cleaning.stretches import prose
from luthier.data.decisions import Dropped, Kept

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


@dataclass(frozen=True, kw_only=True)
class GopherQuality:
    """Drops rows whose prose breaks a quality rule of Gopher (Rae et al., 2021, arXiv 2112.11446, appendix A1.1).

    Kept is prose of 50 to 100,000 words, of 3 to 10 characters in the mean; with at most one `#`, and at most one ellipsis, for
    ten words; at most 90 % of its lines begin with a bullet, at most 30 % end with an ellipsis; in at least 80 % of its
    words stands a letter; and two of eight English stop words occur. Words are what stands between spaces. Judged is what is learnt to
    be written: a text, a completion, the assistant's turns. Made for web pages: of short answers little is left.
    """

    kind: Literal["gopher_quality"] = "gopher_quality"
    min_words: Annotated[int, Field(ge=0)] = option(50, about="fewest words of a row's prose", why="the paper's threshold")
    max_words: Annotated[int, Field(ge=1)] = option(100_000, about="most words of a row's prose", why="the paper's threshold")
    stop_words: tuple[str, ...] = option(
        STOP_WORDS, about="words of which two must occur; none: not asked for", why="the paper's, for English"
    )
    decodes: ClassVar[bool] = False

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Bounds that no row can meet."""
        if self.max_words < self.min_words:
            yield "max_words", f"is {self.max_words}, under min_words {self.min_words}", "raise it, or leave it out"
        if len(set(self.stop_words)) == 1:
            yield "stop_words", "is one word, and two must occur", "name more, or none"

    def apply(self, example: AnyExample) -> Kept | Dropped:
        """`Dropped` with the first rule that is broken."""
        text = prose(example)
        broken = self._broken(text, words(text))
        return Dropped(*broken) if broken else Kept()

    def _broken(self, text: str, said: list[str]) -> tuple[str, str] | None:
        spoken = [word for word in said if any(character.isalnum() for character in word)]
        if len(spoken) < self.min_words:
            return f"under {self.min_words} words", f"{len(spoken)} words"
        if len(spoken) > self.max_words:
            return f"over {self.max_words} words", f"{len(spoken)} words"
        if not spoken:
            return None
        mean = sum(map(len, spoken)) / len(spoken)
        if not 3 <= mean <= 10:
            return "words of under 3 or over 10 characters in the mean", f"{mean:.2f} characters"
        for sign, n_signs in (("#", text.count("#")), ("ellipsis", text.count("...") + text.count("…"))):
            if n_signs / len(said) > 0.1:
                return f"over one {sign} in ten words", f"{n_signs} in {len(said)} words"
        return _broken_lines(lines(text)) or self._broken_words(said)

    def _broken_words(self, said: list[str]) -> tuple[str, str] | None:
        share = sum(any(map(str.isalpha, word)) for word in said) / len(said)
        if share < 0.8:
            return "a letter in under 80 % of words", f"{share:.0%}"
        found = {word.strip(".,;:!?\"'()“”‘’").lower() for word in said}.intersection(self.stop_words)
        return ("fewer than two stop words", ", ".join(sorted(found))) if self.stop_words and len(found) < 2 else None


def _broken_lines(said: list[str]) -> tuple[str, str] | None:
    bullets = sum(line.startswith(("•", "-", "*", "‣", "·")) for line in said) / len(said)
    if bullets > 0.9:
        return "over 90 % of lines begin with a bullet", f"{bullets:.0%}"
    ellipses = sum(line.endswith(("...", "…")) for line in said) / len(said)
    return ("over 30 % of lines end with an ellipsis", f"{ellipses:.0%}") if ellipses > 0.3 else None
