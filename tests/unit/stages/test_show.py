"""`luthier show`: nothing that a row holds drives the terminal, and everything that training does with it can be seen."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made_models import luthier, make_model, messages_of, recipe, write_rows

from luthier.stages.shown import CUT, PLAIN, SPECIAL, TRAINED, DroppedBy, Piece, Shown, ShownRow, in_color, painted, stretches_of, visible
from luthier.text.rows import make_row
from luthier.text.truncation import Cut, cut_to

OURS = re.compile("|".join(map(re.escape, (TRAINED, SPECIAL, CUT, PLAIN))))
COUNTS = {"n_rows": 1, "n_tokens": 4, "n_supervised": 2, "n_labelled": 0, "longest_tokens": 4, "n_too_long": 0}


def row_of(*pieces: tuple[str, float, bool], cut: tuple[int, int] | None = None, label: str | None = None) -> ShownRow:
    tokens = tuple(Piece(*one) for one in pieces)
    stretches = stretches_of(range(len(tokens)), tokens, lambda ids: "?", None if cut is None else cut[0])
    return ShownRow("1", "rows.csv:2", tokens, stretches, label, cut)


def shown(*rows: ShownRow, reasons: tuple[DroppedBy, ...] = ()) -> Shown:
    return Shown(rows, (), reasons, COUNTS)


def test_trained_tokens_stand_between_brackets_with_and_without_colour() -> None:
    row = row_of(("<|u|>", 0, True), ("hi", 0, False), ("yes", 1, False), (" sir", 1, False), ("<|e|>", 1, True), ("x", 0, False))
    assert painted(row, color=False) == "<|u|>hi⟦yes sir<|e|>⟧x"
    assert OURS.sub("", painted(row, color=True)) == "<|u|>hi⟦yes sir<|e|>⟧x"
    assert painted(row, color=True) == f"{SPECIAL}<|u|>{PLAIN}hi{TRAINED}⟦yes sir{SPECIAL}<|e|>{PLAIN}{TRAINED}⟧{PLAIN}x"


def test_a_weight_that_is_neither_0_nor_1_is_said() -> None:
    row = row_of(("a", 0, False), ("b", 0.5, False), ("c", 1, False), ("d", 2, False))
    assert painted(row, color=False) == "a⟦b⟧×0.5⟦c⟧⟦d⟧×2"
    assert "×0.5 its weight" in shown(row).as_text(color=False)
    assert "its weight" not in shown(row_of(("a", 0, False), ("c", 1, False))).as_text(color=False)


def test_where_a_row_was_cut_is_marked_with_the_number_of_tokens() -> None:
    row = row_of(("<s>", 0, True), ("left", 0, False), ("yes", 1, False), cut=(1, 1200))
    assert painted(row, color=False) == "<s>✂ 1,200 tokens ✂left⟦yes⟧"
    inside = row_of(("a", 0, False), ("b", 0, False), ("c", 0, False), cut=(2, 3))
    assert painted(inside, color=False) == "ab✂ 3 tokens ✂c"
    assert "✂ n so many tokens" in shown(row).as_text(color=False)


@pytest.mark.parametrize("trained", [False, True])
def test_a_cut_says_before_which_token_the_others_stood(trained: bool) -> None:
    row = make_row(list(range(10)), [0.0] * 8 + [float(trained)] * 2)
    found = cut_to(row, 6)
    assert isinstance(found, Cut)
    kept = found.row.tokens
    removed = np.arange(kept[found.at - 1] + 1, kept[found.at])
    assert len(removed) == found.n_removed == 4
    assert np.concatenate([kept[: found.at], removed, kept[found.at :]]).tolist() == list(range(10))


@given(st.text(st.characters(codec=None), max_size=40))
def test_no_text_reaches_the_terminal_with_a_character_that_drives_it(text: str) -> None:
    row = row_of((text, 0, False), (text, 1, False), (text, 1, True), cut=(1, 5))
    hostile = replace(row, source=text, label=text)
    said = shown(hostile, reasons=(DroppedBy(text, text, 1, text, text),))
    plain = said.as_text(color=False)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u061c\u2028\u2029\ud800-\udfff]", plain)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", OURS.sub("", said.as_text(color=True)))
    assert plain.count("\u2068") == plain.count("\u2069")


def test_text_cannot_pass_for_our_marks() -> None:
    assert painted(row_of(("⟦fake⟧ ✂ 9 ✂ \x1b[31mred\x07", 0, False)), color=False) == (
        "\\u27e6fake\\u27e7 \\u2702 9 \\u2702 \\x1b[31mred\\x07"
    )


def test_lines_letters_joiners_and_wide_text_stay_as_they_are() -> None:
    for text in ("日本語のテキスト", "👩\u200d🚀", "می\u200cخواهم", "naïve — “q”"):
        assert visible(text) == text
    assert visible("a\nb\tc\r") == "a⏎\nb\\x09c\\x0d"


def test_text_from_the_right_is_isolated_line_by_line_so_that_marks_stay_in_place() -> None:
    row = row_of(("say:", 0, False), ("שלום\nhi", 1, False))
    assert painted(row, color=False) == "say:⟦\u2068שלום⏎\u2069\nhi⟧"


def test_a_letter_of_several_tokens_is_whole() -> None:
    pieces = (Piece("\ufffd", 1, False), Piece("\ufffd", 1, False), Piece("!", 0, False))
    assert [one.text for one in stretches_of((7, 8, 9), pieces, lambda ids: {(7, 8): "é"}[tuple(ids)])] == ["é", "!"]


def test_every_reason_for_dropping_is_counted_with_an_example() -> None:
    reasons = tuple(DroppedBy("length", f"reason {i}", 100 - i, f"rows.csv:{i}", f"text {i} " * 50) for i in range(25))
    text = shown(row_of(("a", 1, False)), reasons=reasons).as_text(color=False)
    assert f"Dropped while preparing: {sum(100 - i for i in range(25)):,} rows" in text
    assert "  100 by length: reason 0\n      such as rows.csv:0: text 0 text 0" in text
    assert "and 5 more reasons" in text
    assert max(map(len, text.splitlines())) < 200


def test_no_color_and_pipes_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert in_color()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not in_color()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.delenv("FORCE_COLOR")
    assert not in_color()  # standard output is no terminal here


def test_the_command_shows_cut_rows_labels_and_every_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = make_model(tmp_path / "tiny")
    rows = messages_of(60)
    for i in range(10, 60, 5):
        rows[i]["message"] += f" {i}" * 200
    rows += [rows[3], rows[5], {**rows[7], "message": ""}]
    write_rows(tmp_path / "rows.csv", rows)
    made = recipe(
        tmp_path / "mail.toml", name="mail", goal__task="classify", data__source="rows.csv", data__bad_rows="drop", model__base=model,
        data__split={"train": 0.6, "validation": 0.2, "test": 0.2}, train__too_long="cut", train__max_tokens=64, seed=3,
    )  # fmt: skip
    assert luthier("prepare", made).code == 0
    said = luthier("show", made, "--rows", "100")
    assert said.code == 0, said.err
    assert "\x1b" not in said.out
    assert "label: ⟦repair⟧" in said.out
    found = luthier("show", made, "--rows", "100", "--json").json
    n_dropped = sum(one["n"] for one in found["reasons"])
    assert n_dropped >= 3
    assert f"Dropped while preparing: {n_dropped} rows" in said.out
    assert len(found["rows"]) == found["counts"]["n_rows"]
    cut = [row for row in found["rows"] if row["cut"]]
    assert len(cut) == found["counts"]["n_cut"] > 0
    assert sum(row["cut"]["n_removed"] for row in cut) == found["counts"]["n_tokens_removed"]
    assert said.out.count(" tokens ✂") == len(cut)
    assert not found["rows"][0]["cut"] and not found["rows"][1]["cut"]
    assert [row["cut"] is None for row in luthier("show", made, "--rows", "2", "--json").json["rows"]] == [True, False]
