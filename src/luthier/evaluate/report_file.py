"""A report read back from its JSON, so that a table or a comparison needs no second evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.proofs import Proof
from luthier.evaluate.estimates import Comparison, Estimate
from luthier.evaluate.metrics import METRICS
from luthier.evaluate.report import SCHEMA, Report, RunFacts
from luthier.evaluate.verdict import Goal, Reason


def report_from_dict(value: Mapping[str, Any], where: str = "report.json") -> Report:
    """The report that `Report.as_dict` wrote; numbers of groups are not in the contract and come back as None.

    Raises:
        LuthierError: it is of another schema.

    """
    if value.get("schema") != SCHEMA:
        raise LuthierError(
            where, f"its schema is {value.get('schema')}, and this version reads {SCHEMA}", "evaluate the run again with this version"
        )
    return Report(
        facts=RunFacts(
            run=value["run"], data_hash=value["data_hash"], seed=value["seed"], looks=value["looks"],
            proofs={name: Proof(proof["holds"], proof["detail"]) for name, proof in value["proofs"].items()},
            not_applicable=value["not_applicable"], versions=value["versions"], seconds=value["seconds"],
        ),
        goal=_goal(value["goal"]),
        verdict=value["verdict"],
        reasons=tuple(Reason(**reason) for reason in value["reasons"]),
        systems={name: {metric: Estimate(**one) for metric, one in found.items()} for name, found in value["systems"].items()},
        comparisons=tuple(Comparison(**one, higher_is_better=METRICS[one["metric"]].higher_is_better) for one in value["comparisons"]),
    )  # fmt: skip


def _goal(value: Mapping[str, Any]) -> Goal:
    """The goal as it was written: what was defaulted is left to the defaults again."""
    defaulted = value["defaulted"]
    return Goal(
        task=value["task"], about=value["about"], metric=None if "metric" in defaulted else value["metric"],
        at_least=value["at_least"], beat=() if "beat" in defaulted else tuple(value["beat"]),
    )  # fmt: skip
