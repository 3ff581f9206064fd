"""Placeholders in files are turned back exactly, by a run and its key, and not without."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Text
from luthier.core.files import read_jsonl, write_jsonl
from luthier.core.messages import Message, ToolCall
from luthier.core.runs import Run, lock
from luthier.data.kept.prepared import dropped_record, kept_record
from luthier.data.personal.placeholders import PLACEHOLDER
from luthier.data.pipeline import clean
from luthier.data.steps import Length
from luthier.data.steps.personal_data import PersonalData
from luthier.data.steps.secrets import Secrets
from luthier.data.tools import Tools
from luthier.stages.unmask import unmask

JANE = "jane@acme.org"
PEM = "-----BEGIN RSA PRIVATE" + " KEY-----\n" + "MIIEpAIBAAKCAQEA7bq0x9Yp\n" * 4 + "-----END RSA PRIVATE" + " KEY-----"
CALLS = (ToolCall("1", "f", json.dumps({"key": PEM})),)


def run_with_rows(folder: Path) -> dict[str, str]:
    """A prepared run with replaced values, one of them in a row that was dropped later; each value's placeholder."""
    rows = [
        Text("1", f"mail {JANE}"),
        Text("2", f"see {PEM} and https://bob:a@acme.org/"),
        Chat("3", (Message("user", "please call the function"), Message("assistant", "I call it with that key", tool_calls=CALLS))),
        Text("4", "+44 20 7946 0958"),
    ]
    tools = Tools(secrets=folder / "secrets", home=folder / "runs" / "tickets" / "data")
    steps = [PersonalData(action="replace"), Secrets(action="replace"), Length(min_characters=22)]
    with lock(Run(folder / "runs" / "tickets")) as run:
        cleaned = clean(rows, steps, tools=tools)
        assert [row.example.id for row in cleaned.dropped] == ["4"]
        write_jsonl(run.kept, (kept_record(row, "train") for row in cleaned.kept))
        write_jsonl(run.dropped, map(dropped_record, cleaned.dropped))
    found = [PLACEHOLDER.findall(str(row.example.fields())) for row in (*cleaned.kept, *cleaned.dropped)]
    (mail,), (pem, url), (in_call,), (phone,) = found
    assert pem == in_call
    return {"mail": mail, "pem": pem, "url": url, "phone": phone}


