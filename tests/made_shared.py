"""A small folder of data with the files, names and layouts of those that sprout is trained and measured on, made up."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterable
from pathlib import Path

WORDS = [
    "spruce", "maple", "bench", "chisel", "glue", "varnish", "fret", "bridge", "nut", "saddle", "string", "humid", "winter", "window",
    "morning", "quiet", "customer", "invoice", "repair", "tune", "listen", "careful", "slow", "river", "hill", "market", "bread",
    "coffee", "letter", "stamp", "train", "ticket", "bicycle", "rain", "umbrella", "garden", "apple", "knife",
]  # fmt: skip
LEFT_OUT = ("Silas Marner", "Black Beauty")
FILES = {
    "books": "classic_books/train-00.jsonl.gz", "peps": "peps/peps.jsonl.gz", "dialogues": "sgd/train.jsonl.gz",
    "questions": "openbookqa/train.tsv.gz", "instructions": "dolly/dolly.jsonl.gz",
}  # fmt: skip
CATEGORIES = ("open_qa", "classification", "brainstorming")


def said(draw: random.Random, n: int) -> str:
    """`n` words, beginning with a capital and ending with a full stop."""
    return " ".join(draw.choices(WORDS, k=n)).capitalize() + "."


def made_shared(folder: Path, seed: int = 0) -> Path:
    """Write `shared/data/…` and, beside it, `recipe.toml` with the comment lines that name the files; gives `shared`."""
    draw = random.Random(seed)
    titles = [*LEFT_OUT, *(f"Book {n}" for n in range(60))]
    rows: dict[str, Iterable[object]] = {
        "books": [{"title": one, "text": "\n\n".join(f"[{one}] {said(draw, 60)}" for _ in range(12))} for one in titles],
        "peps": [{"pep": n, "text": "\n\n".join(said(draw, 40) for _ in range(8))} for n in range(120)],
        "dialogues": [
            {"id": f"1_{n:05}", "turns": [{"speaker": who, "text": said(draw, 9)} for who in ("USER", "SYSTEM") * 3]} for n in range(200)
        ],
        "instructions": [
            {"instruction": f"{said(draw, 6)} {n}", "context": said(draw, 9) if n % 2 else "", "response": said(draw, 5 if n % 5 else 90),
             "category": CATEGORIES[n % 3]}
            for n in range(300)
        ],
    }  # fmt: skip
    texts = {name: "".join(json.dumps(row) + "\n" for row in some) for name, some in rows.items()}
    asked = [f"q-{n}\t{said(draw, 7)} {n}\t(A) {WORDS[n % 30]} (B) {WORDS[n % 30 + 1]}\tall\tB" for n in range(200)]
    texts["questions"] = "\n".join(["ID\tQuestion Stem\tChoices\tComplete Question\tAnswer Key", *asked]) + "\n"
    comments = [f"# sha256 {_written(folder / 'shared/data' / path, texts[name])} {path}" for name, path in FILES.items()]
    _written(folder / "shared/data/wikitext2/valid.txt.gz", "\n".join(said(draw, 30) for _ in range(40)))
    (folder / "recipe.toml").write_text("\n".join(comments) + "\n", encoding="utf-8")
    return folder / "shared"


def _written(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return hashlib.sha256(path.read_bytes()).hexdigest()
