"""Rows out again: in the layout and the format they came in, or in others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Preference, Text
from luthier.core.messages import Message
from luthier.data.readers.nested_squad import nested
from luthier.data.shapes import LAYOUTS
from luthier.data.shapes.conversion import converted, layout_named
from luthier.data.shapes.written import as_record
from luthier.data.source.reading import BadRow, Data, Recognised, read, recognise
from luthier.data.source.writing import write_records
from luthier.data.steps import HtmlToText, Whitespace

ASKED, SAID = {"role": "user", "content": "why"}, {"role": "assistant", "content": "because"}


def rows_of(path: Path, **data: object) -> tuple[list[AnyExample], Recognised]:
    wanted = Data(str(path), **data)  # type: ignore[arg-type]
    found = recognise(wanted)
    rows = [row for row in read(wanted, found) if not isinstance(row, BadRow)]
    return rows, found


def again(rows: list[AnyExample], found: Recognised) -> list[dict]:
    return [as_record(row, LAYOUTS[found.layout](found.fields), found.columns) for row in rows]


def written(path: Path, *records: dict) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


OTHERWISE: dict[str, list[dict]] = {
    "numbers and truth values": [{"id": 7, "text": 4, "label": 1}, {"id": 8, "text": "x", "label": 0}],
    "columns in another order": [{"label": "a", "id": "r", "text": "x"}, {"text": "y", "label": "b", "id": "s"}],
    "columns that are not in every row": [
        {"text": "x", "label": "a", "more": None}, {"text": "y", "label": "b"}, {"n": 1, "text": "z", "label": "b"},
    ],
    "an instruction with its input": [
        {"instruction": "say\n\nit", "input": "a\n\nbow", "output": "bow"}, {"instruction": "", "input": "x", "output": "y"},
    ],
    "an input that is not there": [{"instruction": "a", "input": "b", "output": "c"}, {"instruction": "a", "output": "c"}],
    "a history": [
        {"instruction": "a", "input": "", "output": "c", "history": [["x", "y"]]}, {"instruction": "a", "input": "", "output": "c"},
    ],
    "paths into objects": [{"mail": {"body": "x", "to": ["a"]}, "label": "b"}, {"mail": {"body": "y"}, "label": "c"}],
    "sentences in lists": [{"source": ["a b.", "c."], "target": ["d", "e"], "n": 1}, {"source": ["a"], "target": ["b"], "n": 2}],
    "last year's vocabulary": [{
        "messages": [
            {"role": "User", "content": "a", "at": 3},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            {"content": [{"type": "text", "value": "b"}], "role": "gpt", "loss_weight": 0.5},
        ],
        "functions": [{"name": "f"}], "chat_template_kwargs": {"thinking": True}, "parallel_tool_calls": False,
    }],
    "messages as JSON text": [{"messages": json.dumps([ASKED, SAID]), "tools": "[]"}],
    "calls and observations": [{
        "conversations": [
            {"from": "user", "value": "a", "n": 1}, {"from": "function_call", "value": '{"name": "f", "arguments": {}}'},
            {"from": "observation", "value": "2"}, {"value": "b", "from": "chatgpt", "weight": 1},
        ],
        "tools": '[{"name": "f"}]', "system": "be brief",
    }, {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "tools": "", "system": ""}],
    "replies with the prompt in them": [{"prompt": "why", "chosen": [ASKED, SAID], "rejected": [ASKED, SAID | {"content": "no"}]}],
    "replies without a prompt": [{"chosen": [ASKED, SAID], "rejected": [ASKED, SAID | {"content": "no"}]}],
    "dialogues in one text": [{"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant:c"}],
    "texts with one beginning": [{"chosen": "The sky is blue.", "rejected": "The sky is green."}],
    "single messages as replies": [
        {
            "conversations": [{"from": "human", "value": "a"}], "chosen": {"from": "gpt", "value": "b"},
            "rejected": {"from": "gpt", "value": "c"},
        }
    ],
    "an instruction with two outputs": [{"instruction": "a", "input": "b", "chosen": "c", "rejected": "d"}],
    "a verdict on messages": [{"messages": [ASKED, SAID], "label": False}],
    "scores for replies": [{"question": "a", "responses": ["x", [SAID]], "scores": [0.1, 9]}],
    "tags by number": [{"tokens": ["a", "b"], "ner_tags": [0, 3]}],
    "questions without answers": [{"question": "a", "context": "b c", "answers": {"text": [], "answer_start": []}, "is_impossible": True}],
    "answers as objects": [{"question": "a", "context": "b c", "answers": [{"answer_start": 2, "text": "c"}]}],
    "scores with two texts": [{"sentence1": "a", "sentence2": "b", "score": "4,5"}],
    "messages on both sides": [{"prompt": [ASKED, SAID | {"weight": 1}, ASKED], "completion": [SAID]}],
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERWISE)
def test_rows_come_out_exactly_as_they_went_in_however_they_were_spelled(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", *OTHERWISE[name])
    fields = {"fields": {"text": "mail.body", "label": "label"}} if name == "paths into objects" else {}
    rows, found = rows_of(path, **fields)
    assert len(rows) == len(OTHERWISE[name])
    assert [json.dumps(one) for one in again(rows, found)] == [json.dumps(one) for one in OTHERWISE[name]]


def shout(text: str) -> str:
    return text.replace("a", "A")


@pytest.mark.parametrize("name", sorted(OTHERWISE.keys() - {"sentences in lists"}))
def test_of_a_row_that_was_changed_only_what_was_changed_is_new(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", *OTHERWISE[name])
    fields = {"fields": {"text": "mail.body", "label": "label"}} if name == "paths into objects" else {}
    rows, found = rows_of(path, **fields)
    layout = LAYOUTS[found.layout](found.fields)
    for row, record in zip(rows, OTHERWISE[name], strict=True):
        changed = row.map_text(shout)
        now = as_record(changed, layout, found.columns)
        assert layout.example(now, row.id, {"source": row.source, "extra": row.extra}).fields() == changed.fields()
        assert list(now) == list(record)
        assert json.dumps(now).lower() == json.dumps(record).lower()


def test_sentences_of_which_one_was_changed_become_one_text(tmp_path: Path) -> None:
    rows, found = rows_of(written(tmp_path / "rows.jsonl", *OTHERWISE["sentences in lists"]))
    assert [(row.prompt, row.completion) for row in rows if isinstance(row, Pair)] == [("a b. c.", "d"), ("a", "b")]
    assert again([rows[0].map_text(shout)], found) == [{"source": ["A b. c."], "target": ["d", "e"], "n": 1}]


def test_a_row_made_of_another_does_not_go_by_its_id(tmp_path: Path) -> None:
    [row], found = rows_of(written(tmp_path / "rows.jsonl", {"id": 7, "text": "x", "label": "a", "page": 7}))
    [record] = again([dataclasses.replace(row, id="7-typos", parent="7")], found)
    assert record == {"id": "7-typos", "text": "x", "label": "a", "page": 7}


CONTEXT = "Bows  have hair. <b>Horse</b> hair is best, and hair wears out."
ANSWERS = {"text": ["hair", "Horse</b> hair"], "answer_start": [30, 20]}


def test_answers_move_with_their_text_and_are_dropped_where_they_stand_there_no_longer(tmp_path: Path) -> None:
    assert all(CONTEXT.startswith(text, at) for text, at in zip(*ANSWERS.values(), strict=True))
    record = {"id": "q", "question": "What has a bow?", "context": CONTEXT, "answers": ANSWERS}
    [row], found = rows_of(written(tmp_path / "rows.jsonl", record))
    assert isinstance(row, Pair) and row.completion == "hair"
    tidy = Whitespace().apply(row).example  # type: ignore[union-attr]
    [now] = again([tidy], found)
    assert now["context"] == CONTEXT.replace("  ", " ")
    assert now["answers"] == {"text": ["hair", "Horse</b> hair"], "answer_start": [29, 19]}
    plain = HtmlToText().apply(row).example  # type: ignore[union-attr]
    [now] = again([plain], found)
    assert now["answers"]["text"] == ["hair"]
    assert now["context"].startswith("hair", now["answers"]["answer_start"][0]) and now["answers"]["answer_start"][0] > 20
    [now] = again([row.map_text(lambda text: text.replace("Bows", "Bows with hair"))], found)
    assert now["answers"] == {"text": ["hair", "Horse</b> hair"], "answer_start": [None, 30]}


def test_an_answer_that_does_not_stand_where_it_should_is_a_bad_row(tmp_path: Path) -> None:
    record = {"question": "a", "context": "b c", "answers": {"text": ["c"], "answer_start": [1]}}
    sound = {**record, "answers": {"text": ["c"], "answer_start": [2]}}
    rows, _ = rows_of(written(tmp_path / "rows.jsonl", sound, record), bad_rows="drop")
    assert len(rows) == 1


def test_squads_nesting_comes_back(tmp_path: Path) -> None:
    first = {"id": "1", "question": "why", "answers": [{"text": "b", "answer_start": 2}], "is_impossible": False}
    document = {"data": [
        {"title": "T", "paragraphs": [
            {"context": "a b", "qas": [first, {**first, "id": "2"}]}, {"context": "c b", "qas": [{**first, "id": "3"}]},
        ]},
        {"title": "U", "paragraphs": [{"context": "a b", "qas": [{**first, "id": "4"}]}]},
    ]}  # fmt: skip
    (tmp_path / "rows.json").write_text(json.dumps({"version": "1.1", **document}))
    rows, found = rows_of(tmp_path / "rows.json")
    assert len(rows) == 4 and nested(iter(again(rows, found))) == document
    write_records(tmp_path / "out.json", lambda: again(rows, found), is_squad=True)
    assert json.loads((tmp_path / "out.json").read_text()) == document


# A small file in which control characters are many is taken for a binary one.
CONTROLS = "".join(map(chr, (*range(9), 11, 12, *range(14, 32), 127)))
CELL = st.text(st.characters(codec="utf-8", exclude_characters=CONTROLS + "\ufeff"), max_size=9)
FULL = CELL.filter(str.strip)
TABLES = st.lists(st.fixed_dictionaries({"text": FULL, "label": FULL, "more": CELL}), min_size=2, max_size=5)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.csv.gz", "a.jsonl.gz", "a.json.gz"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(records=TABLES)
def test_what_was_written_is_read_back_and_written_again_as_the_same_bytes(name: str, tmp_path: Path, records: list[dict]) -> None:
    path = tmp_path / name
    assert write_records(path, lambda: records) == len(records)
    first = path.read_bytes()
    fields = {"fields": {"text": "text", "label": "label"}}
    wanted = Data(str(path), **fields, bad_rows="drop")  # type: ignore[arg-type]
    found = recognise(wanted)
    rows = list(read(wanted, found))
    assert not [row for row in rows if isinstance(row, BadRow)]
    write_records(path, lambda: again(rows, found))  # type: ignore[arg-type]
    assert path.read_bytes() == first
    back = again(rows, found)  # type: ignore[arg-type]
    lines = str if ".json" in name else lambda text: text.replace("\r\n", "\n").replace("\r", "\n")
    assert back == [{key: lines(value) for key, value in record.items()} for record in records]


def test_parquet_and_conll_and_text_are_written_and_read_back(tmp_path: Path) -> None:
    for name, records in (
        ("a.parquet", [{"text": "x", "label": 1}, {"text": "y", "label": 2}]),
        ("a.conll", [{"tokens": ["Ann", "sings"], "tags": ["B-PER", "O"]}, {"tokens": ["Bo"], "tags": ["B-PER"]}]),
        ("a.txt", [{"text": "__label__a one"}, {"text": "__label__b two"}] * 2),
    ):
        write_records(tmp_path / name, lambda records=records: records)  # type: ignore[misc]
        first = (tmp_path / name).read_bytes()
        rows, found = rows_of(tmp_path / name)
        assert again(rows, found) == records
        write_records(tmp_path / name, lambda rows=rows, found=found: again(rows, found))  # type: ignore[misc]
        assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize(("name", "record", "says"), [
    ("a.xlsx", {"text": "a"}, "no ending of a format"), ("a.txt", {"text": "a\nb"}, "not one line"),
    ("a.txt", {"text": "a", "b": 1}, "text, b"), ("a.csv", {"text": "a\0b"}, "NUL"),
    ("a.conll", {"tokens": ["a b\t"], "tags": ["O"]}, "a tab"), ("a.conll", {"tokens": ["a"], "tags": []}, "sentence"),
    ("a.parquet.gz", {"text": "a"}, "packed by itself"), ("a.parquet", {"text": {}}, "cannot hold"),
])  # fmt: skip
def test_what_a_format_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path, name: str, record: dict, says: str) -> None:
    with pytest.raises(LuthierError, match=says):
        write_records(tmp_path / name, lambda: [record])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("example", "layout", "record"), [
    (Pair("1", "why", "because"), "openai-chat", {"messages": [ASKED, SAID]}),
    (Pair("1", "why", "because", extra={"page": 3}), "alpaca", {"instruction": "why", "input": "", "output": "because"}),
    (Chat("1", (Message("user", "why"), Message("assistant", "because"))), "prompt/completion", {"prompt": "why", "completion": "because"}),
    (Chat("1", (Message("user", "why"), Message("assistant", "because"))), "sharegpt",
     {"conversations": [{"from": "human", "value": "why"}, {"from": "gpt", "value": "because"}], "system": ""}),
    (Preference("1", (Message("user", "why"),), (Message("assistant", "because"),), (Message("assistant", "no"),)), "openai preference",
     {"input": {"messages": [ASKED]}, "preferred_output": [SAID], "non_preferred_output": [SAID | {"content": "no"}]}),
    (Labelled("1", "why", "a"), "text+label", {"text": "why", "label": "a"}),
])  # fmt: skip
def test_rows_are_written_in_the_layout_that_somebody_asks_for(example: AnyExample, layout: str, record: dict) -> None:
    assert converted(example, layout_named(layout)) == record


def test_a_row_that_a_layout_cannot_hold_is_refused_with_its_place() -> None:
    long = Chat("1", (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d")), source="a.jsonl:3")
    for example, layout in ((long, "alpaca"), (Text("1", "a", source="a.jsonl:3"), "openai-chat")):
        with pytest.raises(LuthierError) as caught:
            converted(example, layout_named(layout))
        assert caught.value.where == "a.jsonl:3"
    with pytest.raises(LuthierError, match="choose from openai-chat"):
        layout_named("alpca")


@pytest.mark.parametrize("change", [str.upper, str.strip, lambda text: text.replace("\n\n", "\n"), lambda text: f"{text}\n\nmore"])
@settings(deadline=None, max_examples=60)
@given(instruction=st.text("a\n ", max_size=8), context=st.text("b\n ", max_size=8))
def test_a_prompt_that_cannot_be_parted_again_is_still_the_same_prompt(
    change: Callable[[str], str], instruction: str, context: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = LAYOUTS["alpaca"]({"instruction": "instruction", "input": "input", "output": "output"})
    record = {"instruction": instruction, "input": context, "output": "c"}
    example = layout.example(record, "1", {"source": "", "extra": {}})
    changed = dataclasses.replace(example.map_text(change), written={"values": record})
    back = layout.example(as_record(changed, layout, tuple(record)), "1", {"source": "", "extra": {}})
    assert back.fields() == changed.fields()


@pytest.mark.parametrize("name", [
    "alpaca_part/alpaca_part.json.gz", "banking77/train.csv", "dolly/dolly.jsonl.gz", "hh_rlhf/harmless_base.jsonl.gz",
    "xquad/xquad.en.json.gz",
    "llamafactory_demo/dpo_en_demo.json", "llamafactory_demo/kto_en_demo.json", "llamafactory_demo/glaive_toolcall_en_demo.json",
    "llamafactory_demo/v1_dpo_demo.jsonl", "llamafactory_demo/v1_sft_demo.jsonl.gz", "mt_bench/sharegpt_dummy_conversations.json",
    "sgd/dev.jsonl.gz", "sms_spam/SMSSpamCollection.tsv", "trec_qc/train.txt", "multi30k/val.en.gz", "t0_mix/t0_mix.jsonl.gz",
])  # fmt: skip
def test_real_rows_come_out_as_they_went_in(shared: Path, name: str) -> None:
    from luthier.data.source.reading import records_of

    path = shared / "data" / name
    sources = (str(path), str(path.with_name("val.de.gz"))) if "multi30k" in name else str(path)
    wanted = Data(sources)
    found = recognise(wanted)
    layout = LAYOUTS[found.layout](found.fields)
    raw = (row.values for one in found.files for row in records_of(one) if not isinstance(row, BadRow))
    n = 0
    for record, row in zip(raw, read(wanted, found), strict=True):
        assert not isinstance(row, BadRow)
        assert json.dumps(as_record(row, layout, found.columns)) == json.dumps(record), row.source
        n += 1
        if n == 500:
            break
    assert n > 5


def test_a_packed_file_says_nothing_of_when_and_where_it_was_written(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "other.jsonl.gz"):
        write_records(tmp_path / name, lambda: [{"text": "a"}])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "other.jsonl.gz").read_bytes()
    assert (tmp_path / "a.jsonl.gz").read_bytes()[4:8] == bytes(4)


def test_line_breaks_of_any_kind_are_line_feeds_in_a_table(tmp_path: Path) -> None:
    write_records(tmp_path / "a.csv", lambda: [{"text": "a\r\nb", "label": "c\rd"}])
    assert (tmp_path / "a.csv").read_bytes() == b'text,label\n"a\nb","c\nd"\n'
