"""Personal data and secrets in rows: counted and never quoted."""

from __future__ import annotations

import re

from luthier.core.examples import Pair, Text
from luthier.data.profile.private import PRIVACY, Privacy, private_rows
from luthier.data.profile.sample import looked

CARD = "4539 1488 0343 6467"
MAIL = "gudrun.holm@holm-geigen.de"


def by_mark(text: str) -> tuple[tuple[str, bool], ...]:
    """`!name` surely, `?name` perhaps."""
    return tuple((name, sign == "!") for sign, name in re.findall(r"([!?])(\w+)", text))


def test_rows_are_counted_by_kind_once_and_the_sure_ones_stand_first() -> None:
    rows = [
        looked(Pair("a", "!mail !mail", "?mail !card", source="x.csv:1"), "train"),
        looked(Text("b", "?mail ?phone", source="x.csv:2"), "train"),
        looked(Text("c", "?phone"), "test"),
        looked(Text("d", "nothing"), "test"),
    ]
    found = private_rows(rows, Privacy(by_mark, str))
    assert found.n_rows == 1
    assert [(one.kind, one.n_sure, one.n_possible, one.places) for one in found.kinds] == [
        ("mail", 1, 1, ("x.csv:1", "x.csv:2")), ("card", 1, 0, ("x.csv:1",)), ("phone", 0, 2, ("x.csv:2", "c")),
    ]  # fmt: skip


def test_what_is_found_is_masked_by_its_kind_and_the_rest_stays() -> None:
    text = f"Please charge {CARD} and write to {MAIL}, thanks."
    assert {kind for kind, is_sure in PRIVACY.find(text) if is_sure} == {"credit_card", "email"}
    assert list(PRIVACY.find("an example: someone@workshop.example")) == [("email", False)]
    assert PRIVACY.mask(text) == "Please charge [CREDIT_CARD] and write to [EMAIL], thanks."
    assert PRIVACY.mask("nothing to hide") == "nothing to hide"
