"""The profile of prepared data: everything that is known of the rows before a model is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.core.jsonvalue import Json
from luthier.data.profile.characters import CharacterTrouble, character_troubles
from luthier.data.profile.gathered import Gathered, gather
from luthier.data.profile.languages import LanguageShare, languages_of, shares
from luthier.data.profile.lengths import Lengths, lengths_of
from luthier.data.profile.private import Privacy, PrivateRows, private_rows
from luthier.data.profile.sample import LONGEST, Looked, Sample
from luthier.data.profile.strange import StrangeRow, strangest
from luthier.data.profile.tokens import Density, Model, TokenFit, token_fit

SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Profile:
    """What the rows are like. Counts in `gathered` are of all rows, everything else of those that were looked at.

    Attributes:
        gathered: what one pass over the files counted.
        seed: by which the rows that were looked at were drawn.
        steps: the kinds of the recipe's cleaning steps.
        n_characters, n_turns: how long rows and conversations are.
        languages: the rows' languages, the most frequent first.
        characters: signs of wrong decoding, copying and typing.
        private: personal data and secrets by kind.
        tokens: the fit to the model's tokenizer, None where `no_tokens` says why it is not known.
        strange: the strangest rows, of `n_strange` that are.
        masked: the beginning of each strange row's text, without personal data.

    """

    gathered: Gathered
    seed: int
    steps: tuple[str, ...]
    n_characters: Lengths | None
    n_turns: Lengths | None
    languages: tuple[LanguageShare, ...]
    characters: tuple[CharacterTrouble, ...]
    private: PrivateRows
    tokens: TokenFit | None
    no_tokens: str
    strange: tuple[StrangeRow, ...]
    n_strange: int
    masked: tuple[str, ...] = field(default=())

    @property
    def n_looked_at(self) -> int:
        """The rows that were looked at closely."""
        return len(self.gathered.sample)

    def as_dict(self) -> dict[str, Json]:
        """The object of profile.json."""
        found = self.gathered
        value: dict[str, Any] = {
            "shapes": found.shapes, "rows": found.sides, "characters": _lengths(self.n_characters),
            "looked_at": {"rows": self.n_looked_at, "of": found.n_rows, "seed": self.seed, "longest_characters": LONGEST},
            "changed": found.changed, "dropped": found.dropped,
            "duplicates": {
                "clusters": found.n_clusters, "copies_left": found.n_copies,
                "largest": [{"kept_id": kept, "dropped": n} for kept, n in found.clusters],
            },
            "languages": {one.code: one.n_rows for one in self.languages},
            "encoding": {one.kind: {"rows": one.n_rows, "sources": [where for where, _ in one.examples]} for one in self.characters},
            "personal": {
                one.kind: {"rows": one.n_sure, "possible_rows": one.n_possible, "sources": list(one.places)} for one in self.private.kinds
            },
            "tokens": {"unknown_because": self.no_tokens} if self.tokens is None else _tokens(self.tokens),
            "strange": {"rows": self.n_strange, "strangest": [_strange(*one) for one in zip(self.strange, self.masked, strict=True)]},
        }  # fmt: skip
        if found.labels:
            value["labels"] = found.labels
        if self.n_turns is not None:
            value["turns"] = _lengths(self.n_turns)
        return value


def profile_of(home: Path, seed: int, steps: Sequence[str], model: Model | str, privacy: Privacy) -> Profile:
    """Read the files of prepared data, and look at as many rows as `sample.MOST_ROWS` allows.

    Args:
        home: the run's `data` folder.
        seed: draws the rows that are looked at where there are more.
        steps: the kinds of the recipe's cleaning steps, so that advice names what is not done yet.
        model: the chosen model's tokenizer, or why there is none.
        privacy: how personal data is found and masked.

    """
    found = gather(home, Sample(seed))
    rows = found.sample
    codes = languages_of(rows)
    strange, n_strange = strangest(rows, seed)
    return Profile(
        gathered=found, seed=seed, steps=tuple(steps), n_characters=lengths_of(found.n_characters), n_turns=lengths_of(found.n_turns),
        languages=shares(rows, codes), characters=character_troubles((row.source or row.id, row.texts) for row in rows),
        private=private_rows(rows, privacy), tokens=None if isinstance(model, str) else token_fit(rows, codes, model),
        no_tokens=model if isinstance(model, str) else "", strange=strange, n_strange=n_strange,
        masked=tuple(_shown(one.row, privacy) for one in strange),
    )  # fmt: skip


def _shown(row: Looked, privacy: Privacy) -> str:
    """The beginning of a row, masked as a whole before it is cut: half a number is not found."""
    masked = privacy.mask(row.own)
    return masked if len(masked) <= SHOWN_CHARACTERS else f"{masked[:SHOWN_CHARACTERS]}…"


def _lengths(found: Lengths | None) -> dict[str, Json]:
    return {} if found is None else found.as_dict()


def _density(found: Density) -> dict[str, Json]:
    value = found.bytes_per_token
    return {"rows": found.n_rows, "bytes_per_token": None if value is None else round(value, 4)}


def _tokens(found: TokenFit) -> dict[str, Json]:
    plain: dict[str, Json] = {
        name: getattr(found, name)
        for name in ("model", "context", "n_over", "n_unknown_tokens", "n_unknown", "n_changed", "n_lost", "lost", "n_marks", "n_cut")
    }
    return {
        **plain, "lengths": _lengths(found.lengths), "overall": _density(found.density),
        "by_language": {name: _density(one) for name, one in found.by_language.items()},
        "by_side": {name: _density(one) for name, one in found.by_side.items()},
        "reference_bytes_per_token": None if found.reference is None else round(found.reference, 4),
    }  # fmt: skip


def _strange(one: StrangeRow, masked: str) -> dict[str, Json]:
    why: list[Json] = [
        {"measure": reason.measure, "value": round(reason.value, 4), "usual": [round(end, 4) for end in reason.usual], "said": reason.said}
        for reason in one.why
    ]
    return {
        "id": one.row.id, "source": one.row.source, "side": one.row.side, "label": one.row.label, "score": round(one.score, 4), "why": why,
        "text": masked,
    }  # fmt: skip
