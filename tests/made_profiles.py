"""Prepared data as files, made for tests of the profile."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from luthier.core.examples import AnyExample, Labelled
from luthier.core.files import write_json, write_jsonl
from luthier.data.kept import prepared
from luthier.data.pipeline import Change, DroppedRow, KeptRow
from luthier.data.profile.measured import Profile, profile_of
from luthier.data.profile.private import Privacy
from luthier.data.profile.tokens import Model

PARTS = ("bow", "bridge", "chinrest", "endpin", "fingerboard", "frog", "nut", "peg", "saddle", "scroll", "soundpost", "string", "varnish")
NOTHING = Privacy(lambda text: (), lambda text: text)


class Letters:
    """A tokenizer that gives every letter of its alphabet a number of its own, and everything else the number 0."""

    def __init__(self, alphabet: str) -> None:
        self.alphabet = "?" + alphabet

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        return [[max(0, self.alphabet.find(one)) if one != "?" else 0 for one in text] for text in texts]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(self.alphabet[one] for one in tokens)


class Bytes:
    """A tokenizer whose tokens are bytes: it knows everything."""

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(text.encode("utf-8", "surrogatepass")) for text in texts]

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode("utf-8", "surrogatepass")


def labelled(n: int, seed: int = 0) -> list[Labelled]:
    """Plain rows of two labels, much alike in style, none equal to another."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        words = " ".join(draw.sample(PARTS, draw.randint(6, 10)))
        text, label = f"My {words} needs a look by {i % 28 + 1}.", "repair" if i % 2 else "question"
        rows.append(Labelled(f"r{i}", text, label, source=f"rows.csv:{i + 2}"))
    return rows


def write_data(
    home: Path, rows: Sequence[AnyExample], dropped: Sequence[DroppedRow] = (), changes: Mapping[str, tuple[Change, ...]] | None = None
) -> Path:
    """The files that preparing rows leaves; every tenth row is for validation, every tenth for the test."""
    sides = ["test" if i % 10 == 9 else "validation" if i % 10 == 8 else "train" for i in range(len(rows))]
    kept = (prepared.kept_record(KeptRow(row, (changes or {}).get(row.id, ())), side) for row, side in zip(rows, sides, strict=True))
    write_jsonl(home / prepared.KEPT, kept)
    write_jsonl(home / prepared.DROPPED, (prepared.dropped_record(row) for row in dropped))
    write_json(home / prepared.CLEANING, {"read": len(rows) + len(dropped), "added": {}})
    return home


def profile(home: Path, rows: Sequence[AnyExample], model: Model | str = "there is none", **more: object) -> Profile:
    """The profile of rows."""
    dropped: Sequence[DroppedRow] = more.get("dropped", ())  # type: ignore[assignment]
    privacy: Privacy = more.get("privacy", NOTHING)  # type: ignore[assignment]
    steps: Sequence[str] = more.get("steps", ())  # type: ignore[assignment]
    return profile_of(write_data(home, rows, dropped), int(str(more.get("seed", 0))), steps, model, privacy)
