from __future__ import annotations

from typing import Any

import pytest

from luthier.core.proofs import NotApplicable, Proof
from luthier.prove.resuming import resumed_equals_straight, too_dear


def journal(first: int, seconds: float, **changed: Any) -> list[dict[str, Any]]:
    """Steps `first` to 12 with a digest at 11; `changed` is what step 10 says otherwise."""
    steps = [{"event": "step", "step": n, "loss_nats": 1 / n, "grad_norm": 2.0, "seconds": seconds} for n in range(first, 13)]
    found = [{**one, **changed} if one["step"] == 10 else one for one in steps]
    digest = {"event": "digest", "step": 11, "since": 8, "sha256": "ab"}
    return sorted([*found, digest, {"event": "validation", "step": 10, "loss_nats": 3.0}], key=lambda one: one["step"])


STRAIGHT = journal(1, 0.5)


def test_equal_steps_and_an_equal_state_hold_whatever_the_seconds_and_the_validations() -> None:
    resumed = [one for one in journal(9, 0.7) if one["event"] != "validation" and one["step"] <= 11]
    found = resumed_equals_straight(STRAIGHT, resumed, 8, ())
    assert isinstance(found, Proof) and found.holds
    assert "step 8 for 3 steps" in found.detail
    # The machine is another, and bits are equal all the same.
    assert resumed_equals_straight(STRAIGHT, resumed, 8, ("torch differs",)) == found


@pytest.mark.parametrize("field", ["loss_nats", "grad_norm", "step"])
def test_one_bit_of_one_number_is_one_too_many(field: str) -> None:
    resumed = journal(9, 0.7, **{field: 0.1 + 1e-17 if field != "step" else 10.5})
    found = resumed_equals_straight(STRAIGHT, resumed, 8, ())
    assert isinstance(found, Proof) and not found.holds


def test_another_state_does_not_hold_even_where_the_losses_are_equal() -> None:
    resumed = [{**one, "sha256": "cd"} if one["event"] == "digest" else one for one in journal(9, 0.7)]
    found = resumed_equals_straight(STRAIGHT, resumed, 8, ())
    assert isinstance(found, Proof) and not found.holds
    assert "another SHA-256" in found.detail


def test_fewer_steps_and_a_missing_digest_do_not_hold() -> None:
    for resumed in ([], journal(10, 0.7), [one for one in journal(9, 0.7) if one["event"] != "digest"]):
        found = resumed_equals_straight(STRAIGHT, resumed, 8, ())
        assert isinstance(found, Proof) and not found.holds


def test_a_process_that_began_at_the_beginning_has_not_gone_on() -> None:
    found = resumed_equals_straight(STRAIGHT, journal(1, 0.7), 8, ("torch differs",))
    assert isinstance(found, Proof) and not found.holds
    assert "began at the beginning" in found.detail


def test_on_another_machine_other_bits_prove_nothing() -> None:
    found = resumed_equals_straight(STRAIGHT, journal(9, 0.7, loss_nats=0.1001), 8, ("not bit-equal: torch differs",))
    assert isinstance(found, NotApplicable) and "torch differs" in found.reason


def test_steps_are_not_taken_again_where_they_are_over_a_tenth_and_over_a_minute() -> None:
    entries = [{"event": "step", "step": n, "n_tokens": 100} for n in range(1, 13)]
    assert too_dear(entries, 8, 300) is None, "300 tokens again, which a minute has room for"
    found = too_dear(entries, 8, 299)
    assert found is not None and "12 steps" in found.reason and "300 tokens" in found.reason
    long = [{"event": "step", "step": n, "n_tokens": 100} for n in range(1, 31)]
    assert too_dear(long, 8, 0) is None, "300 of 3,000 tokens are a tenth"
    assert too_dear(long[:-1], 8, 0) is not None
    assert too_dear([*long, {"event": "validation", "step": 30, "n_tokens": 10**6}], 8, 0) is None
