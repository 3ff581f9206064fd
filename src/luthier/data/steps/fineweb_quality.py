"""Pages that are lists, menus or repeated lines, by the filters of FineWeb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from luthier.core.examples import AnyExample
from luthier.core.options import option
from luthier.data.cleaning.prose_rules import TERMINAL, lines, repeats
from luthier.data.cleaning.stretches import prose
from luthier.data.decisions import Dropped, Kept

SHORT = 30

Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class FinewebQuality:
    """Drops rows whose prose breaks a filter that FineWeb adds to those of C4 and Gopher.

    Penedo et al. (2024, arXiv 2406.17557, section 3.6): at most 12 % of the lines end with a mark that ends sentences; at least 10 % of
    the characters stand in lines that stood before; or at least 67 % of the lines are under 30 characters long. (The code that
    was published with it drops from 1 % of repeated characters on; here stands the paper.) Empty lines don't count. Judged is what
    is learnt to be written: a text, a completion, the assistant's turns.
    """

    kind: Literal["fineweb_quality"] = "fineweb_quality"
    ended_lines: Annotated[float, Field(ge=0, le=1)] = option(
        0.12, about="share of lines ended like sentences up to which a row goes", why="the paper's threshold"
    )
    repeated: Share = option(0.1, about="share of characters in repeated lines from which a row goes", why="the paper's threshold")
    short_lines: Share = option(0.67, about="share of lines under 30 characters from which a row goes", why="the paper's threshold")
    decodes: ClassVar[bool] = False

    def apply(self, example: AnyExample) -> Kept | Dropped:
        """`Dropped` with the first filter that the row does not pass."""
        said = lines(prose(example))
        if not said:
            return Dropped("no line that says anything")
        ended = sum(line[-1] in TERMINAL for line in said) / len(said)
        if ended <= self.ended_lines:
            return Dropped("few lines end like sentences", f"{ended:.0%}")
        repeated = repeats(said)[1] / sum(map(len, said))
        if repeated >= self.repeated:
            return Dropped("characters in repeated lines", f"{repeated:.0%}")
        short = sum(len(line) < SHORT for line in said) / len(said)
        return Dropped("most lines are short", f"{short:.0%} under {SHORT} characters") if short >= self.short_lines else Kept()
