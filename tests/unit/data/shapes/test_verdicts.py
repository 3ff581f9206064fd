"""What preferences, rankings, ratings and scores say, by hand; and the other layouts that came with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.core.examples import Chat, Pair, Preference, Ranking, Rated, Scored, Tagged
from luthier.core.messages import Message
from luthier.data.source.reading import BadRow, Data, read, recognise

USER, GOOD, BAD = {"role": "user", "content": "why"}, {"role": "assistant", "content": "so"}, {"role": "assistant", "content": "no"}
ASKED, SO, NO = Message("user", "why"), Message("assistant", "so"), Message("assistant", "no")


def rows_of(folder: Path, *records: dict, **data: object) -> list:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    wanted = Data(str(path), **data)  # type: ignore[arg-type]
    return list(read(wanted, recognise(wanted)))


@pytest.mark.parametrize("record", [
    {"prompt": "why", "chosen": "so", "rejected": "no"},
    {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
    {"prompt": "why", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
    {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
    {"chosen": "\n\nHuman: why\n\nAssistant: so", "rejected": "\n\nHuman: why\n\nAssistant: no"},
    {
        "conversations": [{"from": "human", "value": "why"}], "chosen": {"from": "gpt", "value": "so"},
        "rejected": {"from": "gpt", "value": "no"},
    },
    {"input": {"messages": [USER]}, "preferred_output": [GOOD], "non_preferred_output": [BAD]},
    {"prompt": json.dumps([USER]), "chosen": json.dumps([GOOD]), "rejected": json.dumps([BAD])},
    {"question": "why", "preferred": "so", "dispreferred": "no"},
])  # fmt: skip
def test_a_preference_says_what_was_asked_and_which_reply_was_better_however_it_is_written(tmp_path: Path, record: dict) -> None:
    [row] = rows_of(tmp_path, record)
    assert isinstance(row, Preference)
    assert (row.prompt, row.chosen, row.rejected) == ((ASKED,), (SO,), (NO,))


def test_what_two_texts_begin_with_is_their_prompt(tmp_path: Path) -> None:
    [row] = rows_of(tmp_path, {"chosen": "The sky is blue.", "rejected": "The sky is black."})
    assert [turns[0].text for turns in (row.prompt, row.chosen, row.rejected)] == ["The sky is", " blue.", " black."]


def test_a_dialogue_is_shared_up_to_the_turn_that_differs(tmp_path: Path) -> None:
    opening = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"
    [row] = rows_of(tmp_path, {"chosen": f"{opening} good\n\nmore", "rejected": f"{opening} bad"})
    assert [message.role for message in row.prompt] == ["user", "assistant", "user"]
    assert (row.chosen[0].text, row.rejected[0].text) == ("good\n\nmore", "bad")


def test_an_instruction_its_input_and_a_system_text_make_the_prompt(tmp_path: Path) -> None:
    [row] = rows_of(tmp_path, {"system": "s", "instruction": "why", "input": "that", "chosen": "so", "rejected": "no"})
    assert row.prompt == (Message("system", "s"), Message("user", "why\n\nthat"))


@pytest.mark.parametrize("record", [
    {"prompt": "why", "chosen": "so", "rejected": ""}, {"prompt": "", "chosen": "so", "rejected": "no"},
    {"prompt": "why", "chosen": [], "rejected": "no"}, {"prompt": "why", "chosen": "so"},
])  # fmt: skip
def test_a_preference_of_which_a_part_is_missing_is_a_bad_row(tmp_path: Path, record: dict) -> None:
    rows = rows_of(tmp_path, {"prompt": "why", "chosen": "so", "rejected": "no"}, record)
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["rows.jsonl:2"]


@pytest.mark.parametrize(("chosen", "rejected"), [("same", "same"), ("All else", "differs")])
def test_replies_without_a_prompt_that_say_nothing_of_one_are_bad_rows(tmp_path: Path, chosen: str, rejected: str) -> None:
    rows = rows_of(tmp_path, {"chosen": "The sky is blue.", "rejected": "The sky is black."}, {"chosen": chosen, "rejected": rejected})
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["rows.jsonl:2"]


@pytest.mark.parametrize(("order", "ranks"), [
    ({"ranks": [3, 1, 2]}, (3, 1, 2)), ({"rank": [10, 10, 20]}, (1, 1, 2)), ({"scores": [0.1, 9, 9]}, (2, 1, 1)),
    ({"scores": [3, 2, 1]}, (1, 2, 3)),
])  # fmt: skip
def test_ranks_count_from_the_best_and_scores_the_other_way_round(tmp_path: Path, order: dict, ranks: tuple) -> None:
    [row] = rows_of(tmp_path, {"prompt": "why", "responses": ["a", "b", [GOOD]], **order})
    assert isinstance(row, Ranking) and row.ranks == ranks
    assert [reply[0].text for reply in row.replies] == ["a", "b", "so"]


def test_a_list_without_ranks_is_a_ranking_only_where_the_recipe_says_so(tmp_path: Path) -> None:
    record = {"prompt": "why", "outputs": ["a", "b"]}
    [row] = rows_of(tmp_path, record, fields={"prompt": "prompt", "replies": "outputs"})
    assert row.ranks == (1, 2)
    [pair] = rows_of(tmp_path, {"prompt": "why", "answers": ["a", "b"]})
    assert isinstance(pair, Pair) and pair.completion == "a"


@pytest.mark.parametrize("order", [{"ranks": [1]}, {"ranks": [1, True]}, {"ranks": [1, None]}, {"ranks": 3}])
def test_ranks_that_do_not_belong_to_the_replies_make_a_bad_row(tmp_path: Path, order: dict) -> None:
    rows = rows_of(tmp_path, *({"prompt": "why", "responses": ["a", "b"], "ranks": [1, 2], "n": n} for n in range(9)),
                   {"prompt": "why", "responses": ["a", "b"], **order})
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["rows.jsonl:10"]


@pytest.mark.parametrize(("verdict", "good"), [(True, True), (False, False), ("true", True), ("False", False)])
def test_a_verdict_is_about_the_reply(tmp_path: Path, verdict: object, good: bool) -> None:
    for record in ({"prompt": "why", "completion": "so"}, {"messages": [USER, GOOD]}, {"prompt": [USER], "completion": [GOOD]}):
        [row] = rows_of(tmp_path, {**record, "label": verdict})
        assert isinstance(row, Rated)
        assert (row.prompt, row.completion, row.good) == ((ASKED,), (SO,), good)


def test_a_verdict_on_what_the_user_said_is_a_bad_row(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, {"messages": [USER, GOOD], "label": True}, {"messages": [USER, GOOD, USER], "label": True})
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["rows.jsonl:2"]


@pytest.mark.parametrize(("score", "target"), [(4.5, 4.5), ("4,5", 4.5), (" 3 ", 3.0), (2, 2.0), ("1e3", 1000.0)])
def test_a_score_is_a_number_of_a_text_or_of_two(tmp_path: Path, score: object, target: float) -> None:
    texts = {"sentence1": "a", "sentence2": "b"}
    [first, row] = rows_of(tmp_path, texts | {"score": 0.5}, texts | {"score": score})
    assert isinstance(row, Scored) and (row.text, row.target) == ("a\n\nb", target)
    assert first.target == 0.5


@pytest.mark.parametrize("score", [None, "good", True, "nan", "inf", [1]])
def test_a_score_that_is_no_number_makes_a_bad_row(tmp_path: Path, score: object) -> None:
    rows = rows_of(tmp_path, *({"text": "a", "score": n / 8} for n in range(12)), {"text": "b", "score": score})
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["rows.jsonl:13"]


def test_stars_are_classes_and_fractions_of_them_are_scores(tmp_path: Path) -> None:
    assert recognise(Data(str(table(tmp_path, [1, 2, 3, 4, 5] * 4)))).layout == "text+label"
    assert recognise(Data(str(table(tmp_path, [1.5, 2, 3.5, 4, 5] * 4)))).layout == "text+score"


def table(folder: Path, stars: list) -> Path:
    path = folder / "stars.csv"
    path.write_text("text,stars\n" + "".join(f"review {n},{star}\n" for n, star in enumerate(stars)))
    return path


def test_what_the_assistant_says_in_the_prompt_is_not_trained_on(tmp_path: Path) -> None:
    [row] = rows_of(tmp_path, {"prompt": [USER, BAD, USER], "completion": [GOOD]})
    assert isinstance(row, Chat)
    assert [message.trained_weight for message in row.messages] == [0, 0, 0, 1]


def test_the_system_of_a_dialogue_is_the_one_that_answers(tmp_path: Path) -> None:
    [row] = rows_of(tmp_path, {"turns": [{"speaker": "USER", "text": "why"}, {"speaker": "SYSTEM", "utterance": "so"}]})
    assert row.messages == (ASKED, SO)


def test_tags_by_number_become_names_and_lists_of_unequal_length_a_bad_row(tmp_path: Path) -> None:
    words = {"tokens": ["a", "b"]}
    rows = rows_of(tmp_path, words | {"ner_tags": [0, 3]}, words | {"ner_tags": [0, 1]}, {"tokens": ["a"], "ner_tags": []})
    assert [row.tags for row in rows if isinstance(row, Tagged)] == [("0", "3"), ("0", "1")]
    assert "1 tokens and 0 tags" in rows[2].problem
