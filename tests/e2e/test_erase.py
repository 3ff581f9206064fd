"""Erasing somebody: no file of the runs, nor of the cache, tells of them afterwards, and what learnt from them is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Recipes
from tests.made_models import kept_rows, luthier, messages_of, read_csv, recipe, write_rows

from luthier.core.files import read_json, read_jsonl
from luthier.core.runs import Run, lock
from luthier.data.kept import versions
from luthier.data.kept.prepared import read_rows, rows_hash
from luthier.data.sides.certificate import certify

ANN = "ann-of-green-gables"


@pytest.fixture
def place(workplace: Path, recipes: Recipes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows of twelve customers, Ann's among them on every side and among the dropped; two runs, of which one is tuned."""
    monkeypatch.setenv("LUTHIER_CACHE", str(workplace / "cache"))
    made = recipes(workplace, n=96, data__group="day")
    rows = messages_of(96)
    for i, one in enumerate(rows):
        one["day"] = f"c{i % 12}"
        one["shop"] = ANN if i % 8 == 0 else "x"
        one["id"] = f"row-{i:03}"
    rows += [{**rows[8], "id": "twin-of-ann", "message": "x" + rows[8]["message"][1:], "shop": "x"}]
    rows += [{**rows[16], "id": "ann-again", "message": rows[16]["message"].upper()}]
    write_rows(workplace / "rows.csv", rows)
    text = made.read_text(encoding="utf-8")
    (workplace / "other.toml").write_text(text.replace('name = "classify"', 'name = "other"'), encoding="utf-8")
    assert luthier("prepare", "other.toml").code == 0
    return workplace


