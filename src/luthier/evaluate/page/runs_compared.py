"""Runs that were tested on the same rows, compared: each metric, each label, the rows on which they part, and their recipes."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from luthier.core.errors import LuthierError
from luthier.core.jsonvalue import Json
from luthier.evaluate.answers import Gold, System, gold_hash, labels_of
from luthier.evaluate.compare import compare, corrected
from luthier.evaluate.estimates import Comparison, Estimate
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics import METRICS, AnyMetric, metric_named
from luthier.evaluate.metrics.metric import row_values
from luthier.evaluate.page.label_f1 import LabelF1
from luthier.evaluate.page.material import TUNED, Material, asked
from luthier.evaluate.page.mistakes import subset

N_PARTED = 25


@dataclass(frozen=True)
class Parted:
    """A test row on which runs differ: what each said, and its score by the metric that decides."""

    id: str
    source: str
    text: str
    gold: str
    said: tuple[tuple[str, str | None, float | None], ...]


@dataclass(frozen=True)
class RunsCompared:
    """Runs by name, and how they differ.

    `metric` is the first run's goal's. `estimates` are by run, then by metric, the goal's first. `comparisons` are every
    pair by the goal's metric, `others` every pair by every other metric, `labels` every pair by the F1 of each label that a test
    row has: each a family of its own for Holm's correction. `left_out` says why a metric of the reports is not here. `parted` are the
    rows on which the runs part most, of `n_parted` that they part on. `recipes` are options with each run's value.
    """

    metric: str
    estimates: Mapping[str, Mapping[str, Estimate]]
    comparisons: tuple[Comparison, ...]
    others: tuple[Comparison, ...]
    labels: tuple[tuple[str, Comparison], ...]
    left_out: Mapping[str, str]
    parted: tuple[Parted, ...]
    n_parted: int
    recipes: tuple[tuple[str, tuple[str, ...]], ...]

    def as_dict(self) -> dict[str, Json]:
        """The object that `--json` prints: systems and comparisons as in the report contract, without the rows."""
        systems: dict[str, Json] = {run: {name: one.as_dict() for name, one in found.items()} for run, found in self.estimates.items()}
        return {
            "schema": 1, "metric": self.metric, "systems": systems, "comparisons": [one.as_dict() for one in self.comparisons],
            "other_comparisons": [one.as_dict() for one in self.others], "left_out": dict(self.left_out),
            "labels": [{"label": label, **one.as_dict()} for label, one in self.labels], "n_parted": self.n_parted,
            "recipes": {option: list(values) for option, values in self.recipes},
        }  # fmt: skip


def compared(runs: Mapping[str, Material]) -> RunsCompared:
    """Compare the tuned models of runs.

    Args:
        runs: by name; two or more.

    Raises:
        LuthierError: they were tested on other rows, or for other tasks.

    """
    names, found = list(runs), list(runs.values())
    if len({gold_hash(material.gold) for material in found}) > 1:
        raise LuthierError(" and ".join(names), "they were tested on different rows", "compare runs with the same data, seed and split")
    if len({material.task for material in found}) > 1:
        raise LuthierError(" and ".join(names), "they have different tasks", "compare runs with the same [goal] task")
    gold, seed, task = found[0].gold, found[0].seed, found[0].task
    systems = [System(f"run:{name}", material.system(TUNED).answers) for name, material in runs.items()]
    labels = labels_of(gold, *systems) if task == "classify" else ()
    metrics, left_out = _metrics(found, systems, labels)
    pairs = list(itertools.combinations(systems, 2))
    by_metric = {metric.name: [compare(metric, gold, a, b, seed=seed) for a, b in pairs] for metric in metrics}
    goal = found[0].metric
    parted = sorted(_parted(found, systems, metric_named(goal, labels)), key=lambda one: (-one[0], one[1].id))
    return RunsCompared(
        metric=goal,
        estimates={system.name: {one.name: estimate(one, gold, system.answers, seed=seed) for one in metrics} for system in systems},
        comparisons=corrected(by_metric.pop(goal)),
        others=corrected([one for found in by_metric.values() for one in found]),
        labels=_by_label(gold, pairs, labels, seed),
        left_out=left_out,
        parted=tuple(row for _, row in parted[:N_PARTED]),
        n_parted=len(parted),
        recipes=tuple(_differing(found)),
    )


def _metrics(found: Sequence[Material], systems: Sequence[System], labels: Sequence[str]) -> tuple[list[AnyMetric], dict[str, str]]:
    """The metrics that the scores give again exactly as each report has them, the goal's first; and why the others are left out.

    A file of scores holds the probability of an answer but not of every label, so a metric may need more than it has.
    """
    names = dict.fromkeys([found[0].metric, *(name for material in found for name in material.report["systems"][TUNED])])
    kept: list[AnyMetric] = []
    left_out: dict[str, str] = {}
    for name in names:
        if name not in METRICS:
            left_out[name] = "this version does not know it"
            continue
        metric = metric_named(name, labels)
        same = [_again(metric, material, system) for material, system in zip(found, systems, strict=True)]
        if all(same) or name == found[0].metric:
            kept.append(metric)
        else:
            left_out[name] = "the recorded scores do not hold all that it takes"
    return kept, left_out


def _again(metric: AnyMetric, material: Material, system: System) -> bool:
    """Whether the recorded answers give the report's own value."""
    reported = (material.estimate(TUNED, metric.name) or {}).get("value")
    statistics = metric.statistics(material.gold, system.answers)
    keep = [math.isfinite(one) for one in statistics.sum(axis=1)]
    value = float(metric.values(statistics[keep].sum(axis=0)))
    return reported is not None and math.isclose(value, reported, rel_tol=1e-9, abs_tol=1e-12)


