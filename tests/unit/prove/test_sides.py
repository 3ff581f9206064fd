from __future__ import annotations

import pytest

from luthier.core.examples import AnyExample, Labelled
from luthier.data.kept.prepared import rows_hash
from luthier.data.sides.certificate import Certificate, certify
from luthier.prove import sides
from luthier.prove.sides import split_certificate

TEXT = "the bridge of the old violin has come loose again and wants some glue number"


def rows() -> list[tuple[AnyExample, str]]:
    texts = ("peg slips badly", "bow wants new hair", "sound post fell", "rent a cello", "lesson on friday", "varnish is cracked")
    on = ("train", "train", "train", "train", "validation", "test")
    return [
        (Labelled(str(i), text, "a", extra={"owner": f"o{i}"}), side) for i, (text, side) in enumerate(zip(texts, on, strict=True))
    ]


def recorded() -> Certificate:
    return certify(rows(), "owner", 0.8)


def test_sides_that_share_nothing_hold() -> None:
    found = split_certificate(rows(), recorded())
    assert found.holds
    assert found.detail.startswith("4 train, 1 validation, 1 test: 0 groups") and "joined again exactly" in found.detail


def test_a_group_on_two_sides_is_found_whatever_the_record_says() -> None:
    owners = {"5": "o0"}
    spoilt = [
        (Labelled(one.id, one.texts()[0], "a", extra={"owner": owners.get(one.id, f"o{one.id}")}), side) for one, side in rows()
    ]
    found = split_certificate(spoilt, recorded())
    assert not found.holds and "1 groups stand on two sides" in found.detail


@pytest.mark.parametrize("n_other", [1, 2])
def test_a_near_duplicate_on_another_side_is_found(n_other: int) -> None:
    spoilt = [*rows(), (Labelled("6", f"{TEXT} 1", "a"), "train"), *((Labelled(f"7{n}", f"{TEXT} 2", "a"), "test") for n in range(n_other))]
    found = split_certificate(spoilt, recorded())
    assert not found.holds and f"{n_other} near-duplicates" in found.detail


def test_beyond_many_rows_groups_are_joined_again_and_the_record_is_cited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "MOST_ROWS", 3)
    found = split_certificate(rows(), recorded())
    assert found.holds and "groups alone are joined again" in found.detail
    cited = Certificate(0, 2, 0.8, "owner")
    assert not split_certificate(rows(), cited).holds
    twins = [(Labelled(one.id, one.texts()[0], "a", extra={"owner": "o"}), side) for one, side in rows()]
    assert not split_certificate(twins, recorded()).holds


def test_a_side_that_nobody_knows_does_not_hold() -> None:
    assert not split_certificate([*rows(), (Labelled("6", "x", "a"), "holdout")], recorded()).holds


def test_test_rows_are_those_that_were_set_aside() -> None:
    test = [example for example, side in rows() if side == "test"]
    before = rows_hash(test)
    assert sides.test_untouched(test, (before, before), {"0", "1"}).holds
    assert not sides.test_untouched(test, (before, "0" * 64), {"0", "1"}).holds
    assert not sides.test_untouched(test, (before, before), {"0", "5"}).holds
    touched = [Labelled("5", "varnish is cracking", "a", extra={"owner": "o5"})]
    assert not sides.test_untouched(touched, (before, before), {"0"}).holds
    assert not sides.test_untouched([*test, *test], (before,), {"0"}).holds
