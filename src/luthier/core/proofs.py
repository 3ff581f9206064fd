"""What a run proves about itself: each proof holds or does not, with the numbers behind it; some do not apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from luthier.core.jsonvalue import Json

NAMES = (
    "forest_equals_padded", "any_cut_same_gradient", "resumed_equals_straight", "merged_equals_adapter",
    "served_prompt_equals_trained_prompt", "every_row_supervised", "stop_token_trained", "label_map_round_trips",
    "split_certificate", "test_untouched",
)  # fmt: skip
"""The names of the report contract, in its order."""


_DISTRUST = "do not trust this run; report it as a bug of Luthier with its plan.json, and try a base of another family meanwhile"
_AGAIN = "remove its done file (tune.done) and run again, and leave the files of a bundle as they are"
WHAT_TO_DO: Mapping[str, str] = {
    "forest_equals_padded": _DISTRUST,
    "any_cut_same_gradient": _DISTRUST,
    "resumed_equals_straight": "train again without a break (remove the run's checkpoints and tune.done), and report it with plan.json",
    "merged_equals_adapter": "serve the adapter beside its base and do not merge it; report it as a bug of Luthier with plan.json",
    "served_prompt_equals_trained_prompt": _AGAIN,
    "every_row_supervised": "look at these rows with `luthier show`: give them a reply or a label, or leave them out",
    "stop_token_trained": "look at these rows with `luthier show`; " + _AGAIN,
    "label_map_round_trips": _AGAIN,
    "split_certificate": "name what ties rows together in [data] group; if files were edited, remove the run's data folder and run again",
    "test_untouched": "put data/kept.jsonl.gz back as it was, or remove the run's data folder and run again",
}
"""What a person can do about a proof that does not hold."""


@dataclass(frozen=True)
class Proof:
    """Whether it holds, and the measured numbers with their bound as a sentence."""

    holds: bool
    detail: str


@dataclass(frozen=True)
class NotApplicable:
    """Why a proof does not apply to a run."""

    reason: str


Found: TypeAlias = Proof | NotApplicable
"""What comes of one proof."""


@dataclass(frozen=True)
class Proofs:
    """All proofs of a run by name; each of `NAMES` stands either in `proofs` or in `not_applicable`."""

    proofs: Mapping[str, Proof]
    not_applicable: Mapping[str, str]

    def as_json(self) -> dict[str, Json]:
        """The content of `proofs.json`."""
        return {
            "proofs": {name: {"holds": proof.holds, "detail": proof.detail} for name, proof in self.proofs.items()},
            "not_applicable": dict(self.not_applicable),
        }


def collect(found: Iterable[tuple[str, Found]]) -> Proofs:
    """What came of each proof, in the order of `NAMES`; to one that does not hold, what to do about it is added."""
    by_name = dict(found)
    assert by_name.keys() == set(NAMES), "each proof of the contract is made or does not apply"
    return Proofs(
        {name: _with_fix(name, one) for name in NAMES if isinstance(one := by_name[name], Proof)},
        {name: one.reason for name in NAMES if isinstance(one := by_name[name], NotApplicable)},
    )


def proofs_from(value: Mapping[str, Any]) -> Proofs:
    """What `Proofs.as_json` wrote."""
    return Proofs({name: Proof(one["holds"], one["detail"]) for name, one in value["proofs"].items()}, value["not_applicable"])


def _with_fix(name: str, proof: Proof) -> Proof:
    return proof if proof.holds else Proof(False, f"{proof.detail}. What to do: {WHAT_TO_DO[name]}")
