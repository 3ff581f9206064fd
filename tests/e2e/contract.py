"""The report contract, checked: exactly these keys, numbers or null, and a verdict that its reasons bear out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

KEYS = [
    "schema", "run", "goal", "verdict", "reasons", "systems", "comparisons", "proofs", "not_applicable", "looks", "data_hash", "versions",
    "seed", "seconds",
]  # fmt: skip
GOAL = ["task", "about", "metric", "at_least", "beat", "defaulted"]
ESTIMATE = ["value", "low", "high", "n", "n_unjudged", "method"]
COMPARISON = ["a", "b", "metric", "difference", "low", "high", "p", "p_holm", "test", "n"]
PROOFS = {
    "forest_equals_padded", "any_cut_same_gradient", "resumed_equals_straight", "merged_equals_adapter",
    "served_prompt_equals_trained_prompt", "every_row_supervised", "stop_token_trained", "label_map_round_trips", "split_certificate",
    "test_untouched",
}  # fmt: skip
MOST = ["tuned", "base", "few_shot", "majority", "classical"]
SYSTEMS = {
    "classify": MOST, "answer": MOST, "chat": MOST, "pretrain": ["tuned", "base"],
}  # fmt: skip


def assert_report(report: Mapping[str, Any], task: str, n_test: int) -> None:
    """Everything that the contract says of a report's shape, and what must be true of its numbers."""
    assert list(report) == KEYS
    assert report["schema"] == 1
    assert list(report["goal"]) == GOAL
    assert report["goal"]["task"] == task
    assert list(report["systems"]) == SYSTEMS[task]
    for found in report["systems"].values():
        assert report["goal"]["metric"] in found
        for one in found.values():
            _assert_estimate(one, n_test)
    _assert_comparisons(report)
    assert set(report["proofs"]) | set(report["not_applicable"]) == PROOFS
    assert set(report["proofs"]) & set(report["not_applicable"]) == set()
    assert {"split_certificate", "test_untouched", "every_row_supervised"} <= set(report["proofs"])
    assert [name for name, one in report["proofs"].items() if not one["holds"]] == []
    assert all(list(one) == ["holds", "detail"] for one in report["proofs"].values())
    assert all(list(one) == ["claim", "holds", "evidence"] for one in report["reasons"])
    assert report["reasons"], "a verdict has reasons"
    assert report["verdict"] == ("ship" if all(one["holds"] for one in report["reasons"]) else "hold")
    assert report["looks"] >= 1
    assert len(report["data_hash"]) == 64
    assert {"python", "torch", "luthier"} <= set(report["versions"])
    assert set(report["seconds"]) <= {"prepare", "profile", "tune", "prove", "evaluate", "page", "bundle"}
    _assert_finite(report)


def _assert_estimate(one: Mapping[str, Any], n_test: int) -> None:
    assert list(one) == ESTIMATE
    assert one["n"] + one["n_unjudged"] == n_test
    if one["value"] is None:
        assert (one["n"], one["low"], one["high"]) == (0, None, None)
    else:
        assert one["low"] <= one["value"] <= one["high"]


def _assert_comparisons(report: Mapping[str, Any]) -> None:
    metric = report["goal"]["metric"]
    judged = {name for name, found in report["systems"].items() if name != "tuned" and found[metric]["value"] is not None}
    compared = {one["b"] for one in report["comparisons"] if one["metric"] == metric}
    assert judged <= compared <= set(report["systems"]) - {"tuned"}
    for one in report["comparisons"]:
        assert list(one) == COMPARISON
        assert one["a"] == "tuned"
        if one["difference"] is None:
            assert one["p"] is None and one["p_holm"] is None
            continue
        assert one["low"] <= one["difference"] <= one["high"]
        assert 0 <= one["p"] <= one["p_holm"] <= 1
        values = [report["systems"][one[side]][metric] for side in "ab"]
        if values[0]["n_unjudged"] == values[1]["n_unjudged"] == 0:
            assert math.isclose(one["difference"], values[0]["value"] - values[1]["value"], abs_tol=1e-9)


def _assert_finite(value: object) -> None:
    """No number in it is NaN or infinite."""
    if isinstance(value, Mapping):
        for one in value.values():
            _assert_finite(one)
    elif isinstance(value, list):
        for one in value:
            _assert_finite(one)
    else:
        assert not isinstance(value, float) or math.isfinite(value)
