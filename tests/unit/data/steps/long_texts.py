"""Cleans texts that repeat something, until its processor time is spent; run as a program by `test_linear.py`.

    python -m tests.unit.data.steps.long_texts INDEX N_CHARACTERS LIMIT_S    the step's number in STEPS, the texts' length, the time for all
"""

from __future__ import annotations

import resource
import sys
import time

from luthier.core.examples import Text
from luthier.data.decisions import ready
from luthier.data.steps import (
    C4Quality,
    CorrectTypos,
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
    Whitespace,
)  # fmt: skip
from luthier.data.tools import Tools

STEPS = [
    RepairEncoding(), HtmlToText(), Whitespace(), Whitespace(form="NFKC"), MarkupToText(), MarkupToText(syntax="wiki"), LookAlikes(),
    EmailDebris(), CorrectTypos(), Languages(), Length(), TokenLength(), GopherQuality(), GopherRepetition(), C4Quality(), FinewebQuality(),
]  # fmt: skip
TOOLS = Tools(count_tokens=lambda texts: [len(text) for text in texts])
EVERYWHERE = (" ", "\n", " \n", "a ", "é", "а", "a. ")
REPEATED = {
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
    "correct_typos": ("a;", "becuase ", "the old becuase ", "a-", "a'"),
    "c4_quality": ("[1]", "[[1]", "a b c d e. ", "a b c d e.\n", "{", "[edit"),
    "gopher_repetition": ("a b ", "a\n", "a\n\n"),
}
"""By step, what is repeated; `page`: what pages are made of, a fifth as long."""


def main(index: int, n_characters: int, limit_s: int) -> None:
    """Clean them, one after the other; the last line that is printed says which one was too much."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
    step = ready(STEPS[index], TOOLS)
    texts = [("", unit, n_characters) for unit in (*EVERYWHERE, *REPEATED.get(step.kind, ()))]
    if step.kind == "html_to_text":
        texts += [("<!doctype html><body>x", unit, n_characters // 5) for unit in REPEATED["page"]]
    for head, unit, n in texts:
        print(round(time.process_time(), 1), repr(head), repr(unit), flush=True)
        step.apply(Text("r", head + unit * (n // len(unit)) + "x"))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
