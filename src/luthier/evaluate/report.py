"""The report of a run: every system measured, compared and judged, as the report contract has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from platform import python_version

from luthier.core.errors import LuthierError
from luthier.core.files import write_json, write_jsonl
from luthier.core.jsonvalue import Json
from luthier.core.proofs import Proof
from luthier.evaluate.answers import Answer, Gold, System, aligned, labels_of
from luthier.evaluate.compare import compare, corrected
from luthier.evaluate.estimates import Comparison, Estimate
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics import AnyMetric, metrics_of
from luthier.evaluate.metrics.brier import Brier
from luthier.evaluate.metrics.metric import judged, row_values
from luthier.evaluate.per_class import confusion, per_class
from luthier.evaluate.verdict import ALPHA, Evidence, Goal, Reason, Verdict, judge

SCHEMA = 1
TUNED = "tuned"
MAX_CONFUSIONS = 200


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What the report says about the run and does not measure: its name, proofs, hashes, versions, seed and times.

    `looks` is `looks.count_look`'s; `data_hash` is the hash of the prepared data; `seconds` are by stage.
    """

    run: str
    data_hash: str
    seed: int
    looks: int = 1
    proofs: Mapping[str, Proof] = dataclasses.field(default_factory=dict)
    not_applicable: Mapping[str, str] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Exactly the content of `evaluation/report.json`."""

    facts: RunFacts
    goal: Goal
    verdict: Verdict
    reasons: tuple[Reason, ...]
    systems: Mapping[str, Mapping[str, Estimate]]
    comparisons: tuple[Comparison, ...]

    def as_dict(self) -> dict[str, Json]:
        """The JSON of the report contract, schema 1; a number that does not exist is None."""
        facts = self.facts
        return {
            "schema": SCHEMA,
            "run": facts.run,
            "goal": self.goal.as_dict(),
            "verdict": self.verdict,
            "reasons": [reason.as_dict() for reason in self.reasons],
            "systems": {name: {metric: one.as_dict() for metric, one in found.items()} for name, found in self.systems.items()},
            "comparisons": [one.as_dict() for one in self.comparisons],
            "proofs": {name: {"holds": proof.holds, "detail": proof.detail} for name, proof in facts.proofs.items()},
            "not_applicable": dict(facts.not_applicable),
            "looks": facts.looks,
            "data_hash": facts.data_hash,
            "versions": dict(facts.versions),
            "seed": facts.seed,
            "seconds": dict(facts.seconds),
        }


@dataclass(frozen=True)
class Evaluation:
    """A report and what it was made from: the test rows and the systems' answers, both in the order of the ids."""

    report: Report
    metrics: tuple[AnyMetric, ...]
    gold: tuple[Gold, ...]
    systems: tuple[System, ...]

    def scores(self) -> list[dict[str, Json]]:
        """One object for each test row: the truth, and what each system said with its score by the goal's metric.

        The score is the metric of that row alone; for chrF and macro-F1 these do not average to the reported value.
        """
        metric = self.metrics[0]
        values = [row_values(metric, metric.statistics(self.gold, system.answers)) for system in self.systems]
        rows: list[dict[str, Json]] = []
        for i, row in enumerate(self.gold):
            said = {
                system.name: _said(system.answers[i], metric.name, scores[i]) for system, scores in zip(self.systems, values, strict=True)
            }
            rows.append({"id": row.id, "gold": row.text, "group": row.group, "systems": said})
        return rows

    def details(self) -> dict[str, Json]:
        """What is too bulky for the report: how each system was made, marks of few rows, scores by label, confusions."""
        return {system.name: self._detail(system) for system in self.systems}

    def _detail(self, system: System) -> dict[str, Json]:
        estimates = self.report.systems[system.name]
        found: dict[str, Json] = {
            "about": system.about,
            "shortened": system.shortened,
            "few_rows": [name for name, one in estimates.items() if one.value is not None and one.few],
            "n_groups": {name: one.n_groups for name, one in estimates.items() if one.n_groups is not None},
        }
        if self.report.goal.task == "classify":
            mistaken = [(pair, n) for pair, n in confusion(self.gold, system.answers).items() if pair[0] != pair[1]]
            mistaken.sort(key=lambda one: (-one[1], one[0]))
            found["per_class"] = {one.label: one.as_dict() for one in per_class(self.gold, system.answers)}
            found["confusions"] = [{"gold": true, "said": said, "n": n} for (true, said), n in mistaken[:MAX_CONFUSIONS]]
            found["n_confusions"] = len(mistaken)
        return found


