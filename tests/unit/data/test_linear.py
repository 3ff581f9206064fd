"""Text steps take time in proportion to the text, and take any text, whatever was put together to break them."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.examples import Chat, Labelled, Pair, Text
from luthier.core.messages import Message
from luthier.data.decisions import ready
from luthier.data.steps import AnyRowStep, MarkupToText, Whitespace
from luthier.data.tools import Tools

SOURCE = Path(__file__).resolve().parents[3] / "src"
STEPS = [*(kind() for kind in get_args(AnyRowStep)), MarkupToText(syntax="wiki"), Whitespace(form="NFKC")]
TOOLS = Tools(count_tokens=lambda texts: [len(text) for text in texts])
HOSTILE = [
    "\0", "\ud800", "\udfff\ud83d", "<div>" * 10_000, "<div>" * 10_000 + "x" + "</div>" * 10_000, "<!DOCTYPE html>" + "<b>" * 10_000 + "x",
    "<html>" + "<table><tr><td>" * 3_000 + "x", "{{" * 10_000, "[[" * 10_000, "[" * 10_000 + "]" * 10_000, ">" * 10_000, "> " * 5_000,
    "&#" + "9" * 6_000 + ";", "&" * 5_000, "```" * 3_000, "*" * 10_000, "<html><pre>" + "\n" * 5_000, "a\u0301" * 5_000, "Ã" * 5_000,
    "\u202e\u2066", "\x1b[0m", "ﷺ" * 500, "<html><title>", "<html><script>", "On " + "x " * 200 + "wrote:", "\n" * 10_000,
]  # fmt: skip
"""Texts that break something somewhere."""
MEGABYTES = [
    " ", "\t", "\n", "\n\n", " \n", "a ", "a", "<", "<a ", "<a b='", "<!--", "<div>", "</div>", "<p>x", "<br><br>", "<html><li>", "&",
    "&#1",
    "&amp;", "[", "]", "[a](", "![", "`", "``` ", "*", "**a ", "_a", "#", "# ", "|", "|-", "- ", "--\n", "> ", "On 1, a\n", "From: a\n",
    "Thanks,\n", "a@", "1 ", "{{", "}}", "[[a|", "''", "= ", "Ã©", "â€", "ÃÂ", "é", "Её ", "а", "аa", "a. ", ". ", "a b c d e. ", "[1]",
    "[[1]", "\u00a0", "\ud800", "\U000e0041", "Sent from my a\n", "x wrote:\n", "a;", "(1)-",
]  # fmt: skip
"""What is repeated up to a megabyte."""

PROGRAM = """
import sys
sys.path.insert(0, {here!r})
from test_linear import MEGABYTES, STEPS, TOOLS
from luthier.core.examples import Text
from luthier.data.decisions import ready
step = ready(STEPS[int(sys.argv[1])], TOOLS)
for unit in MEGABYTES:
    for head in ("", "<!doctype html><body>x"):
        if head and step.kind != "html_to_text":
            continue
        print(repr(unit), repr(head), flush=True)
        step.apply(Text("r", (head + unit * (1_000_000 // len(unit)) + "x")))
"""


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.kind)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_hostile_text_is_taken_as_it_is(step: Any, text: str) -> None:
    step = ready(step, TOOLS)
    chat = Chat("r", (Message("user", text), Message("assistant", text)))
    for row in (Text("r", text), Labelled("r", text, text), Pair("r", text, text), chat):
        assert step.apply(row) == step.apply(row)


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
