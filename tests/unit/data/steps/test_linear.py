"""Text steps take time in proportion to the text, and take any text, whatever was put together to break them."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.steps.long_texts import STEPS, TOOLS
from tests.warm import warm_python

from luthier.core.examples import Chat, Pair, Text
from luthier.core.messages import Message
from luthier.data.decisions import ready

HOSTILE = [
    "\0", "\ud800", "\udfff\ud83d", "<div>" * 10_000, "<div>" * 10_000 + "x" + "</div>" * 10_000, "<!DOCTYPE html>" + "<b>" * 10_000 + "x",
    "<html>" + "<table><tr><td>" * 3_000 + "x", "{{" * 10_000, "[[" * 10_000, "[" * 10_000 + "]" * 10_000, ">" * 10_000, "> " * 5_000,
    "&#" + "9" * 6_000 + ";", "&" * 5_000, "```" * 3_000, "*" * 10_000, "<html><pre>" + "\n" * 5_000, "a\u0301" * 5_000, "Ã" * 5_000,
    "\u202e\u2066", "\x1b[0m", "ﷺ" * 500, "<html><title>", "<html><script>", "On " + "x " * 200 + "wrote:", "\n" * 10_000,
]  # fmt: skip
"""Texts that break something somewhere."""


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
@pytest.mark.parametrize(
    ("n_characters", "limit_s"), [(250_000, 40), pytest.param(1_000_000, 600, marks=pytest.mark.prove)], ids=["quarter", "megabyte"]
)
@pytest.mark.parametrize("index", range(len(STEPS)), ids=lambda index: STEPS[index].kind)
def test_a_long_text_of_anything_takes_seconds_and_not_hours(index: int, n_characters: int, limit_s: int) -> None:
    """Quadratic time would take hours for one of these texts; the limit is several times what all of them take, for slow machines' sake."""
    words = [*warm_python(), "-m", "tests.unit.data.steps.long_texts", *map(str, (index, n_characters, limit_s))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-200:]} {done.stderr[-2000:]}"
