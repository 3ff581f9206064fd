"""The messages as they were written: no dirt, and each with its right intent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Clean:
    """One message of a customer. `id` is stable, such as `repair_quote-017`: the intent and the line of its file."""

    id: str
    text: str
    intent: str
    lang: str = "en"


def clean_messages() -> tuple[Clean, ...]:
    """All messages in the order of their files' names and lines; `lang` is an ISO 639-1 code."""
    folder = resources.files("luthier.demo").joinpath("messages")
    found: list[Clean] = []
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".jsonl"):
            rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
            name = file.name.removesuffix(".jsonl")
            found += [Clean(f"{name}-{i:03d}", row["text"], row["intent"], row.get("lang", "en")) for i, row in enumerate(rows, start=1)]
    return tuple(found)
