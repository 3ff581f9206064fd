"""Text that says the same over and over, by the repetition rules of Gopher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample
from luthier.data.cleaning.prose_rules import in_most_frequent, in_repeated, lines, paragraphs, repeats, words
from luthier.data.cleaning.stretches import prose
from luthier.data.decisions import Dropped, Kept

LINES, LINE_CHARACTERS = 0.30, 0.20
MOST_FREQUENT = {2: 0.20, 3: 0.18, 4: 0.16}
REPEATED = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


@dataclass(frozen=True, kw_only=True)
class GopherRepetition:
    """Drops rows whose prose repeats itself more than Gopher allows (Rae et al., 2021, arXiv 2112.11446, table A1).

    The most that may be repeated: 30 % of the lines and of the paragraphs, 20 % of the characters by lines and by
    paragraphs; 20, 18, 16 % of the characters in the most frequent run of 2, 3, 4 words; 15, 14, … 10 % of the characters in runs
    of 5, 6, … 10 words that stood before. As in datatrove (Penedo et al., 2024), the first of equal lines is no repeat; unlike there, a run
    that occurs once is not the most frequent one. Words are what stands between spaces.
    """

    kind: Literal["gopher_repetition"] = "gopher_repetition"
    decodes: ClassVar[bool] = False

    def apply(self, example: AnyExample) -> Kept | Dropped:
        """`Dropped` with the first rule that is broken."""
        text = prose(example).strip()
        if not text:
            return Kept()
        for reason, share, most in _shares(text):
            if share > most:
                return Dropped(reason, f"{share:.0%}, at most {most:.0%}")
        return Kept()


def _shares(text: str) -> Iterator[tuple[str, float, float]]:
    """Each rule's name, the share that the text has, and the share that it may have."""
    for name, parts in (("paragraphs", paragraphs(text)), ("lines", lines(text))):
        n_repeats, n_characters = repeats(parts)
        yield f"repeated {name}", n_repeats / len(parts), LINES
        yield f"characters in repeated {name}", n_characters / len(text), LINE_CHARACTERS
    said = words(text)
    for n, most in MOST_FREQUENT.items():
        yield f"characters in the most frequent {n} words", in_most_frequent(said, n) / len(text), most
    for n, most in REPEATED.items():
        yield f"characters in repeated runs of {n} words", in_repeated(said, n) / len(text), most
