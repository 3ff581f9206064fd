"""How many clean words the step against slips changes, and how many slips it puts right.

    python bench/typos.py SHARED/data --rows 400

Clean text: WikiText-2 (validation), dolly's instructions and contexts, books, and SST-2, as they stand: their own slips count as
clean, so that the figure is an upper bound. `--show` shows what was changed. Slips: in each text one word of five or more small
letters gets a letter too many, too few, another, or two exchanged (drawn by the seed, the first letter left alone); a slip that is
itself a word of the list is drawn again. Put right means to the letter.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from luthier.data.cleaning.spelling import _dictionary, corrected

WORD = re.compile(r"(?<![\w'-])[a-z]{5,}(?![\w'-])")


def texts_of(data: Path) -> Iterator[tuple[str, str]]:
    with gzip.open(data / "wikitext2" / "valid.txt.gz", "rt", encoding="utf-8") as file:
        yield from (("wikitext2", line.strip()) for line in file if len(line) > 200)
    with gzip.open(next((data / "dolly").glob("*.jsonl.gz")), "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield "dolly", row["instruction"]
            if row["context"]:
                yield "dolly contexts", row["context"]
    with gzip.open(data / "classic_books" / "train-01.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            yield from (("books", one) for one in json.loads(line)["text"].split("\n\n")[100:300] if len(one) > 100)
    with open(data / "sst2" / "train.tsv", encoding="utf-8") if (data / "sst2" / "train.tsv").exists() else gzip.open(
        next((data / "sst2").glob("train*.gz")), "rt", encoding="utf-8"
    ) as file:
        yield from (("sst2", line.partition("\t")[0]) for line in file)


def slipped(word: str, rng: random.Random) -> str:
    """The word with one slip in it, after its first letter."""
    i = rng.randrange(1, len(word) - 1)
    letter = rng.choice(string.ascii_lowercase)
    return rng.choice((
        word[:i] + letter + word[i:], word[:i] + word[i + 1 :], word[:i] + letter + word[i + 1 :],
        word[:i] + word[i + 1] + word[i] + word[i + 2 :],
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=400, help="texts of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="so many changes of clean words")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    by_set: dict[str, list[str]] = {}
    for name, text in texts_of(arguments.data):
        by_set.setdefault(name, []).append(text)
    known = _dictionary().counts
    changes: Counter[tuple[str, str]] = Counter()
    for name, all_texts in by_set.items():
        texts = rng.sample(all_texts, min(arguments.rows, len(all_texts)))
        n_words = n_changed = n_slips = n_right = n_wrong = 0
        for text in texts:
            after = corrected(text)
            n_words += len(text.split())
            differing = [(a, b) for a, b in zip(text.split(), after.split(), strict=True) if a != b]
            n_changed += len(differing)
            changes.update(differing)
            words = list(WORD.finditer(text))
            if not words:
                continue
            found = rng.choice(words)
            slip = next((one for one in (slipped(found[0], rng) for _ in range(20)) if one not in known), None)
            if slip is None:
                continue
            n_slips += 1
            bad = text[: found.start()] + slip + text[found.end() :]
            mended = corrected(bad)
            n_right += mended == after
            n_wrong += mended != after and slip not in WORD.findall(mended)
        print(
            f"{name:15} {len(texts)} texts, {n_words} words: {n_changed} clean ones changed ({1000 * n_changed / n_words:.2f} in 1,000)"
            f"; of {n_slips} slips {n_right / max(n_slips, 1):.3f} put right, {n_wrong / max(n_slips, 1):.3f} made another"
        )
    for (before, after), n in changes.most_common(arguments.show):
        print(f"  {before} -> {after} ({n})")


if __name__ == "__main__":
    main()