def _said(answer: Answer, metric: str, score: float | None) -> dict[str, Json]:
    found: dict[str, Json] = {"answer": answer.text, metric: score}
    if answer.probabilities is not None and answer.text is not None:
        found["probability"] = answer.probabilities.get(answer.text)
    if answer.loss_nats is not None:
        found |= {"loss_nats": answer.loss_nats, "n_tokens": answer.n_tokens, "n_bytes": answer.n_bytes}
    if metric == Brier.name and answer.probabilities is not None:
        # What the goal is judged by can be judged again from the file; else a probability for each label would be too bulky.
        found["probabilities"] = dict(answer.probabilities)
    return found


def evaluate(goal: Goal, gold: Sequence[Gold], systems: Sequence[System], facts: RunFacts) -> Evaluation:
    """Measure every system by every metric of the task, compare tuned with each of the others, and judge.

    Args:
        goal: what is wanted.
        gold: the test rows, in any order.
        systems: the answers, `tuned` among them.
        facts: what the report says besides.

    Raises:
        LuthierError: there are no test rows, there is no `tuned`, or a system did not answer exactly the test rows.

    """
    if not gold:
        raise LuthierError("test set", "it has no rows", "give [data.split] test a share, or more rows")
    if TUNED not in [system.name for system in systems]:
        raise LuthierError("systems", f"there is no {TUNED} among them", "give the tuned model's answers too")
    rows, answers = aligned(gold, *systems)
    ordered = tuple(dataclasses.replace(system, answers=said) for system, said in zip(systems, answers, strict=True))
    labels = labels_of(rows, *ordered) if goal.task == "classify" else ()
    metrics = metrics_of(goal.task, rows, labels, goal.judged_by)
    measured = {
        system.name: {metric.name: estimate(metric, rows, system.answers, seed=facts.seed) for metric in metrics} for system in ordered
    }
    tuned = next(system for system in ordered if system.name == TUNED)
    others = [system for system in ordered if system.name != TUNED]
    comparisons = corrected([compare(metrics[0], rows, tuned, other, seed=facts.seed) for other in others])
    evidence = _evidence(metrics[0], rows, tuned, others, facts, measured[TUNED][metrics[0].name], comparisons)
    verdict, reasons = judge(goal, evidence)
    report = Report(facts=facts, goal=goal, verdict=verdict, reasons=reasons, systems=measured, comparisons=comparisons)
    return Evaluation(report, metrics, rows, ordered)


def _evidence(
    metric: AnyMetric,
    gold: Sequence[Gold],
    tuned: System,
    others: Sequence[System],
    facts: RunFacts,
    measured: Estimate,
    comparisons: tuple[Comparison, ...],
) -> Evidence:
    """The numbers that the claims rest on: those of the report, unless looks or silence make them stricter."""
    silent = ~judged(metric.statistics(gold, tuned.answers))
    worst = metric.failure(gold)
    if worst is not None:
        silent &= judged(worst)
    else:
        # Without a worst value, a row that no system can be judged on says nothing about tuned's silence.
        silent &= sum((judged(metric.statistics(gold, other.answers)) for other in others), start=silent & False)
    confidence = 1 - ALPHA / facts.looks
    if facts.looks > 1 or silent.any():
        measured = estimate(metric, gold, tuned.answers, seed=facts.seed, confidence=confidence, unjudged_fail=True)
        comparisons = corrected(
            [compare(metric, gold, tuned, other, seed=facts.seed, confidence=confidence, unjudged_fail=True) for other in others]
        )
    return Evidence(measured, comparisons, facts.proofs, facts.looks, int(silent.sum()), worst is not None)


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write `scores.jsonl.gz`, `details.json` and, last, `report.json` into the evaluation folder."""
    write_jsonl(folder / "scores.jsonl.gz", evaluation.scores())
    write_json(folder / "details.json", evaluation.details())
    write_json(folder / "report.json", evaluation.report.as_dict())


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a result depends on."""
    names = ("luthier", "torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "scikit-learn", "sacrebleu")
    return {"python": python_version(), **{name: metadata.version(name) for name in names}}
