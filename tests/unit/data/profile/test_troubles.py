"""What is advised: each rule where it applies, and nowhere else."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from tests.made_profiles import Bytes, Letters, labelled, profile

from luthier.core.examples import AnyExample, Labelled, Text
from luthier.core.options import kind_of
from luthier.data.pipeline import DEFAULT_STEPS, DroppedRow
from luthier.data.profile.characters import ABOUT
from luthier.data.profile.private import Privacy
from luthier.data.profile.tokens import Model
from luthier.data.profile.troubles import FEW_OF_A_LABEL, RULES, STEP_FOR, Trouble, troubles_of
from luthier.data.steps import AnyStep

STEPS = tuple(step.kind for step in DEFAULT_STEPS)
PRINTED = Letters(string.printable)
DE = "Die Schnecke meines alten Cellos ist gerissen, und ich wüsste gern, was eine Reparatur kostet, Nummer {}."


def found(home: Path, rows: Sequence[AnyExample], model: Model | str = "there is none", **more: object) -> dict[str, Trouble]:
    said = troubles_of(profile(home, rows, model, **{"steps": STEPS, **more}))
    assert len({one.kind for one in said}) == len(said) and all(one.n_rows > 0 for one in said)
    return {one.kind: one for one in said}


def test_plain_rows_have_no_troubles(tmp_path: Path) -> None:
    assert found(tmp_path, labelled(200), Model("m", PRINTED, 200, reference=("plain prose",))) == {}


def test_rows_longer_than_the_model_reads_are_counted(tmp_path: Path) -> None:
    rows = labelled(100)
    longest = sorted((len(row.text) for row in rows), reverse=True)
    one = found(tmp_path, rows, Model("m", PRINTED, longest[3]))["over_context"]
    assert one.n_rows == sum(n > longest[3] for n in longest) and "[train] too_long" in one.do and f"{longest[3]:,} tokens" in one.because


def test_characters_that_the_tokenizer_cannot_write_are_named(tmp_path: Path) -> None:
    rows = [*labelled(60), Text("x", "猫 and \u200d"), Text("y", "猫")]
    one = found(tmp_path, rows, Model("m", PRINTED, 200, unknown_id=0))["lost_characters"]
    assert one.n_rows == 2 and "猫 U+732B" in one.because and " U+200D" in one.because and "[model] base" in one.do


class Dear(Bytes):
    """Three tokens for each byte that is not ASCII."""

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        return [[one for byte in text.encode() for one in ([byte] if byte < 128 else [byte, 0, 0])] for text in texts]

    def decode(self, tokens: Sequence[int]) -> str:
        return super().decode([one for one in tokens if one])


def test_a_language_that_takes_many_tokens_is_named_with_its_numbers(tmp_path: Path) -> None:
    greek = [Text(f"g{i}", f"Ο κοχλίας του τσέλου μου έχει ραγίσει και θα ήθελα να μάθω πόσο κοστίζει, {i}") for i in range(30)]
    one = found(tmp_path, [*labelled(100), *greek], Model("m", Dear(), 9999, reference=("plain",)))["poor_fit"]
    assert one.title.startswith("Rows in el take") and one.n_rows == 30 and "1.00 of plain English" in one.because
    assert "poor_fit" not in found(tmp_path, greek, Model("m", Bytes(), 9999, reference=("plain",)))


def test_personal_data_is_a_trouble_where_it_is_sure(tmp_path: Path) -> None:
    sure = Privacy(lambda text: (("email", "3." in text),), str)
    one = found(tmp_path, labelled(60), privacy=sure)["private_data"]
    assert one.n_rows == sum("3." in row.text for row in labelled(60)) and f"email in {one.n_rows} rows" in one.because
    assert '{ kind = "personal_data" }' in one.do and '"secrets"' not in one.do
    both = Privacy(lambda text: (("email", True), ("api_key", True)), str)
    assert '{ kind = "secrets" } and { kind = "personal_data" }' in found(tmp_path, labelled(60), privacy=both)["private_data"].do
    masked = found(tmp_path, labelled(60), privacy=sure, steps=("personal_data",))["private_data"]
    assert "kind =" not in masked.do and "rows.csv:" in masked.do
    assert "private_data" not in found(tmp_path, labelled(60), privacy=Privacy(lambda text: (("email", False),), str))


def test_damaged_texts_name_the_step_that_is_missing_and_only_that(tmp_path: Path) -> None:
    rows = [*labelled(60), Text("x", "My cafÃ© bow\u200b needs a look by 3.", source="a.csv:9"), Text("y", "My \ufffd bow needs a look.")]
    with_steps = found(tmp_path, rows)["wrong_characters"]
    assert "kind =" not in with_steps.do and "a.csv:9" in with_steps.do and "[data] encoding" in with_steps.do
    without = found(tmp_path, rows, steps=("whitespace",))["wrong_characters"]
    assert '{ kind = "repair_encoding" } to [prepare] steps' in without.do and "whitespace" not in without.do


def test_copies_that_are_left_are_counted(tmp_path: Path) -> None:
    rows = labelled(60)
    copies = [Labelled(f"copy {row.id}", row.text.upper(), row.label) for row in rows[:3]]
    assert found(tmp_path, [*rows, *copies])["copies"].n_rows == 3
    assert '{ kind = "exact_duplicates" }' in found(tmp_path, [*rows, *copies], steps=())["copies"].do
    other = [Labelled("other", rows[0].text, "another label"), Labelled("made", rows[0].text, rows[0].label, parent=rows[0].id)]
    assert "copies" not in found(tmp_path, [*rows, *other])


def test_a_step_that_drops_much_is_named_with_its_reason(tmp_path: Path) -> None:
    rows = labelled(100)
    gone = [DroppedRow(row, "length", "text under 9 characters" if i else "other") for i, row in enumerate(labelled(43, seed=1))]
    one = found(tmp_path, rows, dropped=gone)["much_dropped"]
    assert one.title == "length drops 30% of the rows" and "text under 9 characters" in one.because and one.n_rows == 43
    assert "much_dropped" not in found(tmp_path, rows, dropped=gone[:42])
    assert "much_dropped" in found(tmp_path, rows[:70], dropped=gone[:30]), "three in ten are much"


def test_labels_with_few_training_rows_are_named(tmp_path: Path) -> None:
    rows = [*labelled(100), *(Labelled(f"few {i}", f"My {'bow ' * i} rots", "rare") for i in range(8))]
    one = found(tmp_path, rows)["rare_labels"]
    n_train = sum(i % 10 < 8 for i in range(100, 108))
    enough = [*labelled(100), *(Labelled(f"few {i}", f"My {'bow ' * i} rots", "rare") for i in range(12))]
    assert sum(i % 10 < 8 for i in range(100, 112)) == FEW_OF_A_LABEL and "rare_labels" not in found(tmp_path, enough)
    assert f"“rare” ({n_train})" in one.because and n_train < FEW_OF_A_LABEL and one.title.startswith("1 label has")


def test_a_minority_in_another_language_is_named_and_a_second_language_is_not(tmp_path: Path) -> None:
    other = [Text(f"d{i}", DE.format(i)) for i in range(10)]
    one = found(tmp_path, [*labelled(100), *other])["other_languages"]
    assert one.n_rows == 10 and "de 10" in one.because and '{ kind = "languages", keep = ["en"] }' in one.do
    assert "other_languages" not in found(tmp_path, [*labelled(100), *other], steps=("languages",))
    many = [Text(f"d{i}", DE.format(i)) for i in range(60)]
    assert "other_languages" not in found(tmp_path, [*labelled(100), *many])


def test_spelled_marks_and_strange_rows_are_said(tmp_path: Path) -> None:
    rows = [*labelled(100), Text("m", "My bow <|im_end|> needs a look by 3."), Text("s", "x" * 4000, source="a.csv:7")]
    said = found(tmp_path, rows, Model("m", PRINTED, 9999, marks=frozenset({"<|im_end|>"})))
    assert said["spelled_marks"].n_rows == 1 and "a.csv:7" in said["strange_rows"].because


def test_every_step_that_is_advised_is_one_that_a_recipe_knows() -> None:
    known = {kind_of(step) for step in get_args(AnyStep)}
    assert {"secrets", "personal_data", *STEP_FOR.values()} <= known and set(STEP_FOR) <= set(ABOUT)
    source = Path(__file__).parents[4] / "src" / "luthier" / "data" / "profile" / "troubles.py"
    assert set(re.findall(r'kind = "(\w+)"', source.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_says_nothing_of_an_empty_set(rule: object, tmp_path: Path) -> None:
    assert rule(profile(tmp_path, [], Model("m", Bytes(), 9))) is None  # type: ignore[operator]
