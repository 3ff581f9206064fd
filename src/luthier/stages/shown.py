"""Rows of a run as a person sees them in a terminal: what is trained, what is a mark, what was cut, what was dropped and why."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from luthier.core.jsonvalue import Json
from luthier.stages.texts import tokens_text, too_long_lines

TRAINED, SPECIAL, CUT, PLAIN = "\x1b[1;32m", "\x1b[36m", "\x1b[1;33m", "\x1b[0m"
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_OURS = "⟦⟧✂⏎"
N_REASONS = 20
_EXCERPT = 100


@dataclass(frozen=True)
class Piece:
    """Neighbouring tokens of one weight: their text, the weight, whether they are a mark of the template's, and how many they are."""

    text: str
    weight: float
    special: bool
    n_tokens: int = 1


@dataclass(frozen=True)
class ShownRow:
    """A training row token by token, and in stretches; `cut` says after how many tokens something was left out, and how much."""

    id: str
    source: str
    tokens: tuple[Piece, ...]
    stretches: tuple[Piece, ...]
    label: str | None
    cut: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, Json]:
        """The row for `--json`."""
        tokens: list[Json] = [
            {"text": one.text, "trained": one.weight > 0, "special": one.special, "weight": one.weight} for one in self.tokens
        ]
        cut: Json = None if self.cut is None else {"at": self.cut[0], "n_removed": self.cut[1]}
        return {"id": self.id, "source": self.source, "label": self.label, "tokens": tokens, "cut": cut}


@dataclass(frozen=True)
class DroppedBy:
    """One reason for which a step dropped rows: how many, and the first of them."""

    step: str
    reason: str
    n: int
    source: str
    excerpt: str


@dataclass(frozen=True)
class Shown:
    """Some training rows, some dropped rows, every reason for dropping, and how many of all there are.

    `version` is the newest version of the data, and `changes` what it changed about its parent, in words.
    """

    rows: tuple[ShownRow, ...]
    dropped: tuple[Mapping[str, Any], ...]
    reasons: tuple[DroppedBy, ...]
    counts: Mapping[str, int]
    version: Mapping[str, Json] = field(default_factory=dict)
    changes: str = ""

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints."""
        return {
            "version": dict(self.version) or None,
            "rows": [row.as_dict() for row in self.rows],
            "dropped": [dict(row) for row in self.dropped],
            "reasons": [dict(vars(one)) for one in self.reasons],
            "counts": dict(self.counts),
        }

    def as_text(self, color: bool) -> str:
        """For the terminal; whatever the rows hold, only our own escape codes are in it."""
        lines = [] if not self.rows else [self._legend(color), ""]
        for row in self.rows:
            label = "" if row.label is None else f"   label: {_paint(f'⟦{visible(row.label)}⟧', TRAINED, color)}"
            lines += [f"── {visible(row.source or row.id)}{label}", painted(row, color), ""]
        lines.append(f"{tokens_text(self.counts)}; the longest row has {self.counts['longest_tokens']:,}")
        lines += too_long_lines(self.counts)
        if self.reasons:
            lines += ["", f"Dropped while preparing: {sum(one.n for one in self.reasons):,} rows"]
            for one in self.reasons[:N_REASONS]:
                lines.append(f"  {one.n:,} by {visible(one.step)}: {visible(one.reason)}")
                lines.append(f"      such as {visible(one.source)}" + (f": {shortened(one.excerpt)}" if one.excerpt else ""))
            if len(self.reasons) > N_REASONS:
                lines.append(f"  and {len(self.reasons) - N_REASONS:,} more reasons in data/dropped.jsonl.gz")
        if self.changes:
            lines += ["", self.changes]
        return "\n".join(lines)

    def _legend(self, color: bool) -> str:
        parts = [_paint("⟦trained⟧", TRAINED, color) + " what is learnt"]
        if any(piece.special for row in self.rows for piece in row.tokens):
            parts.append(_paint("<|mark|>", SPECIAL, color) + " a token that is no text")
        if any(piece.weight not in (0.0, 1.0) for row in self.rows for piece in row.tokens):
            parts.append("×0.5 its weight, where it is not 1")
        if any(row.cut for row in self.rows):
            parts.append(_paint("✂ n", CUT, color) + " so many tokens were cut here")
        parts.append("⏎ a line's end")
        return "Legend: " + " · ".join(parts)


def in_color() -> bool:
    """Whether standard output shows colour: a terminal that can, unless NO_COLOR says otherwise."""
    console = Console()
    return console.is_terminal and not console.is_dumb_terminal and not console.no_color


def painted(row: ShownRow, color: bool) -> str:
    """A row in one string: trained stretches between ⟦ and ⟧, and in colour green besides; marks in cyan."""
    parts, n_seen = [], 0
    mark = "" if row.cut is None else _paint(f"✂ {row.cut[1]:,} tokens ✂", CUT, color)
    for weight, group in itertools.groupby(row.stretches, key=lambda one: one.weight):
        inside = ""
        for one in group:
            if row.cut is not None and n_seen == row.cut[0]:
                inside += mark + (TRAINED if color and weight else "")
            again = TRAINED if color and weight else ""
            inside += _paint(visible(one.text), SPECIAL, color) + again if one.special else _isolated(visible(one.text))
            n_seen += one.n_tokens
        if weight:
            inside = _paint(f"⟦{inside}⟧" + ("" if weight == 1 else f"×{weight:g}"), TRAINED, color)
        parts.append(inside)
    return "".join(parts)


def stretches_of(tokens: Sequence[int], pieces: Sequence[Piece], decode: Any, cut: int | None = None) -> tuple[Piece, ...]:
    """Neighbouring pieces of one kind as one, so that a letter of several tokens is whole; none reaches over the place of a cut."""
    found = []
    kinds = [(one.weight, one.special, i if one.special else -1, cut is not None and i >= cut) for i, one in enumerate(pieces)]
    for _, group in itertools.groupby(range(len(pieces)), key=lambda i: kinds[i]):
        inside = list(group)
        first, text = pieces[inside[0]], "".join(pieces[i].text for i in inside)
        # A token may hold part of a letter, which only shows beside its other parts.
        text = decode([tokens[i] for i in inside]) if "\ufffd" in text else text
        found.append(Piece(text, first.weight, first.special, len(inside)))
    return tuple(found)


def visible(text: str) -> str:
    """Text in which nothing can move the cursor, change colours, turn the line round, or pass for a mark of ours."""
    return "".join("⏎\n" if letter == "\n" else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    # Cc: control characters; Cf: among them those that turn the direction of writing; the joiners that letters need stay.
    category = unicodedata.category(letter)
    if letter in _OURS or category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and letter not in "\u200c\u200d\u00ad"):
        return f"\\x{ord(letter):02x}" if ord(letter) < 256 else f"\\u{ord(letter):04x}" if ord(letter) < 65536 else f"\\U{ord(letter):08x}"
    return letter


def _isolated(text: str) -> str:
    """Text that is written from the right, kept from turning round what stands beside it; whole lines, one by one."""
    return "\n".join(f"{_ISOLATE}{line}{_END_ISOLATE}" if _from_the_right(line) else line for line in text.split("\n"))


def _from_the_right(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def shortened(text: str) -> str:
    """The beginning of a text on one line, made harmless."""
    line = " ".join(text.split())
    return _isolated(visible(line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"))


def _paint(text: str, code: str, color: bool) -> str:
    return f"{code}{text}{PLAIN}" if color else text
