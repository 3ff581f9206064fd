"""What a run proves about itself: each proof holds or does not, with the numbers behind it; some do not apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from luthier.core.jsonvalue import Json

NAMES = (
    "forest_equals_padded", "any_cut_same_gradient", "resumed_equals_straight", "merged_equals_adapter",
    "served_prompt_equals_trained_prompt", "every_row_supervised", "stop_token_trained", "label_map_round_trips",
    "split_certificate", "test_untouched",
)  # fmt: skip
"""The names of the report contract, in its order."""


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
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def failing(self) -> tuple[str, ...]:
        """The names of those that do not hold."""
        return tuple(name for name, proof in self.proofs.items() if not proof.holds)

    def as_json(self) -> dict[str, Json]:
        """The content of `proofs.json`."""
        return {
            "proofs": {name: {"holds": proof.holds, "detail": proof.detail} for name, proof in self.proofs.items()},
            "not_applicable": dict(self.not_applicable),
            "seconds": dict(self.seconds),
        }


def collect(found: Iterable[tuple[str, Found]], seconds: Mapping[str, float]) -> Proofs:
    """Sort what came of each proof into those that apply and those that do not, in the order of `NAMES`."""
    by_name = dict(found)
    assert by_name.keys() == set(NAMES), "each proof of the contract is made or does not apply"
    return Proofs(
        {name: one for name in NAMES if isinstance(one := by_name[name], Proof)},
        {name: one.reason for name in NAMES if isinstance(one := by_name[name], NotApplicable)},
        seconds,
    )
