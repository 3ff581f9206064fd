"""How honest is the advice of a learning curve? Curves are made up, most of which gain nothing, and what is advised is counted.

    python bench/advice.py [--times 2000] [--seed 0]

Each made-up world has test rows of several labels, rows of a difficulty of their own, trainings that differ from one
another as a whole and label by label (nested parts of one seed in a like way), and answers that are right by chance besides.
"any" is the share of worlds in which any advice at all appears, "whole" and "label" its parts. Where nothing improves over
the last two doublings, "any" has to be 5 % at most.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.evaluate.learning import LAST, LEAST_UNITS, Contrast, crossed
from luthier.evaluate.metrics.accuracy import Accuracy
from luthier.evaluate.page.label_f1 import LabelF1

N_SIZES, N_SEEDS = 5, 3


@dataclass(frozen=True)
class World:
    """What is made up: `gain` is the logit that each size adds, `whole` and `label` are how trainings differ (in logits)."""

    name: str
    n_test: int = 300
    n_labels: int = 12
    gains: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    one_label: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    whole: float = 0.1
    label: float = 0.2
    rows: float = 2.0
    alike: float = 0.5
    group: int = 1


WORLDS = (
    World("flat"),
    World("flat, trainings differ much", whole=0.3, label=0.5),
    World("flat, trainings hardly differ", whole=0.0, label=0.0),
    World("flat, nested parts wholly alike", alike=1.0, whole=0.3),
    World("flat, unlike parts", alike=0.0, whole=0.3, label=0.4),
    World("flat, few test rows", n_test=60, n_labels=3),
    World("flat, two labels", n_test=200, n_labels=2),
    World("flat, many labels", n_test=600, n_labels=40),
    World("flat, groups of 5", n_test=300, group=5),
    World("flat, nearly all right", gains=(3.0,) * 5),
    World("rose, then flat", gains=(-2.0, -1.0, 0.0, 0.0, 0.0)),
    World("falls", gains=(0.4, 0.3, 0.2, 0.1, 0.0)),
    World("rises slowly", gains=(0.0, 0.1, 0.2, 0.3, 0.4)),
    World("rises", gains=(0.0, 0.3, 0.6, 0.9, 1.2)),
    World("one label rises", one_label=(0.0, 0.8, 1.6, 2.4, 3.2)),
)


def answers_of(world: World, draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(true labels of the rows, labels that were said: sizes × seeds × rows)."""
    true = np.arange(world.n_test) % world.n_labels
    unit = np.arange(world.n_test) // world.group
    easy = draw.normal(0, world.rows, unit.max() + 1)[unit]
    shift = np.zeros((N_SIZES, N_SEEDS, world.n_labels))
    for scale, shape in ((world.whole, (N_SIZES, N_SEEDS, 1)), (world.label, (N_SIZES, N_SEEDS, world.n_labels))):
        common = draw.normal(0, 1, (1, *shape[1:]))
        shift = shift + scale * (np.sqrt(world.alike) * common + np.sqrt(1 - world.alike) * draw.normal(0, 1, shape))
    shift[:, :, 0] += np.array(world.one_label)[:, None]
    logits = easy + shift[:, :, true] + np.array(world.gains)[:, None, None]
    right = draw.random(logits.shape) < 1 / (1 + np.exp(-logits))
    other = (true + draw.integers(1, world.n_labels, logits.shape)) % world.n_labels
    return true, np.where(right, true, other)


def summed(statistics: NDArray[np.float64], group: int) -> NDArray[np.float64]:
    """Statistics summed by group of neighbouring rows, without those that have none."""
    j, s, n, k = statistics.shape
    sums = statistics.reshape(j, s, n // group, group, k).sum(axis=3)
    kept: NDArray[np.float64] = sums[:, :, (sums != 0).any(axis=(0, 1, 3))]
    return kept


def advised(world: World, draw: np.random.Generator, n_seen: int = LAST) -> tuple[bool, int, bool]:
    """(whether more rows as a whole are advised, of how many labels more are, whether the whole's interval holds the truth 0)."""
    true, said = (one[-n_seen:] if one.ndim > 1 else one for one in answers_of(world, draw))
    weights = np.arange(n_seen) - (n_seen - 1) / 2
    weights = weights / (weights**2).sum()

    def of(metric: object, statistics: NDArray[np.float64]) -> Contrast | None:
        return crossed(metric, summed(statistics, world.group), weights, range(n_seen))  # type: ignore[arg-type]

    right = (said == true).astype(float)
    whole = of(Accuracy(), np.stack([right, np.ones_like(right)], axis=-1))
    miss = 0.05 / 2
    n_told = 0
    for label in range(world.n_labels):
        is_true = np.broadcast_to(true == label, said.shape).astype(float)
        is_said = (said == label).astype(float)
        found = of(LabelF1(str(label)), np.stack([is_true * is_said, is_true + is_said], axis=-1))
        if found is not None and found.n_units >= LEAST_UNITS:
            n_told += found.interval(1 - miss / world.n_labels)[0] > 0
    assert whole is not None, "there are rows"
    low, high = whole.interval(1 - miss)
    return low > 0, n_told, low <= 0 <= high


def rates(world: World, n_times: int, seed: int) -> tuple[float, float, float, float]:
    """How often any advice appears, that on the whole, that on a label, and how often the whole's 97.5 % interval holds 0."""
    draw = np.random.default_rng(seed)
    found = [advised(world, draw) for _ in range(n_times)]
    n = len(found)
    return (
        sum(whole or n_labels > 0 for whole, n_labels, _ in found) / n, sum(whole for whole, _, _ in found) / n,
        sum(n_labels > 0 for _, n_labels, _ in found) / n, sum(holds for *_, holds in found) / n,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    print("| world | any | whole | label | 0 inside |\n|---|---|---|---|---|")
    for world in WORLDS:
        shown = rates(world, asked.times, asked.seed)
        print(f"| {world.name} | {' | '.join(f'{one:.3f}' for one in shown)} |", flush=True)


if __name__ == "__main__":
    main()
