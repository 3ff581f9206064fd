"""Preparing more rows than are worked on at once: accounts, interruption, what is left behind, and the tools that steps get."""

from __future__ import annotations

import itertools
import pickle
import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.stages.test_prepare import Row, data, messages, row

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Labelled, from_record
from luthier.core.files import read_json, read_jsonl, write_json
from luthier.core.interrupts import Interrupted, Interruption
from luthier.data.decisions import Changed, Dropped, Kept, Parted
from luthier.data.execution.facts import write_large_json
from luthier.data.likeness import alike
from luthier.data.pipeline import Prepare, clean
from luthier.data.sides.split import Split, assign
from luthier.data.source.reading import BadRow, read, recognise
from luthier.data.steps import ExactDuplicates, NearDuplicates, Whitespace
from luthier.data.tools import NO_TOOLS, Tools
from luthier.stages.prepare import Making, prepare

FILES = {"kept.jsonl.gz", "dropped.jsonl.gz", "cleaning.json", "split.json", "versions.json"}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data").iterdir()}


def dirty(n: int) -> list[Row]:
    """Rows with copies, near-copies, a row that cannot be read, and markup."""
    rows = messages(n)
    rows[5]["message"] += "<br>thanks &amp; bye"
    rows += [row(f"copy {i}", rows[i]["message"].upper(), rows[i]["intent"]) for i in range(0, n, 9)]
    rows += [row(f"near {i}", rows[i]["message"] + "!", rows[i]["intent"], "one") for i in range(0, n, 7)]
    return [*rows[:20], row("bad", "has no label", ""), *rows[20:]]


@dataclass(frozen=True)
class Halves:
    """Parts a message with an even number of words into two."""

    kind: str = "halves"
    decodes: bool = False

    def apply(self, example: AnyExample) -> Kept | Parted | Dropped:
        assert isinstance(example, Labelled)
        words = example.text.split()
        half = len(words) // 2
        if words[-1] == "13?":
            return Dropped("unlucky")
        if "copy" in example.id or len(words) % 2 == 0:
            return Kept()
        parts = [" ".join(words[:half]) + f" begins {example.id}", " ".join(words[half:]) + f" ends {example.id}"]
        return Parted(tuple(Labelled(f"{example.id}/{i}", one, example.label, extra=example.extra) for i, one in enumerate(parts)))


@pytest.mark.parametrize("rows_in_shard", [1, 16, 50, 10_000])
def test_the_files_are_the_same_however_rows_are_cut(rows_in_shard: int, tmp_path: Path) -> None:
    source = data(tmp_path, dirty(120), bad_rows="drop", group="customer")
    straight = prepare(source, Prepare(), 3, "labelled", tmp_path / "straight")
    found = prepare(source, Prepare(), 3, "labelled", tmp_path / "cut", making=Making("these", rows_in_shard=rows_in_shard))
    assert found == straight
    assert files(tmp_path / "cut") == files(tmp_path / "straight") and set(files(tmp_path / "cut")) == FILES


def test_the_files_hold_what_cleaning_in_memory_gives(tmp_path: Path) -> None:
    source = data(tmp_path, dirty(120), bad_rows="drop")
    steps = Prepare((Whitespace(), Halves(), ExactDuplicates(), NearDuplicates()))  # type: ignore[arg-type]
    found = prepare(source, steps, 0, "labelled", tmp_path / "run", making=Making(rows_in_shard=30))
    examples = [one for one in read(source, recognise(source, "labelled")) if not isinstance(one, BadRow)]
    cleaned = clean(examples, steps.steps)
    sides = assign([one.example for one in cleaned.kept], Split(), 0)
    home = tmp_path / "run/data"
    kept, dropped = list(read_jsonl(home / "kept.jsonl.gz")), list(read_jsonl(home / "dropped.jsonl.gz"))
    assert [from_record(one) for one in kept] == [one.example for one in cleaned.kept]
    assert [one["side"] for one in kept] == [sides.of[one.example.id] for one in cleaned.kept]
    assert [one["id"] for one in dropped] == [None, *(one.example.id for one in cleaned.dropped)]
    assert found.added == cleaned.added and found.added["halves"] > 20
    assert found.read == found.kept + sum(sum(counts.values()) for counts in found.dropped.values()) == len(examples) + 1
    assert sum(found.split.values()) == found.kept + sum(found.added.values()) == len(kept)
    assert found.changed == cleaned.changed()


def test_rows_that_a_refused_row_lies_between_stand_together_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "_AT_ONCE", 1)
    # Of each family: an old row, a new one that is alike it and of a training row's group, and two that are alike that one
    # and each other, and not the old one.
    letters = ["".join(random.Random(i).choices("abcdefghijklmnopqrstuvwxyz", k=60)) for i in range(200)]
    split, steps = Split(train=0.4, validation=0.3, test=0.3), Prepare((Whitespace(),))
    old = [*messages(60), *(row(f"old {i}", one[:30] + "#" + one[31:]) for i, one in enumerate(letters))]
    prepare(data(tmp_path, old, split=split, group="customer"), steps, 0, "labelled", tmp_path / "run")
    placed = {str(one["id"]): one["side"] for one in read_jsonl(tmp_path / "run/data/kept.jsonl.gz")}
    learnt = [one["customer"] for one in messages(60) if placed[one["id"]] == "train"]
    new = []
    for i, one in enumerate(letters):
        new += [row(f"between {i}", one, customer=learnt[0]), row(f"x {i}", one[:-3]), row(f"y {i}", one[3:])]
    found = prepare(data(tmp_path, [*old, *new], split=split, group="customer"), steps, 0, "labelled", tmp_path / "run")
    now = {str(one["id"]): one["side"] for one in read_jsonl(tmp_path / "run/data/kept.jsonl.gz")}
    torn = [i for i in range(200) if f"between {i}" not in now]
    assert len(torn) == sum(placed[f"old {i}"] != "train" for i in range(200)) > 15
    assert all(now[f"x {i}"] == now[f"y {i}"] for i in range(200)) and len({now[f"x {i}"] for i in torn}) == 3
    assert found.certificate.holds


