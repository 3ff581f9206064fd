"""Rows with personal data and secrets in them, masked, replaced or dropped; and what of a row is looked at."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Preference, Ranking, Rated, Scored, Tagged, Text, to_record
from luthier.core.loading import loads
from luthier.core.messages import Message, OtherPart, TextPart, ToolCall
from luthier.data.decisions import Changed, Dropped, Kept
from luthier.data.kept.prepared import dropped_record
from luthier.data.personal.placeholders import PLACEHOLDER, SEALED, turned_back, vault_of
from luthier.data.pipeline import Prepare, clean, tidied
from luthier.data.steps import ExactDuplicates
from luthier.data.steps.personal_data import PersonalData
from luthier.data.steps.secrets import Secrets
from luthier.data.tools import Tools

JANE, BOB, CARD = "jane@acme.org", "bob@acme.org", "4111 1111 1111 1111"
CALLS = (ToolCall("1", "f", f'"{JANE}"'),)
TOKEN = "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a"


def tools(folder: Path) -> Tools:
    return Tools(home=folder / "run" / "data", secrets=folder / "secrets")


def values(folder: Path, example: AnyExample) -> dict[str, str]:
    """What a row's placeholders stand for, by the key."""
    vault = vault_of(folder / "secrets", "personal")
    sealed = example.extra[SEALED]
    assert isinstance(sealed, dict)
    return {placeholder: str(vault.opened(placeholder, one)) for placeholder, one in sealed.items()}


def test_what_is_found_is_masked_by_its_kind() -> None:
    said = PersonalData().apply(Pair("1", f"I am {JANE}", f"paid by {CARD}, {JANE}"))
    assert said == Changed(Pair("1", "I am [EMAIL]", "paid by [CREDIT_CARD], [EMAIL]"), "credit_card, email")
    assert PersonalData().apply(Pair("1", "I am", "nobody")) == Kept()


def test_a_conversation_is_looked_at_wherever_a_model_reads() -> None:
    arguments = json.dumps({"to": [JANE], "note": "card\n" + CARD, "card": 4111111111111111, "n": 3, "ok": True, "x": 0.5})
    before = Chat(
        "1",
        (
            Message("system", f"help {JANE}"),
            Message("user", (TextPart(f"mail {JANE}"), OtherPart("image_url", {"url": "x"})), name=JANE),
            Message("assistant", reasoning=JANE, tool_calls=(ToolCall("1", "send", arguments), ToolCall("2", "send", f"not JSON {JANE}"))),
            Message("tool", JANE, tool_call_id="1"),
        ),
    )  # fmt: skip
    said = PersonalData().apply(before)
    assert isinstance(said, Changed) and isinstance(said.example, Chat)
    system, user, assistant, tool = said.example.messages
    assert (system.text, user.text) == ("help [EMAIL]", "mail [EMAIL]")
    assert user.name == assistant.reasoning == tool.text == "[EMAIL]"
    assert user.other_parts == (OtherPart("image_url", {"url": "x"}),)
    assert json.loads(assistant.tool_calls[0].arguments) == {
        "to": ["[EMAIL]"], "note": "card\n[CREDIT_CARD]", "card": "[CREDIT_CARD]", "n": 3, "ok": True, "x": 0.5,
    }  # fmt: skip
    assert assistant.tool_calls[1].arguments == "not JSON [EMAIL]"


def test_arguments_without_anything_keep_their_bytes() -> None:
    call = ToolCall("1", "f", '{"a":1,   "b":"x"}')
    said = PersonalData().apply(Chat("1", (Message("user", JANE), Message("assistant", "ok", tool_calls=(call,)))))
    assert isinstance(said, Changed) and isinstance(said.example, Chat)
    assert said.example.messages[1].tool_calls == (call,)


def test_labels_ids_and_other_columns_stay_unless_columns_are_asked_for() -> None:
    row = Labelled(JANE, "hello", JANE, extra={"mail": JANE, "deep": {"list": [BOB, 1]}})
    assert PersonalData().apply(row) == Kept()
    said = PersonalData(columns=True).apply(row)
    assert said == Changed(Labelled(JANE, "hello", JANE, extra={"mail": "[EMAIL]", "deep": {"list": ["[EMAIL]", 1]}}), "email")


def test_a_row_that_is_dropped_leaves_no_personal_data_on_record() -> None:
    cleaned = clean([Text("1", f"mail {JANE} and {CARD}"), Text("2", "hello")], [PersonalData(action="drop")])
    assert [row.example.id for row in cleaned.kept] == ["2"]
    record = dropped_record(cleaned.dropped[0])
    assert (record["step"], record["reason"], record["detail"]) == ("personal_data", "credit_card", "credit_card, email")
    assert record["text"] == "mail [EMAIL] and [CREDIT_CARD]"
    assert JANE not in json.dumps(record)


