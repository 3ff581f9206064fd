"""The prepare stage on files: its accounts, its laws over repeated runs, and what it refuses."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled
from luthier.core.files import read_json, read_jsonl
from luthier.data.kept.prepared import read_rows, rows_hash
from luthier.data.pipeline import Prepare
from luthier.data.sides.certificate import certify
from luthier.data.sides.split import Split
from luthier.data.source.reading import Data
from luthier.data.steps import Length, Whitespace
from luthier.stages.prepare import Prepared, load_side, prepare

PARTS = [
    "bow",
    "bridge",
    "chinrest",
    "endpin",
    "fingerboard",
    "frog",
    "nut",
    "peg",
    "pegbox",
    "saddle",
    "scroll",
    "soundpost",
    "string",
    "tailgut",
    "tailpiece",
    "varnish",
]
Row = dict[str, str]


def messages(n: int) -> list[Row]:
    """Messages of two labels, all unlike one another; ids and customers of their own."""
    made = []
    for i in range(n):
        text = " ".join(random.Random(i).choices(PARTS, k=8)) + f" {i}?"
        made.append({"id": f"m{i}", "message": text, "intent": "repair" if i % 2 else "question", "customer": f"c{i}"})
    return made


def data(folder: Path, rows: list[Row], **options: object) -> Data:
    path = folder / "rows.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return Data(source=str(path), fields={"text": "message", "label": "intent"}, **options)  # type: ignore[arg-type]


def run(folder: Path, rows: list[Row], seed: int = 0, steps: Prepare | None = None, **options: object) -> Prepared:
    return prepare(data(folder, rows, **options), steps or Prepare(), seed, "labelled", folder / "run")


def sides(folder: Path) -> dict[str, str]:
    return {example.id: side for example, side in read_rows(folder / "run" / "data")}


def row(name: str, message: str, intent: str = "repair", customer: str = "") -> Row:
    return {"id": name, "message": message, "intent": intent, "customer": customer}


def test_the_accounts_agree_with_each_other_and_with_the_files(tmp_path: Path) -> None:
    rows = messages(120)
    rows[5]["message"] += "<br>thanks &amp; bye"
    rows += [row("twin", rows[3]["message"].upper()), row("near", rows[7]["message"] + "!"), row("clash", rows[9]["message"], "question")]
    found = run(tmp_path, rows).as_dict()
    home = tmp_path / "run" / "data"
    kept, dropped = list(read_jsonl(home / "kept.jsonl.gz")), list(read_jsonl(home / "dropped.jsonl.gz"))
    assert found["read"] == 123 == len(kept) + len(dropped)
    assert found["kept"] == 120 == len(kept)
    assert found["dropped"] == {
        "exact_duplicates": {"duplicate of another row": 1, "same text, other label": 1},
        "near_duplicates": {"nearly the same as another row": 1},
    }
    assert found["changed"] == {"html_to_text": 1}
    assert found["added"] == {}
    assert found["split"] == dict(Counter(record["side"] for record in kept)) == {"train": 96, "validation": 12, "test": 12}
    assert found["certificate"] == {"groups_shared": 0, "near_duplicates_shared": 0, "threshold": 0.8, "group_column": None}
    assert read_json(home / "cleaning.json") == found == json.loads(json.dumps(found))
    changed = next(record for record in kept if record["changed"])
    assert (changed["id"], changed["source"], changed["label"]) == ("m5", "rows.csv:7", "repair")
    assert changed["changed"] == [{"step": "html_to_text", "reason": "HTML"}]
    assert {record["id"]: (record["step"], record["kept_id"], record["side"]) for record in dropped} == {
        "twin": ("exact_duplicates", "m3", None),
        "clash": ("exact_duplicates", "m9", None),
        "near": ("near_duplicates", "m7", None),
    }


def test_sides_are_loaded_in_the_order_of_the_source_and_part_all_rows(tmp_path: Path) -> None:
    result = run(tmp_path, messages(100))
    loaded = {side: load_side(tmp_path / "run", side) for side in ("train", "validation", "test")}
    assert {side: len(rows) for side, rows in loaded.items()} == result.split
    assert sorted(int(one.id[1:]) for rows in loaded.values() for one in rows) == list(range(100))
    assert all([one.id for one in rows] == sorted((one.id for one in rows), key=lambda name: int(name[1:])) for rows in loaded.values())
    assert all(isinstance(one, Labelled) and one.extra["customer"] for one in loaded["test"])


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(tmp_path / name, messages(60))
    for file in ("kept.jsonl.gz", "dropped.jsonl.gz", "split.json", "cleaning.json"):
        assert (tmp_path / "one/run/data" / file).read_bytes() == (tmp_path / "two/run/data" / file).read_bytes()


def test_what_an_earlier_run_said_of_its_rows_goes_with_them(tmp_path: Path) -> None:
    run(tmp_path, messages(60))
    made = [tmp_path / "run" / name for name in ("data/profile.json", "data/profile.html", "profile.done")]
    assert not any(path.exists() for path in made), "that is the next stage's"
    for path in made:
        path.write_text("{}", encoding="utf-8")
    run(tmp_path, messages(70))
    assert not any(path.exists() for path in made)


def test_groups_stand_on_one_side(tmp_path: Path) -> None:
    rows = messages(150)
    for i, one in enumerate(rows):
        one["customer"] = f"c{i // 3}" if i < 90 else ""
    result = run(tmp_path, rows, group="customer")
    by_group: dict[str, set[str]] = {}
    for one in rows[:90]:
        by_group.setdefault(one["customer"], set()).add(sides(tmp_path)[one["id"]])
    assert all(len(found) == 1 for found in by_group.values())
    assert result.certificate.as_dict() == {"groups_shared": 0, "near_duplicates_shared": 0, "threshold": 0.8, "group_column": "customer"}
    assert min(result.split.values()) >= 12


def test_a_later_run_with_more_rows_moves_none(tmp_path: Path) -> None:
    rows = messages(160)
    first = run(tmp_path, rows[:100])
    before = sides(tmp_path)
    at_test = next(one for one in rows[:100] if before[one["id"]] == "test")
    fresh = [
        row("near test", at_test["message"] + "?", "repair" if at_test["intent"] == "question" else "question"),
        row("copy", at_test["message"].upper()),
    ]
    second = run(tmp_path, [*fresh, *rows[100:], *rows[:100]])
    after = sides(tmp_path)
    assert {name: after[name] for name in before} == before
    assert after["near test"] == "test"
    assert second.certificate.holds
    assert second.warnings == run(tmp_path, [*rows[:100], *rows[100:], *fresh]).warnings
    assert sides(tmp_path) == after
    assert first.test_hash != second.test_hash


def test_a_row_that_leaves_and_returns_stands_where_it_stood(tmp_path: Path) -> None:
    rows = messages(90)
    run(tmp_path, rows)
    before = sides(tmp_path)
    run(tmp_path, rows[:60])
    run(tmp_path, rows)
    assert sides(tmp_path) == before


def test_a_row_that_belongs_to_two_sides_is_dropped_and_counted(tmp_path: Path) -> None:
    rows = messages(100)
    run(tmp_path, rows, group="customer")
    before = sides(tmp_path)
    in_train, in_test = (next(one for one in rows if before[one["id"]] == side) for side in ("train", "test"))
    torn = row("torn", in_test["message"] + "??", "question" if in_test["intent"] == "repair" else "repair", in_train["customer"])
    result = run(tmp_path, [*rows, torn], group="customer")
    assert result.dropped == {"split": {"belongs to two sides": 1}}
    assert (result.read, result.kept, sum(result.split.values())) == (101, 100, 100)
    assert sides(tmp_path) == before
    (gone,) = read_jsonl(tmp_path / "run/data/dropped.jsonl.gz")
    assert (gone["id"], gone["detail"]) == ("torn", "related to rows in train and in test")


def test_changed_settings_are_said_and_do_not_move_rows(tmp_path: Path) -> None:
    run(tmp_path, messages(100))
    before = sides(tmp_path)
    result = run(tmp_path, messages(100), seed=1, split=Split(train=0.6, validation=0.2, test=0.2))
    assert sides(tmp_path) == before
    assert any("seed was 0, is 1" in said and "train was 0.8, is 0.6" in said for said in result.warnings)


def test_the_test_hash_is_of_the_test_rows_alone(tmp_path: Path) -> None:
    rows = messages(100)
    result = run(tmp_path, rows)
    assert (
        result.test_hash
        == rows_hash(reversed(load_side(tmp_path / "run", "test")))
        == read_json(tmp_path / "run/data/split.json")["test_sha256"]
    )
    assert run(tmp_path, rows[::-1]).test_hash == result.test_hash
    placed = sides(tmp_path)
    next(one for one in rows if placed[one["id"]] == "train")["message"] += " and more"
    assert run(tmp_path, rows).test_hash == result.test_hash
    next(one for one in rows if placed[one["id"]] == "test")["message"] += " and more"
    assert run(tmp_path, rows).test_hash != result.test_hash


def test_the_certificate_is_of_the_file_as_it_lies_there(tmp_path: Path) -> None:
    run(tmp_path, messages(60), steps=Prepare(steps=(Whitespace(),)))
    home = tmp_path / "run" / "data"
    written = list(read_rows(home))
    assert certify(written, None, 0.8).holds
    (leaked, _) = next(one for one in written if one[1] == "test")
    assert not certify([*written, (leaked, "train")], None, 0.8).holds


def test_without_the_duplicate_steps_twins_still_stand_together(tmp_path: Path) -> None:
    rows = [*messages(100), *(row(f"twin {one['id']}", one["message"] + ".", one["intent"]) for one in messages(100))]
    result = run(tmp_path, rows, steps=Prepare(steps=(Whitespace(),)))
    placed = sides(tmp_path)
    assert result.kept == 200
    assert result.certificate.holds
    assert all(placed[f"m{i}"] == placed[f"twin m{i}"] for i in range(100))


def test_bad_rows_are_listed_together_and_nothing_is_written(tmp_path: Path) -> None:
    rows = messages(60)
    rows[10]["intent"] = rows[20]["intent"] = ""
    with pytest.raises(LuthierError) as caught:
        run(tmp_path, rows)
    assert [error.where for error in caught.value.errors] == ["rows.csv:12", "rows.csv:22"]
    assert not (tmp_path / "run").exists()


def test_bad_rows_can_be_dropped_and_are_counted(tmp_path: Path) -> None:
    rows = messages(60)
    rows[10]["intent"] = rows[20]["intent"] = ""
    result = run(tmp_path, rows, bad_rows="drop")
    assert (result.read, result.kept) == (60, 58)
    assert sum(result.dropped["read"].values()) == 2
    assert [record["source"] for record in read_jsonl(tmp_path / "run/data/dropped.jsonl.gz")] == ["rows.csv:12", "rows.csv:22"]


def test_one_label_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    rows = [{**one, "intent": "repair"} for one in messages(40)]
    with pytest.raises(LuthierError, match='every row has the label "repair"'):
        run(tmp_path, rows)
    assert not (tmp_path / "run").exists()


def test_a_label_that_training_lacks_is_refused_with_its_rows(tmp_path: Path) -> None:
    rows = messages(100)
    run(tmp_path, rows)
    placed = sides(tmp_path)
    first = next(i for i, one in enumerate(rows) if placed[one["id"]] == "test")
    rows[first]["intent"] = "rental"
    before = (tmp_path / "run/data/kept.jsonl.gz").read_bytes()
    with pytest.raises(LuthierError) as caught:
        run(tmp_path, rows)
    assert caught.value.where == f"rows.csv:{first + 2}"
    assert 'the label "rental" has rows in test only' in caught.value.problem
    assert (tmp_path / "run/data/kept.jsonl.gz").read_bytes() == before


def test_rows_that_all_hang_together_cannot_be_split(tmp_path: Path) -> None:
    rows = [{**one, "customer": "the only one"} for one in messages(40)]
    with pytest.raises(LuthierError, match="hang together"):
        run(tmp_path, rows, group="customer")


def test_when_every_row_is_dropped_the_reasons_are_said(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="30 × length: text under 500 characters"):
        run(tmp_path, messages(30), steps=Prepare(steps=(Length(min_characters=500),)))


def test_a_broken_record_of_sides_is_an_error_with_its_place(tmp_path: Path) -> None:
    run(tmp_path, messages(60))
    record = tmp_path / "run/data/split.json"
    for broken in ("{", "[]", '{"sides": {"m1": "left"}, "absent": {}, "settings": {}}'):
        record.write_text(broken, encoding="utf-8")
        with pytest.raises(LuthierError) as caught:
            run(tmp_path, messages(60))
        assert caught.value.where == str(record)


def test_few_rows_small_tests_and_imbalance_are_said(tmp_path: Path) -> None:
    rows = [one for i, one in enumerate(messages(150)) if i % 2 or i < 12]
    said = " ".join(run(tmp_path, rows).warnings)
    assert "training rows, fewer than 200" in said
    assert "8 test rows" in said
    assert '"repair" has 75 rows, "question" 6' in said


def test_enough_rows_need_no_warning(tmp_path: Path) -> None:
    assert run(tmp_path, messages(600)).warnings == ()


def test_a_shared_instruction_that_makes_all_rows_alike_is_pointed_out(tmp_path: Path) -> None:
    instruction = "You are the help desk of a workshop. Read the message below and say what it is about, in one word. " * 3
    alike = [{**one, "message": instruction + one["customer"]} for one in messages(80)]
    assert any("share a long instruction" in said for said in run(tmp_path, [*messages(80)[:20], *alike[20:]]).warnings)
    (tmp_path / "all").mkdir()
    with pytest.raises(LuthierError, match="none of the 2 rows .* 78 were dropped .* share a long instruction"):
        run(tmp_path / "all", alike)


def test_rows_that_all_have_labels_of_their_own_are_refused_for_that_and_not_for_being_alike(tmp_path: Path) -> None:
    rows = [{**row, "intent": f"label {i % 45}"} for i, row in enumerate(messages(60))]
    with pytest.raises(LuthierError, match="they have 45 labels, and the first row of each is needed for training"):
        prepare(data(tmp_path, rows), Prepare(), 0, "labelled", tmp_path / "run")


def test_labels_that_are_spelled_in_two_ways_are_pointed_out(tmp_path: Path) -> None:
    spellings = ["Spare part", "spare-part", "-1", "1"]
    rows = [{**row, "intent": spellings[i % 4]} for i, row in enumerate(messages(80))]
    said = " ".join(prepare(data(tmp_path, rows), Prepare(), 0, "labelled", tmp_path / "run").warnings)
    assert '"Spare part" and "spare-part"' in said
    assert '"-1" and' not in said and 'and "-1"' not in said
