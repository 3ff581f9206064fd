"""What templates and tokenizers change without being asked is counted."""

from __future__ import annotations

import copy

from tests.small import TEMPLATES, tokenizer_of

from luthier.core.examples import Chat
from luthier.core.messages import Message
from luthier.models.tokenizer import LoadedTokenizer
from luthier.text.fidelity import fidelity
from luthier.text.renderer import Renderer

ASKED, ANSWERED = Message("user", "The cat?"), Message("assistant", "On the mat.")


def test_a_plain_conversation_under_a_plain_template_loses_nothing() -> None:
    found = fidelity(Renderer(tokenizer_of("chatml")), [Chat("", (ASKED, ANSWERED))])
    assert (found.n_chats, found.n_deleted_text, found.n_deleted_reasoning) == (1, 0, 0)


def test_reasoning_that_the_template_strips_from_earlier_turns_is_counted() -> None:
    thinking = Message("assistant", "On the mat.", reasoning="Cats like mats.")
    chats = [Chat("", (ASKED, thinking, ASKED, ANSWERED)), Chat("", (ASKED, ANSWERED))]
    found = fidelity(Renderer(tokenizer_of("thinking")), chats)
    assert (found.n_chats, found.n_deleted_reasoning) == (2, 1)
    assert "1 of 2 conversations" in found.lines()[0]


def test_text_that_the_template_leaves_out_is_counted() -> None:
    inner = copy.copy(tokenizer_of("chatml").inner)
    inner.chat_template = str(TEMPLATES["chatml"]).replace("in messages %}", "in messages if message.role != 'system' %}")
    renderer = Renderer(LoadedTokenizer(inner))
    found = fidelity(renderer, [Chat("", (Message("system", "Be brief."), ASKED, ANSWERED)), Chat("", (ASKED, ANSWERED))])
    assert (found.n_chats, found.n_deleted_text) == (2, 1)


def test_a_border_that_whole_tokenisation_would_cross_is_counted() -> None:
    chats = [Chat("", (ASKED, ANSWERED))]
    # "assistant: " and "On" apart are other tokens than ": On" at once; behind a line break nothing can merge.
    assert fidelity(Renderer(tokenizer_of("no_stop")), chats).n_retokenised == 1
    assert fidelity(Renderer(tokenizer_of("chatml")), chats).n_retokenised == 0
