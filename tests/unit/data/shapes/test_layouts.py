"""What layouts make of their rows, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Labelled, Pair, Text
from luthier.core.messages import Message, TextPart, ToolCall
from luthier.data.source.reading import BadRow, Data, Recognised, read, recognise


def _write(folder: Path, *records: object) -> str:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return str(path)


def _read(folder: Path, *records: object, want: str | None = None, **data: object) -> list:
    wanted = Data(_write(folder, *records), **data)  # type: ignore[arg-type]
    return list(read(wanted, recognise(wanted, want)))


def _recognised(folder: Path, *records: object, want: str | None = None, **data: object) -> Recognised:
    return recognise(Data(_write(folder, *records), **data), want)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "label"), [("message", "category"), ("Sentence", "Label"), ("SMS", "class"), ("review", "sentiment"), ("content", "Intent")]
)
def test_texts_and_labels_are_found_by_their_usual_names(tmp_path: Path, text: str, label: str) -> None:
    [row] = _read(tmp_path, {label: " spam ", text: " Win! ", "n": 1})
    assert (type(row), row.text, row.label, row.extra) == (Labelled, " Win! ", "spam", {"n": 1})


@pytest.mark.parametrize(("value", "label"), [(1, "1"), (0, "0"), (True, "true"), (False, "false"), (2.5, "2.5"), (" a\n", "a")])
def test_labels_that_are_numbers_or_truth_values_become_texts(tmp_path: Path, value: object, label: str) -> None:
    assert _read(tmp_path, {"text": "a", "label": value})[0].label == label


@pytest.mark.parametrize("value", ["", "  ", None, ["a"], {"a": 1}])
def test_a_row_without_one_label_is_a_bad_row(tmp_path: Path, value: object) -> None:
    good = {"text": "a", "label": "x"}
    rows = _read(tmp_path, good, {"text": "b", "label": value}, good, fields={"label": "label"})
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["rows.jsonl:2"]


def test_given_fields_reach_into_objects_and_lists(tmp_path: Path) -> None:
    record = {"mail": {"body": "hi", "tags": ["urgent", "new"]}, "a.b": "dotted"}
    [row] = _read(tmp_path, record, fields={"text": "mail.body", "label": "mail.tags.0"})
    assert (row.text, row.label, row.extra) == ("hi", "urgent", record)
    assert _read(tmp_path, record, fields={"text": "a.b"})[0].text == "dotted"


@pytest.mark.parametrize(("record", "prompt", "completion"), [
    ({"prompt": "p", "completion": "c"}, "p", "c"),
    ({"question": "p", "answer": "c"}, "p", "c"),
    ({"instruction": "p", "context": "about", "response": "c", "category": "x"}, "p\n\nabout", "c"),
    ({"instruction": "p", "context": "", "response": "c"}, "p", "c"),
    ({"question": "p", "context": None, "answer": 4}, "p", "4"),
    ({"input": "p", "output": "c"}, "p", "c"),
    ({"instruction": "p", "input": "i", "output": "c"}, "p\n\ni", "c"),
    ({"instruction": "p", "input": " ", "output": "c"}, "p", "c"),
    ({"document": "p", "summary": "c"}, "p", "c"),
])  # fmt: skip
def test_prompts_and_completions_are_found_by_their_usual_names(tmp_path: Path, record: dict, prompt: str, completion: str) -> None:
    [row] = _read(tmp_path, record)
    assert (type(row), row.prompt, row.completion) == (Pair, prompt, completion)


def test_an_input_without_an_instruction_is_the_prompt(tmp_path: Path) -> None:
    rows = _read(tmp_path, {"instruction": "p", "input": "i", "output": "c"}, {"instruction": "", "input": "i", "output": "c"})
    assert [row.prompt for row in rows] == ["p\n\ni", "i"]


@pytest.mark.parametrize("record", [
    {"system": "be brief", "prompt": "p", "completion": "c"}, {"system": "be brief", "instruction": "p", "input": "", "output": "c"},
])  # fmt: skip
def test_a_system_column_makes_a_pair_a_conversation(tmp_path: Path, record: dict) -> None:
    with_system, without = _read(tmp_path, record, record | {"system": ""})
    turns = (Message("user", "p"), Message("assistant", "c"))
    assert (type(with_system), with_system.messages) == (Chat, (Message("system", "be brief"), *turns))
    assert without.messages == turns


def test_an_alpaca_history_stands_before_the_instruction(tmp_path: Path) -> None:
    [row] = _read(tmp_path, {"instruction": "p", "input": "", "output": "c", "history": [["a", "b"]]})
    assert row.messages == (Message("user", "a"), Message("assistant", "b"), Message("user", "p"), Message("assistant", "c"))


def test_openai_messages_keep_weights_names_parts_tools_and_calls(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "tune", "arguments": '{"string": "A"}'}}
    tool = {"type": "function", "function": {"name": "tune", "parameters": {"type": "object"}}}
    turns = [
        {"role": "system", "content": "s"},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "no", "weight": 0},
        {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0.5},
        {"role": "tool", "tool_call_id": "c1", "content": "440"},
        {"role": "assistant", "content": "done", "weight": 1},
    ]
    [row] = _read(tmp_path, {"messages": turns, "tools": [tool], "parallel_tool_calls": False})
    assert row.messages == (
        Message("system", "s"), Message("user", (TextPart("a"), TextPart("b")), name="ann"), Message("assistant", "no", weight=0.0),
        Message("assistant", "", tool_calls=(ToolCall("c1", "tune", '{"string": "A"}'),), weight=0.5),
        Message("tool", "440", tool_call_id="c1"), Message("assistant", "done", weight=1.0),
    )  # fmt: skip
    assert (row.tools, row.extra) == ((tool,), {"parallel_tool_calls": False})


def test_llama_factorys_parts_and_loss_weights_are_understood(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": [{"type": "text", "value": "a"}], "loss_weight": 0.0},
             {"role": "assistant", "content": [{"type": "text", "value": "b"}], "loss_weight": 0.5}]
    [row] = _read(tmp_path, {"messages": turns})
    assert row.messages == (Message("user", (TextPart("a"),), weight=0.0), Message("assistant", (TextPart("b"),), weight=0.5))


def test_the_older_function_calls_become_tool_calls(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
             {"role": "function", "name": "f", "content": "1"}]
    [row] = _read(tmp_path, {"messages": turns, "functions": [{"name": "f"}]})
    call = Message("assistant", "", tool_calls=(ToolCall("call_0", "f", "{}"),))
    assert row.messages[1:] == (call, Message("tool", "1", tool_call_id="call_0", name="f"))
    assert row.tools == ({"type": "function", "function": {"name": "f"}},)


def test_messages_that_stand_as_json_text_in_a_table_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('messages\n"[{""role"": ""user"", ""content"": ""hi""}, {""role"": ""assistant"", ""content"": ""yo""}]"\n')
    [row] = list(read(Data(str(path)), recognise(Data(str(path)))))
    assert row.messages == (Message("user", "hi"), Message("assistant", "yo"))


def test_sharegpt_calls_are_answered_by_the_observations_behind_them_in_order(tmp_path: Path) -> None:
    calls = '[{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": "{}"}]'
    turns = [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "function_call", "value": calls},
             {"from": "observation", "value": "1"}, {"from": "observation", "value": "2"}, {"from": "gpt", "value": "a", "weight": 0}]
    [row] = _read(tmp_path, {"conversations": turns, "tools": '[{"name": "f"}]'})
    assert row.messages == (
        Message("system", "s"), Message("user", "q"),
        Message("assistant", tool_calls=(ToolCall("call_0", "f", '{"x": 1}'), ToolCall("call_1", "g", "{}"))),
        Message("tool", "1", tool_call_id="call_0"), Message("tool", "2", tool_call_id="call_1"), Message("assistant", "a", weight=0.0),
    )  # fmt: skip
    assert row.tools == ({"type": "function", "function": {"name": "f"}},)


def test_each_call_of_a_conversation_has_its_own_id(tmp_path: Path) -> None:
    turn = ({"from": "function_call", "value": '{"name": "f"}'}, {"from": "observation", "value": "1"})
    [row] = _read(tmp_path, {"conversations": [{"from": "human", "value": "q"}, *turn, *turn]})
    assert [call.id for message in row.messages for call in message.tool_calls] == ["call_0", "call_1"]
    assert [message.tool_call_id for message in row.messages] == [None, None, "call_0", None, "call_1"]


@pytest.mark.parametrize("turns", [
    [], "hello", [{"role": "user"}, 3], [{"role": "king", "content": "a"}], [{"role": "user", "content": 3}],
    [{"role": "assistant", "content": "a", "weight": -1}], [{"role": "assistant", "content": "a", "tool_calls": [{}]}],
])  # fmt: skip
def test_messages_that_make_no_conversation_are_bad_rows(tmp_path: Path, turns: object) -> None:
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    rows = _read(tmp_path, good, {"messages": turns}, good)
    assert [getattr(row, "source", None) for row in rows if isinstance(row, BadRow)] == ["rows.jsonl:2"]


@pytest.mark.parametrize("turn", [
    {"from": "nobody", "value": "a"}, {"from": "gpt", "value": None}, {"from": "function_call", "value": "f(x)"},
    {"from": "function_call", "value": '{"name": "f", "arguments": NaN}'}, {"from": "gpt", "value": "a", "weight": True},
])  # fmt: skip
def test_turns_that_make_no_conversation_are_bad_rows(tmp_path: Path, turn: object) -> None:
    good = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    rows = _read(tmp_path, good, {"conversations": [turn]}, good)
    assert [(row.source, row.problem[:9]) for row in rows if isinstance(row, BadRow)] == [("rows.jsonl:2", "message 1")]


def test_what_the_task_needs_decides_between_readings(tmp_path: Path) -> None:
    record = {"text": "a", "label": "b", "prompt": "c", "completion": "d"}
    kinds = {want: type(_read(tmp_path, record, want=want)[0]) for want in ("labelled", "pair", "text")}
    assert kinds == {"labelled": Labelled, "pair": Pair, "text": Text}
    with pytest.raises(LuthierError, match='fits the columns "text", "label"; as they stand they are texts with labels'):
        _recognised(tmp_path, {"text": "a", "label": "b"}, want="chat")


def test_a_pair_will_do_for_a_conversation_and_the_other_way_round_but_the_shape_asked_for_comes_first(tmp_path: Path) -> None:
    pair = {"prompt": "c", "completion": "d"}
    chat = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    wants = ("pair", "chat")
    assert [type(_read(tmp_path, pair, want=want)[0]) for want in wants] == [Pair, Pair]
    assert [type(_read(tmp_path, chat, want=want)[0]) for want in wants] == [Chat, Chat]
    assert [type(_read(tmp_path, pair | chat, want=want)[0]) for want in wants] == [Pair, Chat]


def test_what_was_recognised_is_said(tmp_path: Path) -> None:
    found = _recognised(tmp_path, {"message": "a", "intent": "b", "page": 3})
    assert (found.format, found.encoding, found.shape, found.layout) == ("jsonl", "utf-8", "labelled", "text+label")
    assert found.fields == {"text": "message", "label": "intent"}
    assert found.said == 'JSONL in UTF-8; texts with labels: the text in "message", the label in "intent"; kept aside: "page".'


def test_columns_that_cannot_be_guessed_are_an_error_that_writes_the_fields_out(tmp_path: Path) -> None:
    records = [{"Kundentext": f"Wo bleibt meine Geige Nummer {n}?", "Art": ("offen", "zu")[n % 2], "Nr": n} for n in range(6)]
    with pytest.raises(LuthierError) as caught:
        _recognised(tmp_path, *records)
    assert caught.value.where == "rows.jsonl"
    assert caught.value.problem == 'no layout fits the columns "Kundentext", "Art", "Nr"'
    assert 'fields = { text = "Kundentext", label = "Art" }' in caught.value.fix


def test_the_fields_written_out_for_a_pair_are_the_two_long_columns_in_order(tmp_path: Path) -> None:
    with pytest.raises(LuthierError) as caught:
        _recognised(tmp_path, {"no": "7", "frage": "Was ist das?", "auskunft": "Eine Laute, siebenchörig."}, want="pair")
    assert 'fields = { prompt = "frage", completion = "auskunft" }' in caught.value.fix


def test_fields_that_name_no_role_or_no_column_are_all_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(LuthierError) as caught:
        _recognised(tmp_path, {"message": "a", "intent": "b"}, fields={"txt": "message", "label": "intnet"})
    assert [error.problem for error in caught.value.errors] == ['"txt" is no role', 'there is no column "intnet"']
    assert caught.value.errors[0].fix.startswith('did you mean "text"?')
    assert caught.value.errors[1].fix == 'did you mean "intent"? there are "message", "intent"'


def test_roles_that_belong_to_no_layout_together_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="no layout has the roles text, completion together"):
        _recognised(tmp_path, {"a": "x", "b": "y"}, fields={"text": "a", "completion": "b"})


def test_preferences_and_verdicts_are_not_imitated_unless_the_columns_to_imitate_are_named(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    for record in ({"prompt": "p", "chosen": "a", "rejected": "b"}, {"messages": turns, "label": True}):
        for want in ("chat", "pair"):
            with pytest.raises(LuthierError, match="bad answers among them") as caught:
                _recognised(tmp_path, record, want=want)
            assert 'task = "prefer"' in caught.value.fix
    assert _recognised(tmp_path, {"messages": turns, "label": True}, fields={"messages": "messages"}).shape == "chat"
    pair = {"prompt": "p", "chosen": "a", "rejected": "b"}
    assert _recognised(tmp_path, pair, fields={"prompt": "prompt", "completion": "chosen"}).shape == "pair"


def test_a_column_of_values_that_never_repeat_is_no_label(tmp_path: Path) -> None:
    assert _recognised(tmp_path, *({"text": f"t{n}", "topic": f"unique {n}"} for n in range(60))).layout == "plain text"
    assert _recognised(tmp_path, *({"text": f"t{n}", "topic": f"one of {n % 20}"} for n in range(60))).layout == "text+label"


@pytest.mark.parametrize("column", ["label", "text"])
def test_a_needed_column_that_is_empty_all_along_is_an_error(tmp_path: Path, column: str) -> None:
    with pytest.raises(LuthierError, match=f'the column "{column}" \\({column}\\) is empty in the first 2 rows'):
        _recognised(tmp_path, *({"text": "a", "label": "b"} | {column: " "} for _ in range(2)), fields={"text": "text", "label": "label"})