def _by_label(
    gold: Sequence[Gold], pairs: Sequence[tuple[System, System]], labels: Sequence[str], seed: int
) -> tuple[tuple[str, Comparison], ...]:
    """Every pair by the F1 of each label, the largest difference first; of a label that no row has, silence has no F1."""
    found: list[tuple[str, Comparison]] = []
    true = {row.text for row in gold}
    for label in [one for one in labels if one in true]:
        for a, b in pairs:
            # Rows that neither have the label nor were answered with it change no F1, and only cost time.
            bears = [label in {row.text, x.text, y.text} for row, x, y in zip(gold, a.answers, b.answers, strict=True)]
            rows, said_a = subset(gold, a.answers, bears)
            _, said_b = subset(gold, b.answers, bears)
            both = System(a.name, tuple(said_a)), System(b.name, tuple(said_b))
            found.append((label, compare(LabelF1(label), rows, *both, seed=seed)))
    family = corrected([one for _, one in found])
    named = [(label, one) for (label, _), one in zip(found, family, strict=True)]
    return tuple(sorted(named, key=lambda pair: (-abs(pair[1].difference or 0.0), pair[0], pair[1].a, pair[1].b)))


def _parted(found: Sequence[Material], systems: Sequence[System], metric: AnyMetric) -> Iterator[tuple[float, Parted]]:
    """Each row on which the runs' scores or labels differ, and by how much."""
    gold = found[0].gold
    scores = [row_values(metric, metric.statistics(gold, system.answers)) for system in systems]
    for i, row in enumerate(gold):
        values = [one[i] for one in scores]
        known = [value for value in values if value is not None]
        gap = max(known) - min(known) if len(known) > 1 else 0.0
        texts = [system.answers[i].text for system in systems]
        if not gap and (found[0].task != "classify" or len(set(texts)) == 1):
            continue
        example = found[0].test.get(row.id)
        said = tuple((system.name, text, value) for system, text, value in zip(systems, texts, values, strict=True))
        text, source = ("", "") if example is None else (asked(example), example.source)
        yield gap, Parted(row.id, source, text, row.text, said)


def _differing(found: Sequence[Material]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The options on which the recipes differ, with their values as TOML's JSON; `–` where one lacks it."""
    tables = [dict(_options(material.options, "")) for material in found]
    for option in dict.fromkeys(name for table in tables for name in table):
        values = tuple(table.get(option, "–") for table in tables)
        if len(set(values)) > 1 and option != "name":
            yield option, values


def _options(table: Mapping[str, object], path: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _options(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", json.dumps(value, ensure_ascii=False, default=str)
