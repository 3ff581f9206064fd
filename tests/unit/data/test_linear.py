"""Text steps take time in proportion to the text, and take any text, whatever was put together to break them."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.examples import Chat, Pair, Text
from luthier.core.messages import Message
from luthier.data.decisions import ready
from luthier.data.steps import (
    C4Quality,
    EmailDebris,
    FinewebQuality,
    GopherQuality,
    GopherRepetition,
    HtmlToText,
    Languages,
    Length,
    LookAlikes,
    MarkupToText,
    RepairEncoding,
    TokenLength,
    Typos,
    Whitespace,
)  # fmt: skip
from luthier.data.tools import Tools

SOURCE = Path(__file__).resolve().parents[3] / "src"
STEPS = [
    RepairEncoding(), HtmlToText(), Whitespace(), Whitespace(form="NFKC"), MarkupToText(), MarkupToText(syntax="wiki"), LookAlikes(),
    EmailDebris(), Typos(), Languages(), Length(), TokenLength(), GopherQuality(), GopherRepetition(), C4Quality(), FinewebQuality(),
]  # fmt: skip
TOOLS = Tools(count_tokens=lambda texts: [len(text) for text in texts])
HOSTILE = [
    "\0", "\ud800", "\udfff\ud83d", "<div>" * 10_000, "<div>" * 10_000 + "x" + "</div>" * 10_000, "<!DOCTYPE html>" + "<b>" * 10_000 + "x",
    "<html>" + "<table><tr><td>" * 3_000 + "x", "{{" * 10_000, "[[" * 10_000, "[" * 10_000 + "]" * 10_000, ">" * 10_000, "> " * 5_000,
    "&#" + "9" * 6_000 + ";", "&" * 5_000, "```" * 3_000, "*" * 10_000, "<html><pre>" + "\n" * 5_000, "a\u0301" * 5_000, "Ã" * 5_000,
    "\u202e\u2066", "\x1b[0m", "ﷺ" * 500, "<html><title>", "<html><script>", "On " + "x " * 200 + "wrote:", "\n" * 10_000,
]  # fmt: skip
"""Texts that break something somewhere."""
EVERYWHERE = (" ", "\n", " \n", "a ", "é", "а", "a. ")
MEGABYTES = {
    "repair_encoding": ("Ã©", "Ã", "â€", "ÃÂ", "Её ", "├│", "\ud800", "\ud83d\udfff", "Ã©\u00a0x "),
    "html_to_text": ("<", "<a ", "<a b='", "<!--", "<b>x</b>", "<p>x", "</div>", "&", "&#1", "&amp;", "``` ", "`"),
    "page": ("<", "<a b='", "<div>", "<p>x", "<h1>", "<br><br>", "<li>", "\t<td>"),
    "whitespace": ("\t", "\n\n", "\u00a0", "\U000e0041", "```\n", "\u0301", " |", "\r"),
    "markup_to_text": (
        "[", "]", "[a](", "![", "`", "```\n", "*", "**a ", "_a", "#", "# ", "|", "|-", "- ", "> ", "\\",
        "<http://", "{{", "}}", "[[a|", "''",
        "= ", "=", "<ref>", "<!--", "-->", "[http://a ", "|| ",
    ),
    "look_alikes": ("аa", "aа ", "A\u0391"),
    "email_debris": (
        "--\n", "> ", ">\n", "On 1, a\n", "On 1, a wrote:\n", "From: a\n", "Thanks,\n", "A\nThanks,\n", "a@", "1 ", "1-", "A\na@b.c\n\n",
        "___\n", "Sent from my a\n", "not the intended recipient\n\n", "-----Original Message-----\n", "x:\n", "this email a a ",
    ),
    "typos": ("a;", "becuase ", "the old becuase ", "a-", "a'"),
    "c4_quality": ("[1]", "[[1]", "a b c d e. ", "a b c d e.\n", "{", "[edit"),
    "gopher_repetition": ("a b ", "a\n", "a\n\n"),
}
"""By step, what is repeated up to a megabyte; `page`: what pages are made of, a fifth as long."""

PROGRAM = """
import sys, time
sys.path.insert(0, {here!r})
from test_linear import EVERYWHERE, MEGABYTES, STEPS, TOOLS
from luthier.core.examples import Text
from luthier.data.decisions import ready
step = ready(STEPS[int(sys.argv[1])], TOOLS)
texts = [("", unit, 1_000_000) for unit in (*EVERYWHERE, *MEGABYTES.get(step.kind, ()))]
if step.kind == "html_to_text":
    texts += [("<!doctype html><body>x", unit, 200_000) for unit in MEGABYTES["page"]]
for head, unit, n_characters in texts:
    print(round(time.process_time(), 1), repr(head), repr(unit), flush=True)
    step.apply(Text("r", head + unit * (n_characters // len(unit)) + "x"))
"""


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.kind)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_hostile_text_is_taken_as_it_is(step: Any, text: str) -> None:
    step = ready(step, TOOLS)
    assert step.apply(Text("r", text)) == step.apply(Text("r", text))
    step.apply(Chat("r", (Message("user", text[:2000]), Message("assistant", text[:2000]))))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.kind)
@given(text=st.text(alphabet=st.characters(), max_size=80))
@settings(max_examples=40, deadline=None)
def test_any_string_is_taken(step: Any, text: str) -> None:
    ready(step, TOOLS).apply(Pair("r", text, text))


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(STEPS)), ids=lambda index: STEPS[index].kind)
def test_a_megabyte_of_anything_takes_seconds_and_not_hours(index: int) -> None:
    """Quadratic time would take days for one of these texts; the process may take minutes for all of them, on a slow machine too."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (600, 600))

    program = PROGRAM.format(here=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", program, str(index)], capture_output=True, text=True, check=False, preexec_fn=limited,
        env={"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-200:]} {done.stderr[-2000:]}"
