"""How often a base model finds the grammatical sentence of a minimal pair likelier than the ungrammatical one.

    python recipes/sprout/judge_pairs.py sprout ../shared/models/stories260K

prints, for each model, the share of `minimal_pairs.jsonl` that it gets right: all together and by phenomenon, each with
Wilson's 95 % interval. A sentence's likelihood is the summed log-probability of its tokens after the begin token, as in
BLiMP (Warstadt and others 2020, arXiv:1912.00582); not divided by their number, so that a pair whose
sentences differ in length tests length too. Most pairs do not. A tie is wrong. Chance is one half.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.core.files import read_jsonl
from luthier.evaluate.shares import wilson_interval
from luthier.generate.likelihood import likelihoods
from luthier.models.load import Base, load
from luthier.models.probe import probe
from luthier.text.batching import CutPlan

PAIRS = Path(__file__).resolve().parent / "minimal_pairs.jsonl"
MAX_NODES = 1024
ALL = "all"


@dataclass(frozen=True)
class MinimalPair:
    """Two sentences that differ in what makes one of them ungrammatical."""

    phenomenon: str
    good: str
    bad: str


@dataclass(frozen=True)
class Share:
    """The share of `n` pairs that a model gets right, with the ends of its interval."""

    value: float
    low: float
    high: float
    n: int


def read_pairs(path: Path = PAIRS) -> list[MinimalPair]:
    """The pairs of a file, in its order."""
    return [MinimalPair(**{name: str(value) for name, value in row.items()}) for row in read_jsonl(path)]


def margins_nats(base: Base, pairs: Sequence[MinimalPair]) -> NDArray[np.float64]:
    """For each pair, log p(good) − log p(bad).

    A model without a begin token reads the sentences after its end token, which is what stood before a text in its training.
    """
    tokenizer = base.tokenizer
    begin = tokenizer.eos_id if tokenizer.bos_id is None else tokenizer.bos_id
    sentences = tokenizer.encode_all([sentence for pair in pairs for sentence in (pair.good, pair.bad)])
    plan = CutPlan(probe(base.network).layout, MAX_NODES, tokenizer.pad_id)
    found = likelihoods(base.network, [[begin]] * len(sentences), sentences, plan).logp_nats
    return found[0::2] - found[1::2]


def accuracies(pairs: Sequence[MinimalPair], margins: NDArray[np.float64]) -> dict[str, Share]:
    """The share of pairs with a margin above 0: of all, then of each phenomenon in the order of the pairs."""
    right = margins > 0
    members: dict[str, list[bool]] = {ALL: right.tolist()}
    for pair, one in zip(pairs, right.tolist(), strict=True):
        members.setdefault(pair.phenomenon, []).append(one)
    return {name: _share(held) for name, held in members.items()}


def _share(right: Sequence[bool]) -> Share:
    value = sum(right) / len(right)
    return Share(value, *wilson_interval(value, len(right)), len(right))


def table(found: Mapping[str, Mapping[str, Share]]) -> str:
    """The shares of several models side by side, as a table in Markdown."""
    lines = ["| phenomenon | pairs | " + " | ".join(found) + " |", "|---" * (2 + len(found)) + "|"]
    for name, first in next(iter(found.values())).items():
        shares = [of[name] for of in found.values()]
        lines.append(f"| {name} | {first.n} | " + " | ".join(f"{s.value:.2f} ({s.low:.2f} to {s.high:.2f})" for s in shares) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bases", nargs="+", help='"sprout", or the folder of a model')
    parser.add_argument("--margins", type=Path, help="file to write each pair's margins to, as JSONL")
    args = parser.parse_args()
    pairs = read_pairs()
    margins = {name: margins_nats(load(name), pairs) for name in args.bases}
    print(table({Path(name).name: accuracies(pairs, of) for name, of in margins.items()}))
    if args.margins is not None:
        with open(args.margins, "w", encoding="utf-8") as file:
            for i, pair in enumerate(pairs):
                row = {**vars(pair), "margins_nats": {name: round(float(of[i]), 4) for name, of in margins.items()}}
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