def turned(folder: Path, name: str, content: str | bytes, secrets: str = "secrets") -> tuple[str, dict[str, object]]:
    """What becomes of a file."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    said = unmask("tickets", folder / name, folder / f"out-{name}", folder / secrets, folder / "runs")
    raw = (folder / f"out-{name}").read_bytes()
    return (gzip.decompress(raw) if name.endswith(".gz") else raw).decode(), dict(said)


def test_a_text_is_turned_back_and_strangers_stay(tmp_path: Path) -> None:
    known = run_with_rows(tmp_path)
    text, said = turned(tmp_path, "a.txt", f"to {known['mail']}, {known['mail']}\r\nor {known['phone']}\n<EMAIL_aaaaaaaaaaaa>\x85")
    assert text == f"to {JANE}, {JANE}\r\nor +44 20 7946 0958\n<EMAIL_aaaaaaaaaaaa>\x85"
    assert said == {"out": str(tmp_path / "out-a.txt"), "turned_back": 3, "unknown": 1}


def test_what_comes_out_is_for_its_owner_alone(tmp_path: Path) -> None:
    known = run_with_rows(tmp_path)
    turned(tmp_path, "a.txt", known["mail"])
    assert (tmp_path / "out-a.txt").stat().st_mode & 0o777 == 0o600


def test_json_lines_stay_json_whatever_the_values(tmp_path: Path) -> None:
    known = run_with_rows(tmp_path)
    record = {"a": f"x {known['pem']} y", "calls": [{"arguments": json.dumps({"key": known["pem"]})}], known["mail"]: 1}
    plain = '{"spaced":   "as it was", "u": "\u2028"}'
    text, said = turned(tmp_path, "a.jsonl", f"{json.dumps(record)}\n{plain}\n{json.dumps(record)}")
    first, second, third = text.split("\n")
    assert second == plain, "a line without placeholders keeps its bytes"
    assert json.loads(first) == json.loads(third)
    back = json.loads(first)
    assert back["a"] == f"x {PEM} y" and back[JANE] == 1
    assert json.loads(back["calls"][0]["arguments"]) == {"key": PEM}
    assert said["turned_back"] == 6


def test_packed_lines_and_whole_documents_are_read_too(tmp_path: Path) -> None:
    known = run_with_rows(tmp_path)
    packed, _ = turned(tmp_path, "a.jsonl.gz", gzip.compress(json.dumps({"a": known["pem"]}).encode()))
    assert json.loads(packed) == {"a": PEM}
    whole, _ = turned(tmp_path, "a.json", json.dumps([{"a": known["pem"]}]))
    assert json.loads(whole) == [{"a": PEM}]
    same, _ = turned(tmp_path, "b.json", '[ 1,2]')
    assert same == "[ 1,2]"


def test_a_table_keeps_its_cells(tmp_path: Path) -> None:
    known = run_with_rows(tmp_path)
    text, _ = turned(tmp_path, "a.csv", f'id,text\n1,"a, {known["pem"]}"\n2,{known["mail"]}\n')
    assert list(csv.reader(text.splitlines(keepends=True))) == [["id", "text"], ["1", f"a, {PEM}"], ["2", JANE]]
    plain, _ = turned(tmp_path, "b.csv", f'id,text\r\n"1",{known["mail"]}\r\n')
    assert plain == f'id,text\r\n"1",{JANE}\r\n', "where no value needs quotes, nothing else changes"


def test_the_run_s_own_rows_come_back_as_they_were(tmp_path: Path) -> None:
    run_with_rows(tmp_path)
    kept = tmp_path / "runs" / "tickets" / "data" / "kept.jsonl.gz"
    unmask("tickets", kept, tmp_path / "back.jsonl.gz", tmp_path / "secrets", tmp_path / "runs")
    first, second, third = read_jsonl(tmp_path / "back.jsonl.gz")
    assert first["text"] == f"mail {JANE}" and second["text"] == f"see {PEM} and https://bob:a@acme.org/"
    assert json.loads(third["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"key": PEM}  # type: ignore[index,call-overload,arg-type]


def test_without_the_key_or_with_another_nothing_is_written(tmp_path: Path) -> None:
    known = run_with_rows(tmp_path)
    with pytest.raises(LuthierError, match="no such key"):
        turned(tmp_path, "a.txt", known["mail"], "elsewhere")
    (tmp_path / "secrets" / "personal.key").unlink()
    clean([Text("1", JANE)], [PersonalData(action="replace")], tools=Tools(secrets=tmp_path / "secrets"))
    with pytest.raises(LuthierError, match="not the one"):
        turned(tmp_path, "a.txt", known["mail"])
    assert not (tmp_path / "out-a.txt").exists()


def test_what_cannot_be_turned_back_is_said(tmp_path: Path) -> None:
    run_with_rows(tmp_path)
    with pytest.raises(LuthierError, match="there already"):
        (tmp_path / "out-a.txt").write_text("mine", encoding="utf-8")
        turned(tmp_path, "a.txt", "x")
    for name, content, said in (
        ("b.parquet", b"PAR1", "is not text"),
        ("b.txt", b"\xff\xfe", "cannot be read as text"),
        ("b.jsonl", '{"a": "<EMAIL_aaaaaaaaaaaa>"', "b.jsonl:1: it is not JSON"),
        ("b.json", "<EMAIL_aaaaaaaaaaaa>", "is not JSON"),
    ):
        with pytest.raises(LuthierError, match=said):
            turned(tmp_path, name, content)
        assert not (tmp_path / f"out-{name}").exists()
    with pytest.raises(LuthierError, match="cannot be read"):
        unmask("tickets", tmp_path / "absent.txt", tmp_path / "out", tmp_path / "secrets", tmp_path / "runs")


def test_a_run_without_placeholders_is_said(tmp_path: Path) -> None:
    with lock(Run(tmp_path / "runs" / "tickets")) as run:
        write_jsonl(run.kept, [{"id": "1", "text": "x"}])
        write_jsonl(run.dropped, [])
    with pytest.raises(LuthierError, match="no placeholders"):
        turned(tmp_path, "a.txt", "<EMAIL_aaaaaaaaaaaa>")
