"""`luthier show` on versions: what was added, removed and changed, in the way of a diff."""

from __future__ import annotations

from pathlib import Path

from tests.made_models import luthier, make_model, messages_of, recipe, write_rows

from luthier.data.kept.versions import Entry
from luthier.stages.changes import Changes, RowChange, counts_text


def entry(name: str, side: str = "train", label: str | None = "x") -> Entry:
    return Entry(name, side, label, "", "")


def test_a_row_is_told_with_what_moved() -> None:
    assert RowChange("+", entry("m1"), None, "hello\nyou").line(color=False) == "+ train m1 [x]: hello you"
    assert RowChange("-", entry("m1", label=None), None, "").line(color=False) == "- train m1"
    moved = RowChange("~", entry("m1", "test", "y"), entry("m0"), "hello")
    assert moved.line(color=False) == "~ train → test m1 [x → y]: hello"
    assert moved.line(color=True).startswith("\x1b[33m~") and moved.as_dict()["was"] == {"id": "m0", "side": "train", "label": "x"}
    assert "\x1b" not in RowChange("+", entry("a\x1b[31m", label="\x07"), None, "\x1b]0;x").line(color=False)


def test_the_numbers_are_told_and_so_is_what_is_not_shown() -> None:
    counts = {"added": 2, "removed": 0, "changed": 3, "labels_moved": 1, "sides_moved": 0, "labels": {"a → b": 1}}
    assert counts_text(counts) == "  2 added, 0 removed, 3 changed (1 in their label: 1 a → b); no row moved to another side"
    assert "2 rows stand on other sides" in counts_text({**counts, "sides_moved": 2})
    same = {name: 0 for name in counts if name != "labels"} | {"labels": {}}
    assert counts_text(same) == "  no row differs"
    text = Changes("one", "two", counts, (RowChange("+", entry("m1"), None, ""),)).as_text(color=False)
    assert text.splitlines()[0] == "Data: two, from one" and text.endswith("and 4 more rows")


def test_show_tells_versions_and_the_difference_of_two_runs(tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.chdir(tmp_path)  # type: ignore[attr-defined]
    model = make_model(tmp_path / "tiny")
    rows = [{**row, "id": f"m{i}"} for i, row in enumerate(messages_of(60))]
    write_rows(tmp_path / "rows.csv", rows)
    made = recipe(
        tmp_path / "mail.toml", name="mail", goal__task="classify", data__source="rows.csv", model__base=model,
        data__split={"train": 0.6, "validation": 0.2, "test": 0.2},
    )  # fmt: skip
    assert luthier("prepare", made).code == 0
    first = luthier("show", made)
    assert "Data: version 1 (" in first.out and first.out.rstrip().endswith("the first")
    other = recipe(
        tmp_path / "other.toml", name="other", goal__task="classify", data__source="more.csv", data__split_from="mail", model__base=model
    )
    more = [*rows[2:], {**rows[0], "id": "new", "message": "quite a new message about a bow"}]
    more[5] = {**more[5], "intent": "rental" if more[5]["intent"] != "rental" else "lesson"}
    write_rows(tmp_path / "more.csv", more)
    assert luthier("prepare", other).code == 0
    assert "its sides are those of mail (" in luthier("show", other).out

    said = luthier("show", "other", "--against", "mail", "--rows", "5")
    assert said.code == 0 and "  1 added, 2 removed, 1 changed (1 in their label: 1 " in said.out
    assert "no row moved to another side" in said.out and ": quite a new message about a bow" in said.out
    assert f": {rows[0]['message']}" in said.out
    found = luthier("show", "other", "--against", "mail", "--json").json
    assert (found["added"], found["removed"], found["changed"], found["labels_moved"], found["sides_moved"]) == (1, 2, 1, 1, 0)
    assert [one["change"] for one in found["rows"]] == ["~", "+", "-", "-"]

    write_rows(tmp_path / "rows.csv", more)
    assert luthier("prepare", made).code == 0
    second = luthier("show", made)
    assert "Data: version 2 (" in second.out and "1 added, 2 removed, 1 changed" in second.out
    assert luthier("show", made, "--json").json["version"]["diff"]["added"] == 1
    assert luthier("show", "mail", "--against", "other", "--json").json["rows"] == []
    assert luthier("show", "mail", "--against", "nobody").code == 2