def test_the_same_value_has_the_same_placeholder_whatever_the_order_and_the_shards(tmp_path: Path) -> None:
    people = [f"p{number}@acme.org" for number in range(20)]
    rows = [Text(str(i), f"from {people[i % 20]} to {people[i * 7 % 20]}") for i in range(60)]
    step = PersonalData(action="replace")
    whole = {row.example.id: row.example for row in clean(rows, [step], tools=tools(tmp_path)).kept}
    shuffled = random.Random(0).sample(rows, len(rows))
    parted = [row.example for part in (shuffled[:17], shuffled[17:]) for row in clean(part, [step], tools=tools(tmp_path)).kept]
    assert {row.id: row for row in parted} == whole
    stands_for: dict[str, set[str]] = {}
    for before in rows:
        after = whole[before.id]
        assert isinstance(after, Text) and "@" not in after.text
        assert turned_back(after.text, values(tmp_path, after)) == before.text
        for placeholder, value in values(tmp_path, after).items():
            stands_for.setdefault(placeholder, set()).add(value)
    assert len(stands_for) == 20 and all(len(one) == 1 for one in stands_for.values())


def test_a_ready_step_can_be_sent_to_another_process(tmp_path: Path) -> None:
    step: Any = PersonalData(action="replace").with_tools(tools(tmp_path))
    assert pickle.loads(pickle.dumps(step)).apply(Text("1", JANE)) == step.apply(Text("1", JANE))


def test_replacing_twice_adds_to_what_is_sealed_and_changes_nothing_else(tmp_path: Path) -> None:
    both = [PersonalData(action="replace"), Secrets(action="replace")]
    row = Text("1", f"{JANE} has {TOKEN}", extra={"n": 1})
    once = clean([row], both, tools=tools(tmp_path)).kept[0].example
    again = clean([once], both, tools=tools(tmp_path)).kept[0].example
    assert once == again and once.extra["n"] == 1
    assert isinstance(once, Text) and turned_back(once.text, values(tmp_path, once)) == row.text
    assert sorted(values(tmp_path, once).values()) == sorted([JANE, TOKEN])


def test_the_key_is_nowhere_in_what_a_row_carries(tmp_path: Path) -> None:
    said = clean([Text("1", f"{JANE} {CARD}")], [PersonalData(action="replace")], tools=tools(tmp_path)).kept[0]
    key = (tmp_path / "secrets" / "personal.key").read_text(encoding="ascii").strip().partition(":")[2]
    assert key not in repr(said) and JANE not in repr(said) and CARD not in repr(said)


def test_replacing_needs_a_folder_for_the_key(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="LUTHIER_SECRETS"):
        clean([Text("1", JANE)], [PersonalData(action="replace")], tools=Tools(home=tmp_path))


def test_a_row_that_waits_for_its_answer_looks_as_rows_did_in_training(tmp_path: Path) -> None:
    waiting = Text("1", f"mail {JANE}, {JANE} and {BOB}")
    assert tidied(waiting, [PersonalData()]) == Text("1", "mail [EMAIL], [EMAIL] and [EMAIL]")
    assert tidied(waiting, [PersonalData(action="drop")]) == waiting, "it is answered whatever it is like"
    served = tidied(waiting, [PersonalData(action="replace")])
    trained = clean([waiting], [PersonalData(action="replace")], tools=tools(tmp_path)).kept[0].example
    assert isinstance(served, Text) and isinstance(trained, Text)
    shape = PLACEHOLDER.sub("<>", trained.text)
    assert PLACEHOLDER.sub("<>", served.text) == shape == "mail <>, <> and <>"
    jane, same, bob = PLACEHOLDER.findall(served.text)
    assert jane == same != bob and jane not in trained.text
    assert served.extra == {}, "nothing that could be turned back"
    assert tidied(served, [PersonalData(action="replace")]) == served


PIECES = [JANE, BOB, CARD, TOKEN, "+44 20 7946 0958", "password: Tr0ub4dor&3", "x", " ", ", ", "\n", "8.8.8.8", "1.2.3.4."]
texts = st.lists(st.sampled_from(PIECES), max_size=8)


@pytest.mark.parametrize("kind", [PersonalData, Secrets])
@pytest.mark.parametrize("action", ["mask", "replace", "drop"])
@given(drawn=texts)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_that_is_looked_for_is_left_and_a_second_time_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, kind: Any, action: str, drawn: list[str]
) -> None:
    given_tools = tools(tmp_path_factory.getbasetemp())
    once = clean([Text("1", "".join(drawn))], [kind(action=action)], tools=given_tools)
    again = clean([row.example for row in once.kept], [kind(action=action)], tools=given_tools)
    assert [row.example for row in again.kept] == [row.example for row in once.kept]
    assert again.dropped == () and again.changed() == {}


