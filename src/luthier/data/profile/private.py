"""Personal data and secrets in the rows: counted by kind and by place, and never quoted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from luthier.data import personal
from luthier.data.profile.sample import Looked

N_PLACES = 3


@dataclass(frozen=True)
class Privacy:
    """How personal data and secrets are found in a text, and how it reads without them.

    `find` gives, for each that a text holds, its kind and whether it is surely one; `mask` gives the text with all of them, the
    unsure ones too, replaced by their kinds.
    """

    find: Callable[[str], Sequence[tuple[str, bool]]]
    mask: Callable[[str], str]


def _kinds(text: str) -> tuple[tuple[str, bool], ...]:
    return tuple((one.kind, one.certainty != "possible") for one in personal.find(text, at_least="possible"))


_ANY = personal.recognisers(tuple(dict.fromkeys((*personal.SECRET_KINDS, *personal.PERSONAL_KINDS, *sorted(personal.UNSURE)))))
"""Everything that is known, names and addresses too: what is shown on a page is rather masked once too often."""


def _masked(text: str) -> str:
    parts, at = [], 0
    for one in personal.find(text, _ANY, at_least="possible"):
        parts += [text[at : one.start], f"[{one.kind.upper()}]"]
        at = one.end
    return "".join([*parts, text[at:]])


PRIVACY = Privacy(_kinds, _masked)
"""By the recognisers of `luthier.data.personal`: names and postal addresses, which it guesses at, are masked and not counted."""


@dataclass(frozen=True)
class Private:
    """One kind: in how many rows it is surely found, in how many perhaps, and the first places."""

    kind: str
    n_sure: int
    n_possible: int
    places: tuple[str, ...]


@dataclass(frozen=True)
class PrivateRows:
    """What was found, the most frequent kind first; `n_rows` rows surely hold something of any kind."""

    kinds: tuple[Private, ...] = ()
    n_rows: int = 0


@dataclass
class _Tally:
    n_sure: int = 0
    n_possible: int = 0
    sure: list[str] = field(default_factory=list)
    possible: list[str] = field(default_factory=list)


def private_rows(rows: Sequence[Looked], privacy: Privacy) -> PrivateRows:
    """Look for personal data and secrets in rows."""
    tallies: dict[str, _Tally] = {}
    n_rows = 0
    for row in rows:
        found: dict[str, bool] = {}
        for text in row.texts:
            for kind, is_sure in privacy.find(text):
                found[kind] = found.get(kind, False) or is_sure
        n_rows += any(found.values())
        for kind, is_sure in found.items():
            tally = tallies.setdefault(kind, _Tally())
            tally.n_sure += is_sure
            tally.n_possible += not is_sure
            places = tally.sure if is_sure else tally.possible
            if len(places) < N_PLACES:
                places.append(row.source or row.id)
    kinds = [Private(kind, one.n_sure, one.n_possible, tuple([*one.sure, *one.possible][:N_PLACES])) for kind, one in tallies.items()]
    return PrivateRows(tuple(sorted(kinds, key=lambda one: (-one.n_sure, -one.n_possible, one.kind))), n_rows)
