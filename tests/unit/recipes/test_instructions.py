"""The conversations that sprout learns to answer from: written ones, whole, and unlike each other."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from tests.conftest import ROOT

from luthier.core.examples import Chat
from luthier.core.files import read_jsonl
from luthier.data.source.reading import Data, read, recognise
from luthier.demo import clean_messages
from luthier.models.load import load_tokenizer
from luthier.text.renderer import Renderer

FILE = ROOT / "recipes" / "sprout" / "instructions.jsonl"
ROWS = [[(str(one["role"]), str(one["content"])) for one in row["messages"]] for row in read_jsonl(FILE)]  # type: ignore[union-attr, call-overload, index]
ASKED_FOR_A_LABEL = "\n\nLabel:"


def turns(row: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """A row's questions with their answers."""
    said = [content for role, content in row if role != "system"]
    return list(zip(said[0::2], said[1::2], strict=True))


TURNS = [turn for row in ROWS for turn in turns(row)]


def test_there_are_six_hundred_rows_or_more_some_with_a_system_message_and_some_of_two_turns() -> None:
    assert len(ROWS) >= 600
    assert sum(row[0][0] == "system" for row in ROWS) >= 40
    assert sum(len(turns(row)) >= 2 for row in ROWS) >= 40


def test_roles_alternate_and_the_assistant_has_the_last_word() -> None:
    for row in ROWS:
        roles = [role for role, _ in row]
        assert roles in (["user", "assistant"] * (len(roles) // 2), ["system"] + ["user", "assistant"] * ((len(roles) - 1) // 2))
        assert len(turns(row)) >= 1
        assert all(content == content.strip() and content for _, content in row)


def test_no_row_and_no_first_question_stands_twice() -> None:
    assert len({json.dumps(row).lower() for row in ROWS}) == len(ROWS)
    first = Counter((turns(row)[0][0].lower()) for row in ROWS)
    assert [question for question, n in first.items() if n > 1] == []


def test_no_run_of_eight_words_stands_in_more_than_a_hundredth_of_the_rows() -> None:
    held: Counter[tuple[str, ...]] = Counter()
    for row in ROWS:
        words = [re.findall(r"[\w']+", content.lower()) for _, content in row]
        held.update({tuple(part[i : i + 8]) for part in words for i in range(len(part) - 7)})
    assert {" ".join(run) for run, n in held.items() if n > len(ROWS) / 100} == set()


def test_an_answer_ends_as_sentences_do_or_is_one_of_the_labels_to_the_letter() -> None:
    listed: list[str] = []
    for row in ROWS:
        for asked, answer in turns(row):
            if asked.endswith(ASKED_FOR_A_LABEL):
                named = re.search(r"The labels are: (.+?)\. Answer", asked)
                listed = named.group(1).split(", ") if named else listed  # a later turn goes on with the labels of the first
                assert answer in listed
            else:
                assert re.search(r"[.?!]\"?$", answer), answer


def test_answers_have_sixty_words_at_most_and_are_mostly_sentences() -> None:
    lengths = [len(answer.split()) for _, answer in TURNS]
    assert max(lengths) <= 60
    assert 0.05 < sum(n == 1 for n in lengths) / len(lengths) < 0.35
    assert sum(n >= 25 for n in lengths) >= 25


def test_yes_and_no_and_true_and_false_are_asked_about_evenly() -> None:
    first = Counter(re.findall(r"\w+", answer.lower())[0] for _, answer in TURNS)
    for one, other in (("yes", "no"), ("true", "false"), ("positive", "negative")):
        assert 0.4 < (1 + first[one]) / (1 + first[other]) < 2.5, (one, other)


def test_no_row_asks_for_a_label_of_the_demo_or_holds_its_messages() -> None:
    intents = {message.intent for message in clean_messages()}
    texts = {message.text.lower() for message in clean_messages()}
    for row in ROWS:
        for _, content in row:
            assert not intents & set(re.findall(r"\w+", content.lower()))
            assert content.lower() not in texts


@pytest.fixture(scope="module")
def chats() -> list[Chat]:
    data = Data(str(FILE))
    found = list(read(data, recognise(data, "chat")))
    assert all(isinstance(one, Chat) for one in found)
    return [one for one in found if isinstance(one, Chat)]


def test_luthier_reads_every_row_as_a_conversation(chats: list[Chat]) -> None:
    assert [[(one.role, one.content) for one in chat.messages] for chat in chats] == ROWS


def test_sprouts_template_trains_on_the_answers_and_nothing_else(chats: list[Chat]) -> None:
    tokenizer = load_tokenizer("sprout")
    renderer = Renderer(tokenizer)
    for chat, row in zip(chats, ROWS, strict=True):
        (rendered,) = renderer.render(chat)
        trained = [token for token, weight in zip(rendered.tokens, rendered.weights, strict=True) if weight > 0]
        assert tokenizer.decode(trained).replace("<|turn_end|>", "") == "".join(answer for _, answer in turns(row))
        assert len(rendered.tokens) <= 256


def test_the_card_has_the_right_counts() -> None:
    card = FILE.with_suffix(".md").read_text(encoding="utf-8")
    several, system = sum(len(turns(row)) >= 2 for row in ROWS), sum(row[0][0] == "system" for row in ROWS)
    assert f"| {len(ROWS)} conversations" in card
    assert f"{several} with two or more questions, {system} with a system message" in card
    assert sum(map(int, re.findall(r"^\| (\d+) \|", card, re.MULTILINE))) == len(ROWS)
    labels = sum(row[-2][1].endswith(ASKED_FOR_A_LABEL) for row in ROWS)
    assert f"| {labels} | classification in the wording in which Luthier itself asks" in card