@dataclass(frozen=True)
class Marked:
    """Writes a mark behind each text, every time."""

    kind: str = "marked"
    decodes: bool = False

    def apply(self, example: AnyExample) -> Changed:
        return Changed(example.map_text(lambda text: f"{text} *"), "a mark")


def test_a_row_that_a_step_changes_twice_is_one_changed_row(tmp_path: Path) -> None:
    found = prepare(data(tmp_path, messages(60)), Prepare((Marked(), Marked())), 0, "labelled", tmp_path / "run")  # type: ignore[arg-type]
    assert found.changed == {"marked": 60}
    first = next(read_jsonl(tmp_path / "run/data/kept.jsonl.gz"))
    assert str(first["text"]).endswith(" * *") and first["changed"] == [{"step": "marked", "reason": "a mark"}] * 2


def test_an_interrupted_preparing_goes_on_where_it_was(tmp_path: Path) -> None:
    source = data(tmp_path, dirty(120), bad_rows="drop")
    straight = prepare(source, Prepare(), 0, "labelled", tmp_path / "straight")
    stops = 0
    for k in itertools.count(0, 23):
        interruption, calls = Interruption(), itertools.count()

        def pause(k: int = k, calls: Iterator[int] = calls, interruption: Interruption = interruption) -> None:
            if next(calls) == k:
                interruption.request()
            interruption.check()

        folder = tmp_path / f"stopped {k}"
        try:
            found = prepare(source, Prepare(), 0, "labelled", folder, making=Making("these", rows_in_shard=30, pause=pause))
            break
        except Interrupted:
            stops += 1
            work = folder / "data" / ".work"
            assert work.is_dir() and stat.S_IMODE(work.stat().st_mode) == 0o700, "rows lie there as they came"
        found = prepare(source, Prepare(), 0, "labelled", folder, making=Making("these", rows_in_shard=30))
        assert found == straight and files(folder) == files(tmp_path / "straight")
        assert not (folder / "data" / ".work").exists()
    assert stops > 2


def test_what_a_user_has_to_mend_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    prepare(data(tmp_path, messages(60)), Prepare(), 0, "labelled", tmp_path / "run")
    before = files(tmp_path / "run")
    with pytest.raises(LuthierError):
        prepare(data(tmp_path, dirty(60)), Prepare(), 0, "labelled", tmp_path / "run", making=Making("these", rows_in_shard=10))
    assert files(tmp_path / "run") == before
    with pytest.raises(LuthierError):
        prepare(data(tmp_path, dirty(60)), Prepare(), 0, "labelled", tmp_path / "fresh/run", making=Making("these", rows_in_shard=10))
    assert not (tmp_path / "fresh/run").exists()


@dataclass(frozen=True)
class Short:
    """Drops rows of more tokens than it may have, once it is told how to count them."""

    kind: str = "short"
    decodes: bool = False
    tools: Tools = NO_TOOLS

    def with_tools(self, tools: Tools) -> Short:
        return Short(tools=tools)

    def apply(self, example: AnyExample) -> Kept | Dropped:
        assert self.tools.count_tokens is not None
        (n,) = self.tools.count_tokens(example.texts())
        return Kept() if n <= 62 else Dropped("long", f"{n} tokens, seed {self.tools.seed}, {self.tools.home}")


def test_steps_get_their_tools(tmp_path: Path) -> None:
    tools = Tools(count_tokens=lambda texts: [len(text) for text in texts])
    source = data(tmp_path, messages(80))
    found = prepare(source, Prepare((Short(),)), 5, "labelled", tmp_path / "run", tools=tools)  # type: ignore[arg-type]
    gone = list(read_jsonl(tmp_path / "run/data/dropped.jsonl.gz"))
    assert 0 < len(gone) < 80 and found.dropped == {"short": {"long": len(gone)}}
    assert gone[0]["detail"] == f"{len(str(gone[0]['text']))} tokens, seed 5, {tmp_path / 'run' / 'data'}"


def test_tokens_are_counted_by_the_models_own_tokenizer_loaded_when_it_is_needed(tmp_path: Path) -> None:
    from tests.made_models import make_model

    from luthier.models.load import load_tokenizer
    from luthier.stages.step_tools import TokenCounter

    counter = TokenCounter(str(tmp_path / "tiny"))
    with pytest.raises(LuthierError):
        counter(["there is no model yet"])
    make_model(tmp_path / "tiny")
    texts = ["", "the bow of my cello", "<|im_end|> and more"]
    wanted = [len(load_tokenizer(str(tmp_path / "tiny")).encode(text)) for text in texts]
    assert pickle.loads(pickle.dumps(counter))(texts) == counter(texts) == wanted


def test_an_object_with_many_entries_is_written_as_any_other(tmp_path: Path) -> None:
    value: dict[str, Any] = {"schema": 1, "none": {}, "sides": {f"é{i}": "train" for i in range(50)}, "list": [1, None, "x"]}
    write_json(tmp_path / "whole.json", value)
    write_large_json(tmp_path / "bits.json", value)
    assert (tmp_path / "bits.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert read_json(tmp_path / "bits.json") == value