def everything(folder: Path) -> dict[str, str]:
    """Every file below a folder as text, unpacked."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            found[str(path.relative_to(folder))] = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8", "replace")
    return found


def traces(folder: Path, rows: list[dict[str, str]]) -> dict[str, set[str]]:
    """Files that say whose the rows were, what they were called, or what they said."""
    telling = {ANN, *(one["id"] for one in rows), *(one["message"] for one in rows)}
    found = {name: {one for one in telling if one in text} for name, text in everything(folder).items()}
    return {name: some for name, some in found.items() if some}


def test_nothing_tells_of_somebody_who_was_erased_and_the_run_goes_on_without_them(place: Path) -> None:
    assert luthier("run", "classify.toml").code in (0, 3)
    theirs = [one for one in read_csv(place / "rows.csv") if one["shop"] == ANN]
    before = traces(place / "runs", theirs)
    assert {"classify/evaluation/scores.jsonl.gz", "classify/evaluation/report.html", "other/data/kept.jsonl.gz"} <= set(before)
    held = everything(place / "runs")

    plan = luthier("erase", "shop", ANN, "--json")
    assert plan.code == 0 and not plan.json["done"] and everything(place / "runs") == held

    done = luthier("erase", "shop", "-", "--yes", "--json", stdin=ANN + "\n")
    assert done.code == 0, done.err
    found = done.json
    assert found["learnt"] == ["classify"] and found["left"] == []
    assert {one["run"]: (one["kept"], one["dropped"]) for one in found["runs"]} == {"classify": (12, 1), "other": (12, 1)}
    assert traces(place / "runs", theirs) == {}
    assert traces(place / "cache", theirs) == {} and not list((place / "cache").glob("rows/*"))
    assert not (place / "runs/classify/checkpoints").exists()

    for name in ("classify", "other"):
        home = place / "runs" / name / "data"
        rows = list(read_rows(home))
        account: Any = read_json(home / "cleaning.json")
        assert account["read"] == account["kept"] + sum(n for some in account["dropped"].values() for n in some.values()) == 98
        assert account["dropped"]["erase"] == {"erased on request": 13} and sum(account["split"].values()) == account["kept"] == len(rows)
        record: Any = read_json(home / "split.json")
        assert set(record["sides"]) == {row.id for row, _ in rows}
        assert record["test_sha256"] == account["test_hash"] == rows_hash(row for row, side in rows if side == "test")
        assert certify(rows, "day", 0.8).holds
        assert versions.history(home)[-1]["sha256"] == versions.version_hash(versions.Lying(home))
    sides = {row["id"]: row["side"] for row in kept_rows(place / "runs/classify")}

    # The source still holds them: they do not come back, and the model is tuned without them.
    again = luthier("run", "classify.toml")
    assert again.code in (0, 3), again.err
    assert traces(place / "runs", theirs) == {}
    now = {row["id"]: row["side"] for row in kept_rows(place / "runs/classify")}
    assert {name: now[name] for name in sides} == sides and set(now) - set(sides) <= {"twin-of-ann"}
    report: Any = read_json(place / "runs/classify/evaluation/report.json")
    assert report["proofs"]["test_untouched"]["holds"] and report["proofs"]["split_certificate"]["holds"]
    assert luthier("erase", "shop", ANN, "--json").json["runs"] == []


def test_the_list_of_what_was_erased_names_nobody(place: Path) -> None:
    assert luthier("erase", "shop", ANN, "--yes").code == 0
    listed: Any = read_json(place / "runs/erased.json")
    (entry,) = listed["erasures"]
    assert set(entry) == {"on", "column", "keyed_hash", "rows", "trained", "finished"}
    assert (entry["column"], entry["rows"], entry["trained"], entry["finished"]) == ("shop", {"other": 13}, [], True)
    assert len(entry["keyed_hash"]) == 64 and ANN not in json.dumps(listed)
    key = place / "runs/.erased.key"
    assert key.stat().st_mode & 0o077 == 0
    key.unlink()
    gone = luthier("prepare", "other.toml")
    assert gone.code == 2 and "its key is gone" in gone.err


def test_the_source_is_left_alone_unless_it_is_asked_for(place: Path) -> None:
    source = place / "rows.csv"
    before = source.read_bytes()
    assert luthier("erase", "shop", ANN, "--yes").code == 0
    assert source.read_bytes() == before
    done = luthier("erase", "shop", ANN, "--yes", "--sources", "--json")
    assert done.json["sources"] == {str(source): 13} and done.json["left"] == []
    lines = before.decode().splitlines(keepends=True)
    assert source.read_bytes().decode() == "".join(line for line in lines if ANN not in line)


def test_a_run_at_work_is_not_touched_and_nothing_is(place: Path) -> None:
    held = {name: text for name, text in everything(place / "runs").items() if name.startswith("other/data")}
    with lock(Run(place / "runs" / "other")):
        busy = luthier("erase", "shop", ANN, "--yes")
    assert busy.code == 2 and "is at work in this run" in busy.err
    assert {name: text for name, text in everything(place / "runs").items() if name.startswith("other/data")} == held
    # What was asked is noted all the same, and asking again does it.
    listed: Any = read_json(place / "runs/erased.json")
    assert listed["erasures"][0]["finished"] is False
    assert luthier("erase", "shop", ANN, "--yes", "--json").json["runs"][0]["kept"] == 12
    listed = read_json(place / "runs/erased.json")
    assert listed["erasures"][0]["finished"] is True and listed["erasures"][0]["rows"] == {"other": 13}


def test_rows_that_an_unfinished_preparation_left_are_removed(place: Path) -> None:
    left = place / "runs/begun/data/.work"
    left.mkdir(parents=True)
    (left / "shard").write_text(ANN, encoding="utf-8")
    (place / "runs/begun/.lock").write_text("luthier run, process 1\n", encoding="utf-8")
    assert luthier("erase", "shop", ANN, "--yes").code == 0
    assert not left.exists()


def test_rows_that_say_nothing_of_whose_they_are_are_counted(place: Path) -> None:
    found = luthier("erase", "author", "x", "--json").json
    assert found["runs"] == [] and found["silent"] == {"other": 98}
    said = luthier("erase", "author", "x")
    assert "No run holds such rows." in said.out and "other: 98 rows with nothing in that column" in said.out
    assert luthier("erase", "shop", " ").code == 2


def test_a_model_that_was_tuned_from_one_that_learnt_is_named(place: Path) -> None:
    run = place / "runs" / "other"
    (run / "bundle").mkdir()
    (run / "bundle" / "bundle.json").write_text("{}", encoding="utf-8")
    child = place / "runs" / "child"
    child.mkdir()
    text = (run / "recipe.toml").read_text(encoding="utf-8")
    base = next(line for line in text.splitlines() if line.startswith("base = "))
    (child / "recipe.toml").write_text(text.replace(base, f'base = "{run / "bundle"}"'), encoding="utf-8")
    (child / ".lock").write_text("luthier run, process 1\n", encoding="utf-8")
    found = luthier("erase", "shop", ANN, "--json").json
    assert (found["learnt"], found["descend"]) == (["other"], ["child"])


def test_a_file_that_still_quotes_a_row_is_named_and_a_page_that_does_is_removed(place: Path) -> None:
    quoted = next(one["message"] for one in read_csv(place / "rows.csv") if one["shop"] == ANN)
    (place / "runs/other/notes.json").write_text(json.dumps({"seen": quoted}), encoding="utf-8")
    (place / "runs/compare-x.html").write_text(f"<p>{quoted}</p>", encoding="utf-8")
    found = luthier("erase", "shop", ANN, "--yes", "--json").json
    assert [one.split()[0] for one in found["left"]] == ["other/notes.json"]
    assert not (place / "runs/compare-x.html").exists()


def test_rows_made_from_theirs_go_with_them(workplace: Path) -> None:
    """A line of JSONL whose row gave several kept rows is one row in the accounts."""
    from luthier.core.examples import Labelled
    from luthier.core.files import write_json, write_jsonl
    from luthier.data.kept import erasing
    from luthier.data.kept.prepared import kept_record
    from luthier.data.pipeline import KeptRow

    home = workplace / "data"
    mine = [Labelled(f"a{i}", f"made from it {i}", "x", source="rows.jsonl:1", parent="a") for i in range(3)]
    further = Labelled("a1x", "and from that", "x", source="rows.jsonl:1", parent="a1")
    rows = [*mine, further, Labelled("b", "another", "y", source="rows.jsonl:2")]
    write_jsonl(home / "kept.jsonl.gz", [kept_record(KeptRow(row), "train") for row in rows])
    write_jsonl(home / "dropped.jsonl.gz", [])
    write_json(home / "split.json", {"sides": dict.fromkeys(("a0", "a1", "a2", "a1x", "b"), "train"), "absent": {}, "settings": {}})
    write_json(home / "cleaning.json", {"read": 2, "kept": 2, "dropped": {}, "changed": {}, "added": {"parts": 2, "noise": 1}, "split": {}})
    found = erasing.find(home, lambda row: row.parent == "a", lambda row: False)
    assert found.n_kept == 4 and found.roots == {"rows.jsonl:1"}
    erasing.erase(home, found)
    account: Any = read_json(home / "cleaning.json")
    assert (account["kept"], account["added"], account["dropped"]) == (1, {"parts": 0, "noise": 0}, {"erase": {"erased on request": 1}})
    assert [row["id"] for row in read_jsonl(home / "kept.jsonl.gz")] == ["b"]


@pytest.mark.parametrize("n_writes", range(4))
def test_a_call_that_was_killed_is_made_again_and_ends_as_if_it_had_not_been(
    place: Path, n_writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luthier.data.kept import erasing
    from luthier.stages.erase import erase

    class Killed(BaseException):
        """Not an error that anything catches."""

    home = place / "runs/other/data"
    for name in ("write_jsonl", "write_json"):
        real = getattr(erasing, name)

        def counted(*arguments: Any, real: Any = real) -> None:
            nonlocal n_writes
            n_writes -= 1
            if n_writes < 0:
                raise Killed
            real(*arguments)

        monkeypatch.setattr(erasing, name, counted)
    with pytest.raises(Killed):
        erase("shop", ANN, Path("runs"), sure=True, sources=False, say=lambda text: None)
    monkeypatch.undo()
    monkeypatch.chdir(place)
    monkeypatch.setenv("LUTHIER_CACHE", str(place / "cache"))
    assert luthier("erase", "shop", ANN, "--yes").code == 0
    account: Any = read_json(home / "cleaning.json")
    kept = list(read_jsonl(home / "kept.jsonl.gz"))
    assert account["dropped"]["erase"] == {"erased on request": 13} and account["kept"] == len(kept) == 98 - sum(
        n for some in account["dropped"].values() for n in some.values()
    )
    assert traces(place / "runs", [one for one in read_csv(place / "rows.csv") if one["shop"] == ANN]) == {}
    assert set(read_json(home / "split.json")["sides"]) == {row["id"] for row in kept}  # type: ignore[index,call-overload,arg-type]


def test_json_and_parquet_sources_are_named_and_left_as_they_are(workplace: Path, model: Path) -> None:
    rows = [{**one, "shop": ANN if i % 9 == 0 else "x"} for i, one in enumerate(messages_of(60))]
    (workplace / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    made = recipe(workplace / "a.toml", name="a", goal__task="classify", data__source="rows.json", model__base=model)
    assert luthier("prepare", made).code == 0
    before = (workplace / "rows.json").read_bytes()
    found = luthier("erase", "shop", ANN, "--yes", "--sources", "--json").json
    assert "cannot be taken out one by one" in found["left"][0] and (workplace / "rows.json").read_bytes() == before
