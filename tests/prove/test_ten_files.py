"""Ten files of different shapes as people have them, each from `luthier new` to a report without a word changed in the recipe.

The first rows of each file are taken, in its own format, so that all ten take minutes; `test_all_rows_of_the_file_can_be_prepared`
reads each file as a whole.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.made_models import luthier

N_ROWS = 240
HELD = 3


def first_lines(text: str) -> str:
    """The first lines."""
    return "".join(text.splitlines(keepends=True)[: N_ROWS + 1])


def first_of_list(text: str) -> str:
    """The first entries of a JSON list."""
    return json.dumps(json.loads(text)[:N_ROWS], ensure_ascii=False)


def first_records(text: str) -> str:
    """The first records of a CSV file, whose cells may hold line breaks."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(row for row, _ in zip(csv.reader(io.StringIO(text, newline="")), range(N_ROWS + 1), strict=False))
    return out.getvalue()


FILES: dict[str, tuple[str, Callable[[str], str]]] = {
    "banking77/train.csv": ("classify", first_records),
    "sst2/dev.tsv": ("classify", first_lines),
    "sms_spam/SMSSpamCollection.tsv": ("classify", first_lines),
    "trec_qc/train.txt": ("classify", first_lines),
    "gsm8k/train.jsonl.gz": ("answer", first_lines),
    "dolly/dolly.jsonl.gz": ("answer", first_lines),
    "t0_mix/t0_mix.jsonl.gz": ("answer", first_lines),
    "alpaca_part/alpaca_part.json.gz": ("answer", first_of_list),
    "mt_bench/sharegpt_dummy_conversations.json": ("chat", first_of_list),
    "llamafactory_demo/wiki_demo.txt.gz": ("pretrain", first_lines),
}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.prove
@pytest.mark.parametrize("name", FILES)
def test_a_file_goes_from_new_to_a_report_without_a_word_changed(name: str, shared: Path, workplace: Path) -> None:
    task, some = FILES[name]
    source = shared / "data" / name
    raw = gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes()
    encoding = "latin-1" if name.startswith("trec_qc") else "utf-8"
    path = workplace / source.name.removesuffix(".gz")
    path.write_bytes(some(raw.decode(encoding)).encode(encoding))
    assert luthier("new", "mine", "--data", path.name).code == 0
    said = luthier("run", "mine.toml", "--json")
    assert said.code in (0, HELD), said.out + said.err
    assert said.json["goal"]["task"] == task
    assert said.json["systems"]["tuned"]
    assert (workplace / "runs/mine/evaluation/report.html").stat().st_size > 10_000
    assert [name for name, proof in said.json["proofs"].items() if not proof["holds"]] == []


@pytest.mark.prove
@pytest.mark.parametrize("name", FILES)
def test_all_rows_of_the_file_can_be_prepared(name: str, shared: Path, workplace: Path) -> None:
    assert luthier("new", "mine", "--data", shared / "data" / name).code == 0
    said = luthier("prepare", "mine.toml", "--json")
    assert said.code == 0, said.out + said.err
    found = said.json
    assert found["read"] == found["kept"] + sum(n for reasons in found["dropped"].values() for n in reasons.values())
    assert (found["certificate"]["groups_shared"], found["certificate"]["near_duplicates_shared"]) == (0, 0)
