"""Near-duplicates: what `near_duplicates` finds of what brute force finds, and rows per second beside two libraries.

    python bench/near_duplicates.py [ROWS.jsonl[.gz] …] --field text --rows 20000

Rows are the texts of the files, as many as asked, and every second one of them a copy in which some words are replaced, left
out or added, from one to a quarter of them, drawn by a fixed seed: so many pairs stand near the threshold. Without files the
texts are made up of 4,000 made-up words. Truth is brute force over all pairs: the sets of 5-grams as a matrix, multiplied
block by block, each pair's Jaccard similarity from its counts; no index has a say in it. Every system gets the same texts
(without case and differences of space) and finds pairs:

    ours       bands of MinHash (128 values), pairs compared exactly: what `near_duplicates` goes by
    rensa      RMinHash and RMinHashLSH of 128 values, used directly; its pairs taken as they are, and compared exactly
    datasketch MinHash and MinHashLSH of 128 values, likewise

Times are processor seconds of one thread, the least of `--turns`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np
import scipy.sparse

from luthier.core.examples import Text
from luthier.data.likeness.compared import normalised
from luthier.data.likeness.neighbours import band_keys, band_shape, grams, similarity
from luthier.data.pipeline import clean
from luthier.data.steps import NearDuplicates

Pairs: TypeAlias = set[tuple[int, int]]
N_VALUES = 128
RENSA_BANDS = 16
"""As in its own documentation; datasketch works out its bands by itself."""


def texts_of(files: list[Path], field: str, n: int, seed: int) -> list[str]:
    """`n` distinct normalised texts, half of them small or larger changes of the others."""
    draw = random.Random(seed)
    made = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(4000)]
    found: dict[str, None] = {}
    for path in files:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            for line in file:
                text = normalised(str(json.loads(line)[field]))
                if len(text) >= 20:
                    found.setdefault(text)
    originals = list(found) or [" ".join(draw.choices(made, k=draw.randint(5, 60))) for _ in range(n)]
    draw.shuffle(originals)
    words = sorted({word for text in originals[:2000] for word in text.split()})
    chosen = dict.fromkeys(originals[: n // 2])
    while len(chosen) < n:
        chosen.setdefault(changed(draw.choice(originals[: n // 2]), words, draw))
    mixed = list(chosen)
    draw.shuffle(mixed)
    return mixed


def changed(text: str, words: list[str], draw: random.Random) -> str:
    parts = text.split()
    for _ in range(draw.randint(1, max(1, len(parts) // 4))):
        place = draw.randrange(len(parts))
        match draw.randrange(3):
            case 0:
                parts[place] = draw.choice(words)
            case 1 if len(parts) > 3:
                parts.pop(place)
            case _:
                parts.insert(place, draw.choice(words))
    return " ".join(parts)


def brute_force(texts: list[str], threshold: float) -> Pairs:
    """Every pair at or over the threshold, from the number of 5-grams that each two texts share; nothing is left out."""
    number: dict[str, int] = {}
    rows = [[number.setdefault(gram, len(number)) for gram in grams(text)] for text in texts]
    starts = np.cumsum([0, *map(len, rows)])
    sets = scipy.sparse.csr_matrix((np.ones(starts[-1], np.int32), np.concatenate(rows), starts), shape=(len(texts), len(number)))
    sizes, turned, found = np.diff(starts), sets.T.tocsc(), set()
    for low in range(0, len(texts), 256):
        shared = (sets[low : low + 256] @ turned).tocoo()
        i, j = shared.row + low, shared.col
        alike = (i < j) & (shared.data >= threshold * (sizes[i] + sizes[j] - shared.data) - 1e-9)
        found |= set(zip(i[alike].tolist(), j[alike].tolist(), strict=True))
    return found


def with_key(keys: list[tuple[bytes, ...]]) -> Pairs:
    """The pairs that share a key."""
    members: dict[tuple[int, bytes], list[int]] = {}
    for i, some in enumerate(keys):
        for band, key in enumerate(some):
            members.setdefault((band, key), []).append(i)
    return {(a, b) for some in members.values() for k, a in enumerate(some) for b in some[k + 1 :]}


def compared(pairs: Pairs, texts: list[str], threshold: float) -> Pairs:
    return {(i, j) for i, j in pairs if similarity(texts[i], texts[j]) >= threshold - 1e-9}


def ours(texts: list[str], threshold: float) -> Pairs:
    return compared(with_key([band_keys(text, threshold) for text in texts]), texts, threshold)


def by_rensa(texts: list[str], threshold: float) -> Pairs:
    import rensa

    lsh = rensa.RMinHashLSH(threshold=threshold, num_perm=N_VALUES, num_bands=RENSA_BANDS)
    sketches = []
    for i, text in enumerate(texts):
        sketch = rensa.RMinHash(num_perm=N_VALUES, seed=1)
        sketch.update(list(grams(text)))
        sketches.append(sketch)
        lsh.insert(i, sketch)
    return {(min(i, j), max(i, j)) for i, sketch in enumerate(sketches) for j in lsh.query(sketch) if i != j}


def by_datasketch(texts: list[str], threshold: float) -> Pairs:
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(threshold=threshold, num_perm=N_VALUES)
    found: Pairs = set()
    for i, text in enumerate(texts):
        sketch = MinHash(num_perm=N_VALUES)
        sketch.update_batch([gram.encode("utf-8", "surrogatepass") for gram in grams(text)])
        found |= {(j, i) for j in lsh.query(sketch)}
        lsh.insert(i, sketch)
    return found


def said(name: str, found: Pairs, truth: Pairs, n_rows: int, seconds: float | None) -> str:
    recall = len(found & truth) / max(1, len(truth))
    precision = len(found & truth) / max(1, len(found))
    rate = "" if seconds is None else f"{n_rows / seconds:10,.0f} {seconds:8.1f}"
    return f"{name:28} {len(found):9,} {recall:8.4f} {precision:9.4f} {rate}"


def timed(find: Callable[[list[str], float], Pairs], texts: list[str], threshold: float, turns: int) -> tuple[Pairs, float]:
    best = float("inf")
    found: Pairs = set()
    for _ in range(turns):
        began = time.process_time()
        found = find(texts, threshold)
        best = min(best, time.process_time() - began)
    return found, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--field", default="text")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    texts = texts_of(args.files, args.field, args.rows, args.seed)
    lengths = [len(text) for text in texts]
    began = time.process_time()
    truth = brute_force(texts, args.threshold)
    print(f"{len(texts):,} rows of {np.median(lengths):.0f} characters (median), {len(truth):,} pairs at {args.threshold:g} or over; "
          f"brute force {time.process_time() - began:.0f} s; bands × values {band_shape(args.threshold)}")  # fmt: skip
    print(f"rensa {version('rensa')}, datasketch {version('datasketch')}, numpy {np.__version__}")
    print(f"{'':28} {'pairs':>9} {'recall':>8} {'precision':>9} {'rows/s':>10} {'s':>8}")
    found, seconds = timed(ours, texts, args.threshold, args.turns)
    print(said("ours", found, truth, len(texts), seconds))
    for name, find in (("rensa", by_rensa), ("datasketch", by_datasketch)):
        found, seconds = timed(find, texts, args.threshold, args.turns)
        print(said(name, found, truth, len(texts), seconds))
        print(said(f"{name}, compared exactly", compared(found, texts, args.threshold), truth, len(texts), None))
    began = time.process_time()
    cleaned = clean([Text(str(i), text) for i, text in enumerate(texts)], [NearDuplicates(threshold=args.threshold)])
    seconds = time.process_time() - began
    wrong = sum(similarity(row.example.text, texts[int(row.kept_id or 0)]) < args.threshold - 1e-9 for row in cleaned.dropped)
    kept = {int(row.example.id) for row in cleaned.kept}
    missed = sum(i in kept and j in kept for i, j in truth)
    print(f"the step, end to end: {len(cleaned.dropped):,} of {len(texts):,} rows dropped, {len(texts) / seconds:,.0f} rows/s; "
          f"dropped for an unlike row: {wrong}; pairs of which both were kept: {missed}")  # fmt: skip


if __name__ == "__main__":
    main()
