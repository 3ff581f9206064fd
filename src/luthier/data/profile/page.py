"""The profile as a page: what the rows are like, what is wrong with them, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment

from luthier.core.page.charts import Bar, Mark, bars, histogram
from luthier.core.page.figure import Figure
from luthier.core.page.html import environment
from luthier.core.page.words import counted
from luthier.data.profile.languages import SAID
from luthier.data.profile.lengths import Lengths
from luthier.data.profile.measured import Profile
from luthier.data.profile.sample import LONGEST
from luthier.data.profile.strange import LOOKED_AT, STRANGE_FROM
from luthier.data.profile.tokens import Density, TokenFit
from luthier.data.profile.troubles import Trouble, troubles_of
from luthier.data.sides.split import SIDES

QUESTIONS = (
    ("summary", "In short"), ("todo", "What to do"), ("rows", "What became of the rows?"), ("labels", "How many of each label?"),
    ("lengths", "How long are they?"), ("fit", "Does the tokenizer fit?"), ("languages", "Which languages?"),
    ("duplicates", "What is double?"), ("private", "What is private?"), ("encoding", "What is damaged?"), ("strange", "What is strange?"),
    ("how", "How was this found?"),
)  # fmt: skip
MOST_LABELS, MOST_LANGUAGES = 24, 12
QUANTILE_NAMES = {
    "min": "the shortest has", "p5": "5 % have at most", "p25": "a quarter has at most", "p50": "half have at most",
    "p75": "three quarters have at most", "p95": "95 % have at most", "max": "the longest has",
}  # fmt: skip


@dataclass(frozen=True)
class About:
    """What the profile is of, for the head of the page and its first lines.

    `recognised` says what the source was taken for, `warnings` what preparing the rows already said, and `smallest` which differences
    the test rows can show.
    """

    name: str
    recognised: str = ""
    warnings: tuple[str, ...] = ()
    smallest: tuple[str, ...] = ()


def profile_page(found: Profile, about: About) -> str:
    """The page, one self-contained document; a function of its arguments alone."""
    labels = list(found.gathered.labels.items())
    context = {
        "found": found, "rows": found.gathered, "about": about, "questions": [one for one in QUESTIONS if one[0] != "labels" or labels],
        "troubles": troubles_of(found), "headline": headline(found, troubles_of(found)), "summary": _summary(found), "drawn": _drawn(found),
        "read": found.gathered.n_read, "sides": SIDES, "labels": labels, "lengths": _lengths(found), "fit_words": fit_words(found),
        "densities": _densities(found.tokens), "quantile_names": QUANTILE_NAMES, "figures": _figures(found), "longest": LONGEST,
        "judged_by": LOOKED_AT, "strange_from": STRANGE_FROM, "n_fewest": _fewest(found),
    }  # fmt: skip
    return _environment().get_template("profile.html.jinja").render(**context)


def headline(found: Profile, troubles: Sequence[Trouble]) -> str:
    """The whole in one line."""
    rows = counted(found.gathered.sides["train"], "training row")
    if not troubles:
        return f"{rows}, and nothing found that stands in the way"
    return f"{rows}, and {counted(len(troubles), 'thing')} to look at first"


def _summary(found: Profile) -> str:
    """What was read, what stays, and how much of it was looked at, in two sentences."""
    dropped = sum(sum(reasons.values()) for reasons in found.gathered.dropped.values())
    split = ", ".join(f"{n:,} {side}" for side, n in found.gathered.sides.items())
    return f"{found.gathered.n_read:,} rows were read, {dropped:,} dropped and {found.gathered.n_rows:,} kept: {split}. {_drawn(found)}"


def _drawn(found: Profile) -> str:
    """On how many rows the closer look rests."""
    if not found.gathered.is_sampled:
        return "All of them were looked at closely."
    n, of = found.n_looked_at, found.gathered.n_rows
    return f"Looked at closely: {n:,} of {of:,} rows, drawn by seed {found.seed}; what is not counted of all rows is said of these."


def _fewest(found: Profile) -> int:
    return min((sides["train"] for sides in found.gathered.labels.values()), default=0)


def _lengths(found: Profile) -> list[tuple[str, Lengths]]:
    fit = found.tokens
    named = (("characters", found.n_characters), ("tokens", None if fit is None else fit.lengths), ("turns", found.n_turns))
    return [(unit, one) for unit, one in named if one is not None]


def fit_words(found: Profile) -> str:
    """How the tokenizer fits, in words."""
    fit = found.tokens
    if fit is None:
        return f"Not known: {found.no_tokens}."
    value = fit.density.bytes_per_token
    if value is None:
        return "The rows have no tokens."
    beside = "" if fit.reference is None else f"; of plain English prose it holds {fit.reference:.2f}"
    lost = "Every character can be written" if not fit.n_lost else f"{counted(fit.n_lost, 'row')} have characters that cannot be written"
    unknown = "no token is unknown" if not fit.n_unknown_tokens else f"{counted(fit.n_unknown_tokens, 'token is', 'tokens are')} unknown"
    said = f"A token of {fit.model} holds {value:.2f} bytes of these rows{beside}. {lost}, and {unknown}."
    tidied = fit.n_changed - fit.n_lost
    return f"{said} {counted(tidied, 'more row', 'more rows')} come back changed: the tokenizer tidies text." if tidied > 0 else said


def _densities(fit: TokenFit | None) -> list[tuple[str, str, Density]]:
    """Of what, which part of it, and how dense: all rows, then by side and by language where there are several."""
    if fit is None:
        return []
    found = [("all rows", "", fit.density)]
    for what, parts in (("side", fit.by_side), ("language", fit.by_language)):
        found += [(what, SAID.get(name, name), one) for name, one in list(parts.items())[:MOST_LANGUAGES] if len(parts) > 1]
    return found


def _figures(found: Profile) -> dict[str, Figure | None]:
    fit = found.tokens
    return {
        "rows": _rows_figure(found),
        "labels": _labels_figure(found.gathered.labels),
        "characters": _length_figure("characters", found.n_characters, ()),
        "tokens": None if fit is None else _length_figure("tokens", fit.lengths, (Mark(fit.context, f"the model reads {fit.context:,}"),)),
        "languages": _languages_figure(found),
    }


def _rows_figure(found: Profile) -> Figure:
    kept = [Bar(side, (n, 0)) for side, n in found.gathered.sides.items()]
    gone = [(f"{step}: {reason}", n) for step, reasons in found.gathered.dropped.items() for reason, n in reasons.items()]
    shown = sorted(gone, key=lambda one: -one[1])[:10]
    rest = sum(n for _, n in gone) - sum(n for _, n in shown)
    lines = [*kept, *(Bar(said, (0, n)) for said, n in shown), *([Bar("other reasons", (0, rest))] if rest else [])]
    text = "; ".join(f"{line.label} {line.total:,}" for line in lines)
    return bars("rows", "Rows that were kept, by side, and dropped, by step and reason", text, lines, ("kept", "dropped"), "rows")


def _labels_figure(labels: Mapping[str, Mapping[str, int]]) -> Figure | None:
    if not labels:
        return None
    found = list(labels.items())
    half = MOST_LABELS // 2
    shown = found if len(found) <= MOST_LABELS else [*found[:half], *found[-half:]]
    lines = [Bar(label, tuple(sides[side] for side in SIDES)) for label, sides in shown]
    of = "" if len(found) <= MOST_LABELS else f" The {half} most and the {half} least frequent of {len(found):,} labels are drawn."
    most, least = lines[0], lines[-1]
    text = f"The most frequent label, {most.label}, has {most.total:,} rows; the least frequent, {least.label}, {least.total:,}.{of}"
    return bars("labels", "Rows of each label, by side", text, lines, SIDES, "rows")


def _length_figure(unit: str, lengths: Lengths | None, marks: tuple[Mark, ...]) -> Figure | None:
    if lengths is None:
        return None
    half = lengths.quantiles["p50"]
    text = (
        f"Half of the rows have up to {half:,.0f} {unit}, 95 % up to {lengths.quantiles['p95']:,.0f}; "
        f"the longest has {lengths.quantiles['max']:,.0f}."
    )
    marks = (Mark(half, f"half: {half:,.0f}"), *marks)
    return histogram(unit, f"Rows by their length in {unit}", text, lengths.edges, lengths.counts, f"{unit} of a row", marks)


def _languages_figure(found: Profile) -> Figure | None:
    if len(found.languages) < 2:
        return None
    lines = [Bar(one.said, (one.n_rows,)) for one in found.languages[:MOST_LANGUAGES]]
    rest = sum(one.n_rows for one in found.languages[MOST_LANGUAGES:])
    lines += [Bar("other languages", (rest,))] if rest else []
    text = "; ".join(f"{line.label} {line.total:,}" for line in lines)
    return bars("languages", "Rows by language", text, lines, ("rows",), "rows that were looked at")


@cache
def _environment() -> Environment:
    return environment("luthier.data.profile", {"share": _share, "per_token": _per_token, "kind": _kind, "codepoint": ord})


def _share(n: int, of: int) -> str:
    """A share as a page shows it: never 0 for some, never all for most."""
    if not of:
        return "–"
    share = n / of
    return "< 0.1 %" if 0 < share < 0.001 else "> 99.9 %" if 0.999 < share < 1 else f"{100 * share:.1f} %"


def _per_token(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _kind(name: Any) -> str:
    return str(name).replace("_", " ")
