"""What of a row is compared: what is asked and what is answered, of every shape."""

from __future__ import annotations

import pytest

from luthier.core.examples import AnyExample, Preference, Ranking, Rated, Scored, Tagged
from luthier.core.messages import Message
from luthier.data.likeness.compared import answered, asked, whole
from luthier.data.pipeline import clean
from luthier.data.steps import NearDuplicates

ASKED = (Message("system", "Be brief"), Message("user", "Why  does my LUTE buzz?"))


def said(text: str) -> tuple[Message, ...]:
    return (Message("assistant", text),)


@pytest.mark.parametrize(("example", "question", "answer"), [
    (Preference("1", ASKED, said("The nut."), said("No")), "why does my lute buzz?", "the nut. no"),
    (Ranking("1", ASKED, (said("The nut."), said("No")), (2, 1)), "why does my lute buzz?", "the nut. no"),
    (Rated("1", ASKED, said("The nut."), True), "why does my lute buzz?", "the nut."),
    (Tagged("1", ("The", "nut"), ("O", "O")), "the nut", ""),
    (Scored("1", "The nut", 1.5), "the nut", ""),
])  # fmt: skip
def test_what_is_asked_and_what_is_answered_is_told_apart(example: AnyExample, question: str, answer: str) -> None:
    assert (asked(example), answered(example)) == (question, answer)
    assert whole(example).endswith(answer) and question in whole(example)


def test_replies_of_other_words_to_one_long_prompt_are_no_near_duplicates() -> None:
    prompt = (Message("user", "Why does the third string of my lute buzz whenever I play it loudly near the rose? " * 4),)
    replies = (("The nut.", "No."), ("A loose bar.", "Hm."))
    rows = [Preference(str(n), prompt, said(good), said(bad)) for n, (good, bad) in enumerate(replies)]
    assert clean(rows, [NearDuplicates()]).dropped == ()


@pytest.mark.parametrize(("second", "gone"), [(True, ["1"]), (False, [])])
def test_a_reply_that_one_found_good_and_another_bad_is_no_duplicate(second: bool, gone: list[str]) -> None:
    twins = [Rated(str(n), ASKED, said("It is the nut, which is too low."), good) for n, good in enumerate((True, second))]
    assert [row.example.id for row in clean(twins, [NearDuplicates()]).dropped] == gone