def test_secrets_and_personal_data_each_see_their_own() -> None:
    text = f"{JANE} {TOKEN} password: Tr0ub4dor&3 https://bob:x7Kq92mZ@acme.io/"
    masked = Secrets().apply(Text("1", text))
    assert isinstance(masked, Changed) and isinstance(masked.example, Text)
    assert masked.example.text == f"{JANE} [API_KEY] password: [SECRET] [URL_CREDENTIALS]"
    assert isinstance(Secrets(action="drop").apply(Text("1", text)), Dropped)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('kind = "personal_data"\nkinds = []', "is empty"),
        ('kind = "personal_data"\nkinds = ["email"]\nregions = ["DE"]', "has no effect without phone"),
        ('kind = "personal_data"\nregions = ["DE", "XX"]', "holds XX"),
        ('kind = "personal_data"\nkey = "mine"', "has no effect with action"),
        ('kind = "personal_data"\naction = "replace"\nkey = "../mine"', "names no file"),
        ('kind = "personal_data"\nkinds = ["api_key"]', "kinds"),
        ('kind = "secrets"\nkinds = []', "is empty"),
        ('kind = "secrets"\naction = "drop"\nkey = "mine"', "has no effect with action"),
        ('kind = "secrets"\nregions = ["DE"]', "regions"),
    ],
)
def test_an_option_without_effect_is_an_error(options: str, said: str) -> None:
    with pytest.raises(LuthierError) as caught:
        loads(Prepare, f"[[steps]]\n{options}\n")
    assert said in str(caught.value)


def test_a_recipe_can_say_it_all() -> None:
    text = '[[steps]]\nkind = "personal_data"\naction = "replace"\nkinds = ["email", "phone", "person_name"]\nat_least = "possible"\n'
    text += 'regions = ["DE", "IN"]\ncolumns = true\nkey = "mine"\n'
    assert loads(Prepare, text).steps == (
        PersonalData(
            action="replace", kinds=("email", "phone", "person_name"), at_least="possible", regions=("DE", "IN"), columns=True, key="mine"
        ),
    )


@pytest.mark.parametrize(
    "row",
    [
        Preference("1", (Message("user", JANE),), (Message("assistant", JANE),), (Message("assistant", "no", tool_calls=CALLS),)),
        Ranking("1", (Message("user", "x", name=JANE),), ((Message("assistant", JANE),), (Message("assistant", "no"),)), (1, 2)),
        Rated("1", (Message("user", JANE),), (Message("assistant", "", reasoning=JANE),), True),
        Tagged("1", ("mail", JANE), ("O", "B-MAIL")),
        Scored("1", f"mail {JANE}", 0.5),
        Pair("1", f"mail {JANE}\nnow", "yes", written={"values": {"instruction": f"mail {JANE}", "input": "now"}, "columns": ["x"]}),
    ],
)  # fmt: skip
def test_every_shape_is_looked_at_and_how_it_was_spelled_too(row: AnyExample) -> None:
    said = PersonalData().apply(row)
    assert isinstance(said, Changed)
    record = json.dumps(to_record(said.example))
    assert "[EMAIL]" in record and JANE not in record
    assert json.dumps(to_record(row)).replace(JANE, "[EMAIL]") == record, "nothing else has changed"
    dropped = PersonalData(action="drop").apply(row)
    assert isinstance(dropped, Dropped) and dropped.shown == said.example


@pytest.mark.parametrize("kind", [PersonalData, Secrets])
def test_rows_are_not_compared_and_recorded_before_they_are_covered(kind: Any) -> None:
    after = [problem for _, problem, _ in Prepare((ExactDuplicates(), kind())).complaints(frozenset())]
    assert len(after) == 1 and "recorded as they are" in after[0]
    assert list(Prepare((kind(), ExactDuplicates())).complaints(frozenset())) == []


def test_what_is_covered_already_is_not_covered_again() -> None:
    assert PersonalData().apply(Text("1", "see https://[EMAIL]@acme.io/x and https://[NAME]@acme.io/")) == Kept()
    assert PersonalData().apply(Text("1", "see https://bob@acme.io/x")) != Kept()


def test_a_step_knows_the_numbers_of_its_own_regions() -> None:
    row = Text("1", "it is 030 901820, good")
    assert PersonalData().apply(row) == Kept()
    assert PersonalData(regions=("DE",)).apply(row) == Changed(Text("1", "it is [PHONE], good"), "phone")
