"""What mail adds to a message goes; what somebody wrote stays."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from luthier.core.examples import Chat, Pair, Preference, Text
from luthier.core.messages import Message
from luthier.data.decisions import Changed, Kept
from luthier.data.steps import EmailDebris

WORDS = "Is my cello ready?\n\nI could come on Friday."
WROTE = [
    "On Mon, 3 May 2025 at 14:02, Ann Lee <ann@x.example> wrote:",
    "On 3 May 2025,\nAnn Lee <ann@x.example>\nwrote:",
    "Am 03.05.2025 um 14:02 schrieb Ann Lee <ann@x.example>:",
    "Le 03/05/2025, Ann Lee a écrit :",
    "El 3 may 2025, Ann Lee escribió:",
    "Em 3 de maio de 2025, Ann Lee escreveu:",
    "Il giorno 3 mag 2025 Ann Lee ha scritto:",
    "Op 3 mei 2025 schreef Ann Lee:",
    "W dniu 03.05.2025 Ann Lee napisał(a):",
    "Den 3 maj 2025 skrev Ann Lee:",
    "3 мая 2025 г., Анна Ли написала:",
    "于2025年5月3日 Ann Lee 写道：",
]


def after(text: str, step: EmailDebris | None = None) -> str:
    decision = (step or EmailDebris()).apply(Text("r", text))
    if isinstance(decision, Kept):
        return text
    assert decision.reason == "e-mail debris" and isinstance(decision.example, Text)
    return decision.example.text


@pytest.mark.parametrize("wrote", WROTE)
def test_an_earlier_message_goes_wherever_it_stands(wrote: str) -> None:
    quoted = f"{wrote}\n> Dear Bo,\n>\n>> nested\n> it is."
    assert after(f"{WORDS}\n\n{quoted}\n") == WORDS
    assert after(f"{quoted}\n\n{WORDS}") == WORDS
    assert after(f"Hello,\n{quoted}\n{WORDS}") == f"Hello,\n{WORDS}"
    assert after(f"{WORDS}\n\n{wrote}\n\nDear Bo,\nit is.\nAnn") == WORDS


@pytest.mark.parametrize(
    "head",
    [
        "-----Original Message-----\nFrom: Ann\nSent: Monday\nTo: Bo\nSubject: RE: cello",
        "From: Ann Lee <ann@x.example>\nSent: Monday, 3 May 2025\nTo: Bo\nSubject: RE: cello",
        "Von: Ann\nGesendet: Montag\nAn: Bo\nBetreff: AW: Cello",
        "De : Ann\nEnvoyé : lundi\nÀ : Bo\nObjet : RE: violoncelle",
        "*From:* Ann\n*Date:* Monday\n*To:* Bo\n*Subject:* cello",
    ],
)
def test_the_original_below_a_reply_goes(head: str) -> None:
    assert after(f"{WORDS}\n\n{head}\n\nIt is not.") == WORDS
    assert after(f"{head}\n\nIt is not.") == f"{head}\n\nIt is not."


def test_what_was_forwarded_stays() -> None:
    text = f"{WORDS}\n\nFrom: Ann\nSent: Monday\nTo: Bo\nSubject: FW: cello\n\nIt is not."
    assert after(text) == text
    text = f"{WORDS}\n\n---------- Forwarded message ---------\nFrom: Ann\nSubject: cello\n\nIt is not."
    assert after(text) == text


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nAnn Lee\nThe Workshop | 1 High Street",
        "--\nAnn",
        "Kind regards,\n\nAnn Lee\nTel. 01632 960 000\nann@x.example",
        "Thanks\nAnn",
        "Many thanks,",
        "Mit freundlichen Grüßen\nAnn Lee\nGeigenbau GmbH",
        "Cordialement,\nAnne de la Tour",
        "Saludos cordiales,\nAna",
        "Pozdrawiam,\nAnna",
        "Ann Lee\nann@x.example",
        "Ann Lee, The Workshop\n+44 1632 960000\nwww.workshop.example",
        "Sent from my iPhone",
        "Get Outlook for Android",
        "Von meinem iPhone gesendet",
        "Envoyé de mon iPhone",
        "发自我的iPhone",
        "Best wishes\nAnn\n\nSent from my Galaxy S21",
        "____________\nAnn Lee\nann@x.example",
    ],
)
def test_a_signature_goes(signature: str) -> None:
    assert after(f"{WORDS}\n\n{signature}\n") == WORDS
    assert after(f"{WORDS}\n\n{signature}", EmailDebris(signatures=False)) == f"{WORDS}\n\n{signature}"


@pytest.mark.parametrize(
    "notice",
    [
        "This e-mail and any attachments are confidential and intended solely for the addressee.",
        "If you are not the intended recipient, please\ndelete this message.",
        "Please consider the environment before printing this e-mail.",
        "Diese E-Mail enthält vertrauliche Informationen.",
    ],
)
def test_a_notice_goes(notice: str) -> None:
    assert after(f"{WORDS}\n\n{notice}") == WORDS
    assert after(f"{WORDS}\n\nRegards\nAnn\n\n{notice}") == WORDS
    assert after(f"{WORDS}\n\n{notice}", EmailDebris(notices=False)) == f"{WORDS}\n\n{notice}"


@pytest.mark.parametrize(
    "text",
    [
        WORDS,
        "My teacher wrote: practise more. Is that so?",
        "It came today.\nOn the lid of the case somebody wrote:\nfragile",
        "Is this right?\n```\n> x\n-- \n```\nIt fails.",
        "I saw on the site that he wrote:\nnothing at all",
        "> only quoted\n> lines",
        "On 3 May 2025, Ann wrote:\n> all of it",
        "-- \nAnn",
        "Thanks,\nAnn",
        "Best\nWorst",
        "Hello\nThanks\ncan I have my money back, please? It has been a month, and nobody answers.",
        "The choices are\n\nKind regards\n\nor nothing at all, says my sister, who writes letters for a living.",
        "a >= b\n>= c",
        ">>> print(1)\n1",
        "Title\n---\nText below a rule",
        "Please write to her at:\n\nAnn Lee\nann@x.example",
        "From: the cellar\nTo: the roof",
        "The price was 20\n\nThe date was 2025-05-03 and nothing else\nhappened on that day in the shop.",
        "```\n> x\n-- \n```",
        "",
        "\n\n",
        "This message is confidential, he said, and laughed.",
    ],
)
def test_words_of_the_writer_stay(text: str) -> None:
    assert EmailDebris().apply(Text("r", text)) == Kept()


def test_what_would_be_all_of_a_message_stays_and_the_rest_goes() -> None:
    assert after("Thanks,\nAnn\n\nSent from my iPhone") == "Thanks,\nAnn"
    told = "On 3 May 2025, Ann wrote:\n\nDear Bo, it is."
    assert after(f"{told}\n\nKind regards,\nAnn") == told


def test_each_kind_can_be_left_in() -> None:
    text = f"{WORDS}\n\nOn 3 May 2025, Ann wrote:\n> it is."
    assert after(text, EmailDebris(quotes=False)) == text
    assert [path for path, *_ in EmailDebris(quotes=False, signatures=False, notices=False).complaints(frozenset())] == ["kind"]
    assert not list(EmailDebris(quotes=False, signatures=False).complaints(frozenset()))


def test_replies_to_be_written_keep_their_signatures() -> None:
    signed = f"{WORDS}\n\nKind regards,\nAnn"
    changed = EmailDebris().apply(Pair("r", signed, signed))
    assert changed == Changed(Pair("r", WORDS, signed), "e-mail debris")
    turns = (Message("user", signed),), (Message("assistant", signed),)
    preferred = EmailDebris().apply(Preference("r", turns[0], turns[1], turns[1]))
    assert isinstance(preferred, Changed) and preferred.example == Preference("r", (Message("user", WORDS),), turns[1], turns[1])
    chat = Chat("r", (Message("user", signed), Message("assistant", signed)))
    assert EmailDebris().apply(chat) == Changed(Chat("r", (Message("user", WORDS), Message("assistant", signed))), "e-mail debris")


LINES = ["> q", "On 3 May 2025, Ann wrote:", "-- ", "Thanks,", "Ann Lee", "ann@x.example", "", "Words of my own.", "Sent from my iPhone",
         "From: a", "To: b", "Subject: c", "-----Original Message-----", "not the intended recipient", "___", "  ", "x" * 90]  # fmt: skip


@given(st.lists(st.sampled_from(LINES), max_size=14).map("\n".join))
@example("  \nnot the intended recipient\n> q\nSent from my iPhone")
@settings(max_examples=400, deadline=None)
def test_it_never_empties_a_message_never_makes_words_and_is_done_at_once(text: str) -> None:
    left = after(text)
    assert after(left) == left
    assert any(map(str.isalnum, left)) or left == text
    wanted = iter(text.split("\n"))
    assert all(any(line == one.rstrip() or line == one for one in wanted) for line in left.split("\n"))
